"""The scheduler: publishes for schedules at their ticks, each tick once.

The queue records each tick (`Ticked`), so no death loses or doubles one. Which ticks come next, and which are made up for that were
missed while nothing ran, is in `events/schedules/ticks`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perdure.actors.core.actor import FOREIGN_ERRORS, Actor
from perdure.actors.core.messages import Restarted, Ticks, Wake, WakeAt
from perdure.events.commands import Tick
from perdure.events.loggers import GuardedLogger
from perdure.events.schedules.ticks import due, is_set_back

if TYPE_CHECKING:
    from perdure.actors.core.actor import Home
    from perdure.actors.core.clock import Clock
    from perdure.actors.core.extensions import Extensions, Schedule
    from perdure.actors.requests.pending import PendingRequests

__all__ = ["Scheduler"]

logger = GuardedLogger("perdure")


class _SchedulerReply:
    """The reply that puts the queue's answer into the scheduler's mailbox."""

    def __init__(self, directory: Home) -> None:
        self._directory = directory

    def resolve(self, value: Any) -> None:
        """See `Reply.resolve`."""
        self._directory.tell("scheduler", value)

    def reject(self, error: BaseException) -> None:
        """See `Reply.reject`: this happens only when the system ends."""


class Scheduler(Actor):
    """Started with the first schedule; holds nothing that its successor could not ask for again."""

    runs_host_code = True

    def __init__(
        self,
        directory: Home,
        pending: PendingRequests,
        clock: Clock,
        extensions: Extensions,
        started_us: int,
        generation: int,
    ) -> None:
        super().__init__(directory, "scheduler", generation)
        self.pending = pending
        self.clock = clock
        self.extensions = extensions
        self.started_us = started_us
        """When the run began, by `clock`."""
        self.last: dict[str, int] = {}
        self.known = False
        self.begun: set[str] = set()
        """Schedules that begin, and whose beginning is not known to be on record: a predecessor's may get there first."""

    def on_start(self) -> None:
        """Ask which ticks are on record."""
        self._ask()

    def _ask(self) -> None:
        self.pending.send("queue", Ticks(), _SchedulerReply(self.directory), from_outside=False)

    def on_batch(self, messages: list[Any]) -> None:
        """Send the ticks that are due, and ask to be woken for the next."""
        for message in messages:
            if isinstance(message, dict):
                self.last = {**message, **self.last}
                self.known = True
                self.begun.clear()
        if self.known and any(isinstance(message, (dict, Wake, Restarted)) for message in messages):
            self._look(self.clock.wall_us())

    def _look(self, now_us: int) -> None:
        """Send what is due by the wall clock, which may have been put forward or back since."""
        upcoming: list[int] = []
        for schedule in list(self.extensions.schedules.values()):
            try:
                upcoming.append(self._advance(schedule, now_us))
            except FOREIGN_ERRORS:  # its message is encoded by the host's codec and middleware
                logger.exception("the schedule %s failed and is left alone until the next start", schedule.name)
                self.extensions.drop_schedule(schedule.name)
        if upcoming:
            # The timer has another clock: one that never goes back, and so may be ahead of the wall clock.
            self.directory.tell("timer", WakeAt(self.name, self.clock.now_us() + max(0, min(upcoming) - now_us)))

    def _advance(self, schedule: Schedule, now_us: int) -> int:
        """Send the ticks of a schedule that are due; return the time of the next one."""
        last_us = self.last.get(schedule.name)
        if last_us is None:  # its first time ever: it begins now
            if schedule.name not in self.begun:
                self.begun.add(schedule.name)
                self._send(Tick(schedule.name, now_us, None))
                self._ask()
            return schedule.after(now_us)
        if is_set_back(last_us, now_us):
            logger.warning("the schedule %s goes on from now: the clock was put back by hours since its last tick", schedule.name)
            self._send(Tick(schedule.name, now_us, None, last_us, anew=True))
            self.last[schedule.name] = last_us = now_us
        ticks, next_us = due(schedule.after, last_us, now_us, missed=schedule.missed, started_us=self._started_us())
        for tick in ticks:
            draft = schedule.draft(tick.due_us) if tick.publish else None
            self._send(Tick(schedule.name, tick.due_us, draft, self.last[schedule.name]))
            self.last[schedule.name] = tick.due_us
        return next_us

    def _started_us(self) -> int:
        """Return when the process began, by the wall clock as it goes now."""
        clock = self.clock
        return self.started_us - (clock.now_us() - clock.wall_us())

    def _send(self, tick: Tick) -> None:
        # Sent again until it is on record, whatever dies; the queue takes each tick once.
        self.pending.send("queue", tick, _SchedulerReply(self.directory), from_outside=False)
