"""Backpressure: publishes that wait for room in the backlog, each until its time is over.

How much room there is, and in which order publishes get it, are rules (`events/queue`: `publishing`, `waiting_order`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.events.errors import PerdureError, QueueFull
from perdure.events.queue.waiting_order import WaitingOrder

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.actors.requests.pending import PendingRequests, Request
    from perdure.events.commands import Publish

__all__ = ["WaitingPublishers"]


class WaitingPublishers:
    """The publishes that wait, and the answers of those that leave."""

    __slots__ = ("_pending", "_timeout_us", "parked")

    def __init__(self, pending: PendingRequests, timeout_s: float) -> None:
        self._pending = pending
        self._timeout_us = round(timeout_s * 1_000_000)
        self.parked: WaitingOrder[tuple[Request, Publish]] = WaitingOrder()

    def park(self, request: Request, publish: Publish, now_us: int) -> None:
        """Let a publish wait for room."""
        if not publish.deadline_us:  # sent a second time, it keeps its time
            publish.deadline_us = now_us + self._timeout_us
        self.parked.add(request.key, publish.deadline_us, (request, publish))

    def admit(self, now_us: int, let_in: Callable[[Request, Publish, int], None]) -> None:
        """Let in who waits for room, as far as there is some (`let_in` says `QueueFull` where not); refuse whose time is over."""
        pending = self._pending

        def leaves(waiting: tuple[Request, Publish], is_last_try: bool) -> bool:  # noqa: FBT001 - the callback's signature
            request, publish = waiting
            if request.key in pending.outstanding:
                try:
                    let_in(request, publish, now_us)
                except QueueFull as error:
                    if not is_last_try:
                        return False
                    pending.refuse(request, error)
                except PerdureError as error:
                    pending.refuse(request, error)
            return True

        self.parked.admit(now_us, leaves)

    def next_deadline_us(self) -> int:
        """When the time of the first of those who wait is over; there must be one."""
        return self.parked.next_deadline_us()
