"""What must hold for the ticks of schedules: each is handled once and in order, whatever dies in between.

The schedules are in `scenarios.messages`; single messages are followed by `reference_model`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from perdure.chaos.oracle.reference_model import require
from perdure.events import vocabulary as ev
from perdure.events.schedules.ticks import is_set_back

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["Ticks"]


@attrs.define
class _Schedule:
    missed: str
    step_us: int
    last_us: int = 0
    skipped: bool = False
    """The last tick was handled without a message."""


class Ticks:
    """Takes the events of the whole log in order. It knows the schedules, and nothing of the scheduler.

    Args:
        schedules: by name, which missed ticks are made up for (`all`, `last`, `none`), and the seconds between two ticks.
        starts_us: when processes began, and when each was running.
        latest_us: the latest time that the clock showed before it was set back while members lived. A tick that one had sent then
            is on record at a time before its own.
    """

    def __init__(self, schedules: Mapping[str, tuple[str, float]], starts_us: Sequence[int], latest_us: int = 0) -> None:
        self._latest_us = latest_us
        self._starts_us = starts_us
        self._schedules = {name: _Schedule(missed, round(step * 1_000_000)) for name, (missed, step) in schedules.items()}
        self._published: dict[str, int] = {}
        """By schedule: the frame that contains a message whose tick is not recorded yet."""
        self.ids: set[str] = set()
        """Ids of messages that ticks have published."""

    def take(self, frame: int, at_us: int, event: ev.Event) -> None:
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
                self._ticked(name, due_us, at_us, is_published=self._published.pop(name, -1) == frame)

    def _ticked(self, name: str, due_us: int, at_us: int, *, is_published: bool) -> None:
        schedule = self._schedules[name]
        if is_set_back(schedule.last_us, due_us):  # the schedule goes on from the new time; ticks before it are done
            require(not is_published, f"{name} published a message as it went on after the clock was set back")
            schedule.last_us, schedule.skipped = due_us, True
            return
        require(due_us > schedule.last_us, f"the tick of {name} at {due_us} is handled after the one at {schedule.last_us}")
        require(due_us <= max(at_us, self._latest_us), f"the tick of {name} at {due_us} is {due_us - at_us} us early")
        if not schedule.last_us:
            require(not is_published, f"{name} published a message as it began")
        else:
            following_us = schedule.last_us - schedule.last_us % schedule.step_us + schedule.step_us
            require(due_us == following_us, f"{name} went from {schedule.last_us} to {due_us}, skipping its tick at {following_us}")
            missed = due_us + schedule.step_us <= at_us or any(due_us <= start_us <= at_us for start_us in self._starts_us)
            match schedule.missed:
                case "all":
                    require(is_published, f"the tick of {name} at {due_us} has no message")
                case "last":
                    require(is_published or missed, f"the last tick of {name} at {due_us} has no message")
                case "none":
                    require(
                        is_published or missed or schedule.skipped,
                        f"the tick of {name} at {due_us} was not missed and has no message",
                    )
        schedule.last_us, schedule.skipped = due_us, not is_published

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
