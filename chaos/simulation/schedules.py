"""The schedules of a night, and what must hold of their ticks: each is dealt with once, in line, whatever dies in between.

The handlers of a night's other messages are in `night_work`; the record of single messages is in `reference_model`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from perdure.chaos.oracle.reference_model import demand
from perdure.events import vocabulary as ev
from perdure.events.schedules.ticks import is_set_back

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from perdure.handling.schedules import Missed

__all__ = ["SCHEDULES", "Ticks"]

SCHEDULES: dict[str, tuple[Missed, float]] = {
    "night.each": ("all", 1_500.0),
    "night.latest": ("last", 1_100.0),
    "night.punctual": ("none", 1_900.0),
}
"""By name: which of the ticks that were missed are made up for, and the seconds between two."""


@attrs.define
class _Schedule:
    missed: str
    step_us: int
    last_us: int = 0
    passed_over: bool = False
    """The last tick was dealt with without a message."""


class Ticks:
    """Takes the facts of the whole log, in order; of schedules it knows what `SCHEDULES` says, and nothing of the scheduler."""

    def __init__(self, starts_us: Sequence[int]) -> None:
        self._starts_us = starts_us
        self._schedules = {name: _Schedule(missed, round(step * 1_000_000)) for name, (missed, step) in SCHEDULES.items()}
        self._published: dict[str, int] = {}
        """By schedule: the frame that holds a message whose tick is not on record yet."""
        self.ids: set[str] = set()
        """Of messages that ticks have published."""

    def take(self, frame: int, at_us: int, event: ev.Event) -> None:
        """Look at one fact.

        Raises:
            BrokenPromise: a tick is doubled, lost, early, or apart from its message.
        """
        match event:
            case ev.Published(id=ident, causation_id=None) if ident.partition("@")[0] in self._schedules:
                name = ident.partition("@")[0]
                demand(name not in self._published, f"{ident} is published beside another tick that is not on record")
                self._published[name] = frame
                self.ids.add(ident)
            case ev.Ticked(schedule=name, due_us=due_us):
                self._ticked(name, due_us, at_us, is_published=self._published.pop(name, -1) == frame)

    def _ticked(self, name: str, due_us: int, at_us: int, *, is_published: bool) -> None:
        schedule = self._schedules[name]
        if is_set_back(schedule.last_us, due_us):  # it goes on from the new time; ticks up to that are dealt with
            demand(not is_published, f"{name} went on after the clock was put back with a message")
            schedule.last_us, schedule.passed_over = due_us, True
            return
        demand(due_us > schedule.last_us, f"the tick of {name} at {due_us} is dealt with after the one at {schedule.last_us}")
        demand(due_us <= at_us, f"the tick of {name} at {due_us} came {due_us - at_us} us early")
        if not schedule.last_us:
            demand(not is_published, f"{name} began with a message")
        else:
            following_us = schedule.last_us - schedule.last_us % schedule.step_us + schedule.step_us
            demand(due_us == following_us, f"{name} went from {schedule.last_us} to {due_us}, past its tick at {following_us}")
            missed = due_us + schedule.step_us <= at_us or any(due_us <= start_us <= at_us for start_us in self._starts_us)
            match schedule.missed:
                case "all":
                    demand(is_published, f"the tick of {name} at {due_us} has no message")
                case "last":
                    demand(is_published or missed, f"the last tick of {name} at {due_us} has no message")
                case "none":
                    demand(is_published or missed or schedule.passed_over, f"the tick of {name} at {due_us} was not missed")
        schedule.last_us, schedule.passed_over = due_us, not is_published

    def close(self, now_us: int) -> None:
        """All facts were taken: no message may be without its tick, and no tick may be missing.

        Raises:
            BrokenPromise: one is.
        """
        demand(not self._published, f"messages without their ticks: {_list(self._published)}")
        late = [name for name, schedule in self._schedules.items() if now_us >= schedule.last_us + schedule.step_us]
        demand(not late, f"ticks that were due are lost: {_list(late)}")


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
