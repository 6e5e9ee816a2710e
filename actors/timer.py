"""The timer: one heap of deadlines, one thread that waits for the earliest.

It holds nothing that matters: who asked to be woken asks again when a new timer takes over.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

from perdure.actors.actor import Actor, ActorKilled
from perdure.actors.mailbox import stops
from perdure.actors.messages import Wake, WakeAt

if TYPE_CHECKING:
    from perdure.actors.mailbox import Mailbox
    from perdure.actors.stage import Stage

__all__ = ["Timer"]


class Timer(Actor):
    """Sends `Wake` at the time that was asked for; never earlier, and once."""

    def __init__(self, stage: Stage, name: str, generation: int) -> None:
        super().__init__(stage, name, generation)
        self.deadlines: list[tuple[int, str]] = []
        self.asked: dict[str, int] = {}

    def run(self) -> None:
        """Wait for the next deadline or the next message, whichever comes first."""
        inbox: Mailbox = self.actor_inbox  # type: ignore[assignment]
        clock = self.stage.clock
        while not self.actor_stopped.is_set():
            timeout_s = clock.seconds_until(self.deadlines[0][0]) if self.deadlines else None
            # Woken at least once an hour: a thread cannot wait for as long as a message can be delayed.
            items = inbox.drain(None if timeout_s is None else min(timeout_s, 3600.0))
            if self.killed:
                raise ActorKilled(self.name)
            if not self.take(items):
                return
            self._ring(clock.now_us())

    def take(self, items: list[Any]) -> bool:
        """Take note of what is asked; False when told to stop."""
        for item in items:
            match item:
                case WakeAt(name=name, at_us=at_us):
                    if self.asked.get(name) != at_us:
                        self.asked[name] = at_us
                        heappush(self.deadlines, (at_us, name))
                case _ if stops(item):
                    return False
        return True

    def _ring(self, now_us: int) -> None:
        while self.deadlines and self.deadlines[0][0] <= now_us:
            at_us, name = heappop(self.deadlines)
            if self.asked.get(name) == at_us:  # else it has asked for another time since
                del self.asked[name]
                self.stage.tell(name, Wake())
