"""`Orphans`: what was out when the run began, until it is known whether the process that has it lives.

Part of the queue actor; it outlives each. What becomes of an orphan is a rule (`events/queue/outcomes.take_back`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.actors.queue.consumers import origin_of
from perdure.events.queue import deadlines
from perdure.events.queue.state import FOREVER

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from perdure.actors.workers.pools.pool import Pool
    from perdure.events.commands import Orphan
    from perdure.events.queue.state import QueueState
    from perdure.events.structures.message import Message

__all__ = ["REATTACH_US", "Orphans"]

REATTACH_US = 1_000_000
"""How long the processes that share a folder have to report what they hold after another one has come to own it."""


class Orphans:
    """Deliveries of an earlier owner's time. Used by the queue's thread; `wait_us` is set before the first queue starts."""

    wait_us = 0
    """How long other processes have to report what they hold; 0: no other process holds anything."""
    had_members = True
    """Whether workers of other processes may hold deliveries; if False, only manual consumers may."""

    def __init__(self) -> None:
        self.taken_at_start = 0
        """How many deliveries were taken back when the run began."""
        self.held: dict[int, int] = {}
        """By number, the attempt of each delivery whose process is not known to be dead."""
        self.taken_back: dict[int, int] = {}
        """The same of each that no process has claimed in time. The process may only have been stopped."""
        self._by_hand: dict[int, int] = {}
        """The same of what was checked out by hand."""
        self.origins: Callable[[], Collection[str] | None] = lambda: None
        """Returns the names under which the connected processes check messages out; None: not all are known."""
        self.reconciled: Callable[[], None] = lambda: None
        """Called in each term of a queue once what the workers of this process hold no longer is revoked."""
        self.due_us = FOREVER

    def begin(self, state: QueueState, pools: Iterable[Pool], now_us: int) -> list[Orphan]:
        """Return what is to be taken back when a run begins: all that is out, or nothing yet where other processes may have it.

        What a consumer checked out is left to it if its process is connected by then.
        """
        found = self._begin(state, [*pools], now_us)
        self.taken_at_start = len(found)
        return found

    def _begin(self, state: QueueState, mine: list[Pool], now_us: int) -> list[Orphan]:
        if not self.wait_us:
            return deadlines.orphans(state)
        for message in state.all_out():
            lease = message.lease
            if lease is not None and lease.holder:
                self._by_hand[message.number] = lease.attempt
            elif lease is not None and not _is_open(message, mine):
                self.held[message.number] = lease.attempt
        lost: list[Orphan] = []
        if not self.had_members:
            held, self.held = self.held, {}
            lost = deadlines.orphans(state, lambda message: message.number in held)
        if self.held or self._by_hand:
            self.due_us = now_us + self.wait_us
        return lost

    @property
    def is_over(self) -> bool:
        """Whether nothing of an earlier owner's time is left to other processes any more. In any thread, once the run has begun."""
        return self.due_us >= FOREVER

    def due(self, state: QueueState, pools: Iterable[Pool], now_us: int) -> list[Orphan]:
        """Return what no process has claimed, once the time for that is over."""
        if now_us < self.due_us:
            return []
        held, self.held, self.due_us = self.held, {}, FOREVER
        by_hand, self._by_hand = self._by_hand, {}
        all_pools, origins = [*pools], self.origins()

        def is_lost(message: Message) -> bool:
            lease = message.lease
            if lease is not None and lease.holder:
                is_connected = origins is None or origin_of(lease.holder) in origins
                return by_hand.get(message.number) == lease.attempt and not is_connected
            return lease is not None and held.get(message.number) == lease.attempt and not _is_open(message, all_pools)

        lost = deadlines.orphans(state, is_lost)
        self.taken_back = {orphan.number: (held | by_hand)[orphan.number] for orphan in lost}
        return lost

    def again(self, state: QueueState) -> list[Orphan]:
        """Return what was taken back and is out under the same attempt again, since the disk has lost the record of that."""
        taken_back = self.taken_back

        def is_lost(message: Message) -> bool:
            return message.lease is not None and taken_back.get(message.number) == message.lease.attempt

        return deadlines.orphans(state, is_lost) if taken_back else []


def _is_open(message: Message, pools: list[Pool]) -> bool:
    """Return whether a worker, here or in another process, has this attempt of a message."""
    attempt_ref = (message.number, message.published.id, 0 if message.lease is None else message.lease.attempt)
    return any((found := pool.open.get(message.number)) is not None and found.attempt_ref == attempt_ref for pool in pools)
