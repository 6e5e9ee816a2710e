"""The scheduler: publishes for schedules at their ticks, each tick once.

The queue records each tick (`Ticked`), so no death loses or doubles one. Which ticks come next, and which of those that were missed
while nothing ran are made up for, is in `events/schedules/ticks`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perdure.actors.core.actor import FOREIGN_ERRORS, Actor
from perdure.actors.core.messages import AskTicks, Restarted, Wake, WakeAt
from perdure.actors.requests.request import Request
from perdure.events.commands import RunNow, Tick
from perdure.events.errors import PerdureError
from perdure.events.loggers import GuardedLogger
from perdure.events.schedules.ticks import comes_too_early, due, is_set_back

if TYPE_CHECKING:
    from perdure.actors.core.actor import Home
    from perdure.actors.core.clock import Clock
    from perdure.actors.core.extensions import Extensions, Schedule
    from perdure.actors.requests.pending import PendingRequests

__all__ = ["Scheduler"]

logger = GuardedLogger("perdure")

AHEAD_US = 20_000
"""From here on the clock of the timer is ahead of the wall clock: that was put back."""
LOOK_US = 1_000_000
"""How often the wall clock is looked at while it is behind: it may go forward again, which no other clock shows."""


class _SchedulerReply:
    """The reply that puts the queue's answer into the scheduler's mailbox."""

    def __init__(self, directory: Home) -> None:
        self._directory = directory

    def resolve(self, value: Any) -> None:
        """See `Reply.resolve`."""
        self._directory.tell("scheduler", value)

    def reject(self, error: BaseException) -> None:
        """See `Reply.reject`: this happens only when the system ends."""


class _NowReply:
    """The reply that passes the queue's answer on to the operator, with the id of the tick's message."""

    def __init__(self, pending: PendingRequests, request: Request, ident: str) -> None:
        self._pending = pending
        self._request = request
        self._ident = ident

    def resolve(self, _value: Any, /) -> None:
        """See `Reply.resolve`."""
        self._pending.settle(self._request, self._ident)

    def reject(self, error: BaseException) -> None:
        """See `Reply.reject`."""
        self._pending.refuse(self._request, error)


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
        """Schedules that begin, or go back with the clock, until it is known what is on record: the beginning of another scheduler
        may be recorded first, or a tick that it sent before the clock was put back."""

    def on_start(self) -> None:
        """Ask which ticks are on record, and run what operators asked the predecessor for: it may not have come to that."""
        self._ask()
        for request in list(self.pending.outstanding.values()):
            if isinstance(request.command, RunNow) and request.command.schedule and request.command.draft is None:
                self._run_now(request)

    def _ask(self) -> None:
        self.pending.send("queue", AskTicks(), _SchedulerReply(self.directory), from_outside=False)

    def on_batch(self, messages: list[Any]) -> None:
        """Send the ticks that are due, and ask to be woken for the next."""
        for message in messages:
            if isinstance(message, Request):
                self._run_now(message)
            elif isinstance(message, dict):
                self._take_record(message)
        if self.known and any(isinstance(message, (dict, Wake, Restarted)) for message in messages):
            self._look(self.clock.wall_us())

    def _take_record(self, record: dict[str, int]) -> None:
        """Go on from what is on record; of schedules that have begun, from what this scheduler has sent since."""
        for name in self.begun:
            self.last.pop(name, None)
        self.last = {**record, **self.last}
        self.known = True
        for request in list(self.pending.outstanding.values()) if self.begun else ():
            tick = request.command
            if type(tick) is Tick and tick.schedule in self.begun and comes_too_early(record, tick):
                self.pending.forget(request)  # the tick before it was one of the old time, and is never done
        self.begun.clear()

    def _run_now(self, request: Request) -> None:
        """Send the message of a tick that an operator asks for; the schedule's own ticks go on as they would."""
        command = request.command
        schedule = self.extensions.schedules.get(command.schedule)
        if schedule is None:
            return  # the queue refuses it, when it sees it
        try:
            draft = schedule.draft(command.due_us)
        except FOREIGN_ERRORS as error:  # as in `_look`
            self.pending.refuse(request, PerdureError(f"the schedule {schedule.name} could not make its message: {error!r}"))
            return
        now = RunNow(schedule=command.schedule, due_us=command.due_us, act=command.act, draft=draft)
        self.pending.send("queue", now, _NowReply(self.pending, request, draft.id), from_outside=False)

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
            # The timer has another clock: one that never goes back, and so may be ahead of the wall clock. While it is, the two go
            # at different speeds, and a wall clock that goes forward to it again moves no deadline.
            timer_us = self.clock.now_us()
            wait_us = max(0, min(upcoming) - now_us)
            if timer_us - now_us > AHEAD_US:
                wait_us = min(wait_us, LOOK_US)
            self.directory.tell("timer", WakeAt(self.name, timer_us + wait_us))

    def _advance(self, schedule: Schedule, now_us: int) -> int:
        """Send the ticks of a schedule that are due; return the time of the next one."""
        last_us = self.last.get(schedule.name)
        if last_us is None:  # its first time ever: it begins now
            return self._begin(schedule, Tick(schedule.name, now_us, None))
        if is_set_back(last_us, now_us):
            return self._begin(schedule, Tick(schedule.name, now_us, None, last_us, anew=True))
        ticks, next_us = due(schedule.after, last_us, now_us, missed=schedule.missed, started_us=self._started_us())
        for tick in ticks:
            draft = schedule.draft(tick.due_us) if tick.publish else None
            self._send(Tick(schedule.name, tick.due_us, draft, self.last[schedule.name]))
            self.last[schedule.name] = tick.due_us
        return next_us

    def _begin(self, schedule: Schedule, tick: Tick) -> int:
        """Let a schedule begin or go back, and ask what came of it: it goes on from what is on record then."""
        if schedule.name not in self.begun:
            if tick.anew:
                logger.warning(
                    "the schedule %s goes on from now: the clock was put back by hours since its last tick", schedule.name
                )
            self.begun.add(schedule.name)
            self._send(tick)
            self._ask()
        return schedule.after(tick.due_us)

    def _started_us(self) -> int:
        """Return when the process began, by the wall clock as it goes now."""
        clock = self.clock
        return self.started_us - (clock.now_us() - clock.wall_us())

    def _send(self, tick: Tick) -> None:
        # Sent again until it is on record, whatever dies; the queue takes each tick once.
        self.pending.send("queue", tick, _SchedulerReply(self.directory), from_outside=False)
