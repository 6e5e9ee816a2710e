"""What must hold for the ticks of schedules: each is handled once and in order, whatever dies in between.

The schedules are in `scenarios.messages`; single messages are followed by `reference_model`.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import attrs

from perdure.actors.services.scheduler import Scheduler
from perdure.chaos.oracle.reference_model import require
from perdure.events import vocabulary as ev
from perdure.events.commands import Tick
from perdure.events.schedules.ticks import is_set_back

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from perdure.actors.requests.pending import PendingRequests
    from perdure.actors.requests.request import Request
    from perdure.chaos.simulation.simulated_executor import SimulatedExecutor

__all__ = ["SentTicks", "Ticks"]


@attrs.define
class _Schedule:
    missed: str
    step_us: int
    last_us: int = 0


@attrs.frozen
class _Sent:
    at_us: int
    started_us: int
    """When the process that sent it began, by the clock as it went then."""
    is_first: bool
    """Of those of its schedule that were sent in one turn."""

    def is_published(self, due_us: int, schedule: _Schedule) -> bool:
        """Return whether this tick has a message.

        A single one that fell due while the process ran is late. Others were missed.
        """
        is_last = due_us + schedule.step_us > self.at_us
        if self.is_first and is_last and due_us >= self.started_us:
            return True
        return schedule.missed == "all" or (schedule.missed == "last" and is_last)


class SentTicks:
    """When schedulers sent their ticks: by the clock as it was then, a tick was missed, or is early.

    It can be on record at any later moment, as its process may have no owner for so long. The clock may have been set back
    meanwhile, so that it is on record at a time before its own.
    """

    def __init__(self, executor: SimulatedExecutor) -> None:
        self._executor = executor
        self._sent: dict[tuple[str, int, bool], list[_Sent]] = {}
        self._turns: dict[str, tuple[PendingRequests, int]] = {}
        """By schedule: the turn in which one was sent last."""
        self._watched: weakref.WeakSet[PendingRequests] = weakref.WeakSet()

    def watch(self, pending: PendingRequests) -> None:
        """Take note from now on of what the scheduler of a process sends; called when the process begins, again without effect."""
        if pending in self._watched:
            return
        self._watched.add(pending)
        clock, executor, send = self._executor.clock, self._executor, pending.send
        began_us, forward_us = clock.passed_us, clock.put_forward_us

        def send_and_note(target: str, command: Any, *how: Any, **others: Any) -> Request:
            if isinstance(command, Tick) and isinstance(executor.current, Scheduler):  # not what a session passes on
                turn, before = (pending, executor.steps), self._turns.get(command.schedule)
                self._turns[command.schedule] = turn
                sent = self._sent.setdefault((command.schedule, command.due_us, command.draft is not None), [])
                now_us = clock.wall_us()
                runs_us = clock.passed_us - began_us + clock.put_forward_us - forward_us  # what it has skipped, it ran through
                sent.append(_Sent(now_us, now_us - runs_us, turn != before))
            return send(target, command, *how, **others)

        pending.send = send_and_note  # type: ignore[method-assign]  # each request of a process passes here once

    def of(self, schedule: str, due_us: int, *, is_published: bool) -> list[_Sent]:
        """Return when a tick was sent with a message, or without one."""
        return self._sent.get((schedule, due_us, is_published), [])


class Ticks:
    """Takes the events of the whole log in order. It knows the schedules, and nothing of the scheduler.

    Args:
        schedules: by name, which missed ticks are made up for (`all`, `last`, `none`), and the seconds between two ticks.
        sent: when they were sent.
    """

    def __init__(self, schedules: Mapping[str, tuple[str, float]], sent: SentTicks) -> None:
        self._sent = sent
        self._schedules = {name: _Schedule(missed, round(step * 1_000_000)) for name, (missed, step) in schedules.items()}
        self._published: dict[str, int] = {}
        """By schedule: the frame that contains a message whose tick is not recorded yet."""
        self.ids: set[str] = set()
        """Ids of messages that ticks have published."""

    def take(self, frame: int, event: ev.Event) -> None:
        """Check one event.

        Raises:
            BrokenContract: a tick is doubled, lost, early, or apart from its message.
        """
        match event:
            case ev.Published(id=ident, causation_id=None) if ident.partition("@")[0] in self._schedules:
                name = ident.partition("@")[0]
                require(name not in self._published, f"{ident} is published beside another tick that is not recorded")
                self._published[name] = frame
                self.ids.add(ident)
            case ev.Ticked(schedule=name, due_us=due_us):
                self._ticked(name, due_us, is_published=self._published.pop(name, -1) == frame)

    def _ticked(self, name: str, due_us: int, *, is_published: bool) -> None:
        schedule = self._schedules[name]
        sent = self._sent.of(name, due_us, is_published=is_published)
        require(bool(sent), f"no scheduler has sent the tick of {name} at {due_us}, which is published: {is_published}")
        early_us = due_us - min(each.at_us for each in sent)
        require(early_us <= 0, f"the tick of {name} at {due_us} is {early_us} us early")
        if is_set_back(schedule.last_us, due_us):  # the schedule goes on from the new time; ticks before it are done
            require(not is_published, f"{name} published a message as it went on after the clock was set back")
            schedule.last_us = due_us
            return
        require(due_us > schedule.last_us, f"the tick of {name} at {due_us} is handled after the one at {schedule.last_us}")
        if not schedule.last_us:
            require(not is_published, f"{name} published a message as it began")
        else:
            following_us = schedule.last_us - schedule.last_us % schedule.step_us + schedule.step_us
            require(due_us == following_us, f"{name} went from {schedule.last_us} to {due_us}, skipping its tick at {following_us}")
            is_right = all(each.is_published(due_us, schedule) is is_published for each in sent)
            require(
                is_right, f"the tick of {name} at {due_us} has {'a' if is_published else 'no'} message, against `{schedule.missed}`"
            )
        schedule.last_us = due_us

    def close(self, now_us: int) -> None:
        """Check the end: every message has its tick, and no tick that was due is missing.

        Raises:
            BrokenContract: one is missing.
        """
        require(not self._published, f"messages without their ticks: {_list(self._published)}")
        late = [name for name, schedule in self._schedules.items() if now_us >= schedule.last_us + schedule.step_us]
        require(not late, f"ticks that were due are missing: {_list(late)}")


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
