"""Reporting: the outcomes of finished deliveries on their way to the queue.

When to report is up to the worker, or to the dispatcher in its place; what follows is decided by the queue.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perdure.actors.core.messages import Outcomes, Wake
from perdure.actors.workers.pools.pool import DONE, Pool, WorkerDelivery
from perdure.events.commands import DoneRun

if TYPE_CHECKING:
    from perdure.actors.core.actor import Home
    from perdure.actors.core.threads.answer import Reply
    from perdure.actors.requests.pending import PendingRequests

__all__ = ["Reporter"]


class _Confirm:
    """The reply to a report: its outcomes are on record, so the pool can forget the deliveries."""

    __slots__ = ("deliveries", "directory", "pool", "then")

    def __init__(self, directory: Home, pool: Pool, deliveries: list[WorkerDelivery], then: Reply | None) -> None:
        self.directory = directory
        self.pool = pool
        self.deliveries = deliveries
        self.then = then

    def resolve(self, value: Any) -> None:
        """See `Reply.resolve`; a stop waits for just this."""
        self.pool.confirmed(self.deliveries)
        if self.pool.closed:
            self.directory.tell("dispatcher", Wake())
        if self.then is not None:
            self.then.resolve(value)

    def reject(self, error: BaseException) -> None:
        """See `Reply.reject`: the system has stopped; the next process takes the messages back."""
        self.pool.confirmed(self.deliveries)
        if self.then is not None:
            self.then.reject(error)


class Reporter:
    """Sends the outcomes of finished deliveries to the queue, again and again until they are on record. Safe in any thread."""

    __slots__ = ("_directory", "_pending")

    def __init__(self, directory: Home, pending: PendingRequests) -> None:
        self._directory = directory
        self._pending = pending

    def report(self, pool: Pool, deliveries: list[WorkerDelivery], then: Reply | None = None) -> None:
        """Send the outcomes of these deliveries; `then` is answered once they are on record."""
        done = [delivery for delivery in deliveries if delivery.outcome is DONE]
        run = DoneRun([d.number for d in done], [d.lease for d in done]) if done else None  # type: ignore[misc]  # plain: lease batches
        outcomes = Outcomes([d.outcome for d in deliveries if d.outcome is not DONE], run)
        self._pending.send("queue", outcomes, _Confirm(self._directory, pool, deliveries, then), from_outside=False)
