"""Backpressure: publishes that wait for room in the backlog, each until its time is over.

How much room there is, and in which order publishes get it, are rules (`events/queue/admission`). How a
publish is accepted is in `admission`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.events.errors import PerdureError, QueueFull
from perdure.events.queue.admission.waiting_order import WaitingOrder

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.actors.requests.pending import PendingRequests
    from perdure.actors.requests.request import Request
    from perdure.events.commands import Publish

__all__ = ["WaitingPublishers"]


class WaitingPublishers:
    """The publishes that wait, and the refusals of those that waited in vain."""

    __slots__ = ("_pending", "_timeout_us", "waiting")

    def __init__(self, pending: PendingRequests, timeout_s: float) -> None:
        self._pending = pending
        self._timeout_us = round(timeout_s * 1_000_000)
        self.waiting: WaitingOrder[Request] = WaitingOrder()

    def add(self, request: Request, now_us: int) -> None:
        """Add a publish that waits for room."""
        publish: Publish = request.command
        if not publish.deadline_us:  # sent a second time, it keeps its time
            publish.deadline_us = now_us + self._timeout_us
        self.waiting.add(request.key, publish.deadline_us, request)

    def admit(self, now_us: int, accept: Callable[[Request, int], None]) -> None:
        """Accept waiting publishes until `accept` raises `QueueFull`; refuse those whose deadline has passed."""
        pending = self._pending

        def leaves(request: Request, is_last_try: bool) -> bool:  # noqa: FBT001 - the callback's signature
            if request.key in pending.outstanding:
                try:
                    accept(request, now_us)
                except QueueFull as error:
                    if not is_last_try:
                        return False
                    pending.refuse(request, error)
                except PerdureError as error:
                    pending.refuse(request, error)
            return True

        self.waiting.admit(now_us, leaves)

    def next_deadline_us(self) -> int:
        """Return when the time of the first of them is over; at least one must wait."""
        return self.waiting.next_deadline_us()
