"""The timer: one set of deadlines, one thread that waits for the earliest.

It holds nothing that is lost with it: actors that wait for a `Wake` ask again when a new timer takes over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perdure.actors.core.actor import Actor
from perdure.actors.core.messages import Wake, WakeAt
from perdure.actors.core.threads.mailbox import stops
from perdure.events.structures.heap_set import HeapSet

if TYPE_CHECKING:
    from perdure.actors.core.actor import Home
    from perdure.actors.core.clock import Clock

__all__ = ["Timer"]


LOOK_S = 2.0
"""How often the clock is looked at while there is a deadline."""


class Timer(Actor):
    """Sends `Wake` at the time that was asked for; never earlier, and once."""

    def __init__(self, directory: Home, clock: Clock, generation: int) -> None:
        super().__init__(directory, "timer", generation)
        self.clock = clock
        self.deadlines: HeapSet[tuple[int, str]] = HeapSet()
        self.asked: dict[str, int] = {}

    def patience_s(self) -> float | None:
        """See `Actor.patience_s`: until the next deadline, at most `LOOK_S`: the clock may be corrected, or the machine sleep."""
        timeout_s = self.clock.seconds_until(self.deadlines.first[0]) if self.deadlines else None
        return None if timeout_s is None else min(timeout_s, LOOK_S)

    def turn(self, items: list[Any]) -> bool:
        """Enter the deadlines that are asked for, and wake the actors whose deadline has passed."""
        for item in items:
            match item:
                case WakeAt(name=name, at_us=at_us):
                    self.deadlines.discard((self.asked.get(name, 0), name))
                    self.asked[name] = at_us
                    self.deadlines.add((at_us, name))
                case _ if stops(item):
                    return False
        self._notify(self.clock.now_us())
        return True

    def _notify(self, now_us: int) -> None:
        while self.deadlines and self.deadlines.first[0] <= now_us:
            _, name = due = self.deadlines.first
            self.deadlines.discard(due)
            del self.asked[name]
            self.directory.tell(name, Wake())
