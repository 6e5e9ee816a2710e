"""Backpressure: publishes that wait for room in the backlog, each until its time is over.

How much room there is, is a rule (`events/queue/publishing`), and the queue's word; here is who waits for it, in which order.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from perdure.events.errors import PerdureError, QueueFull
from perdure.events.structures.heap_set import HeapSet

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.actors.requests.pending import PendingRequests, Request
    from perdure.events.commands import Publish

__all__ = ["WaitingPublishers"]


class WaitingPublishers:
    """First come, first served. A pass looks at those it lets in, the first that finds no room, and those whose time is over."""

    __slots__ = ("_deadlines", "_pending", "_timeout_us", "parked")

    def __init__(self, pending: PendingRequests, timeout_s: float) -> None:
        self._pending = pending
        self._timeout_us = round(timeout_s * 1_000_000)
        self.parked: OrderedDict[int, tuple[Request, Publish]] = OrderedDict()
        """By the request's key."""
        self._deadlines: HeapSet[tuple[int, int]] = HeapSet()
        """(deadline_us, key)."""

    def park(self, request: Request, publish: Publish, now_us: int) -> None:
        """Let a publish wait for room."""
        if not publish.deadline_us:  # sent a second time, it keeps its time
            publish.deadline_us = now_us + self._timeout_us
        self.parked[request.key] = (request, publish)
        self._deadlines.add((publish.deadline_us, request.key))

    def _leave(self, request: Request, publish: Publish) -> None:
        self.parked.pop(request.key, None)
        self._deadlines.discard((publish.deadline_us, request.key))

    def admit(self, now_us: int, let_in: Callable[[Request, Publish, int], None]) -> None:
        """Let in who waits for room, as far as there is some (`let_in` says `QueueFull` where not); refuse whose time is over."""
        while self.parked:
            request, publish = next(iter(self.parked.values()))
            if not self._try(request, publish, now_us, let_in):
                break  # who comes first has not fitted in, and the others wait for that
        while self._deadlines and self._deadlines.first[0] <= now_us:
            request, publish = self.parked[self._deadlines.first[1]]
            self._try(request, publish, now_us, let_in)

    def _try(self, request: Request, publish: Publish, now_us: int, let_in: Callable[[Request, Publish, int], None]) -> bool:
        """Let one in, or refuse it; False where it goes on waiting."""
        pending = self._pending
        if request.key in pending.outstanding:
            try:
                let_in(request, publish, now_us)
            except QueueFull as error:
                if publish.deadline_us > now_us:
                    return False
                pending.refuse(request, error)
            except PerdureError as error:
                pending.refuse(request, error)
        self._leave(request, publish)
        return True

    def next_deadline_us(self) -> int:
        """When the time of the first of those who wait is over; there must be one."""
        return self._deadlines.first[0]
