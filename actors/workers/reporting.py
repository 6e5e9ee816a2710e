"""Reporting: the outcomes of finished deliveries on their way to the queue.

Who finished them, a worker or the dispatcher in its place, and when it tells, is theirs to say; what follows is the queue's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perdure.actors.core.messages import Outcomes, Wake
from perdure.actors.workers.pool import DONE, Delivery, Pool
from perdure.events.commands import DoneRun

if TYPE_CHECKING:
    from perdure.actors.core.runtime import Runtime

__all__ = ["report"]


class _Confirm:
    """Reply to a report: its outcomes are on record, the pool can forget them."""

    __slots__ = ("deliveries", "pool", "runtime")

    def __init__(self, runtime: Runtime, pool: Pool, deliveries: list[Delivery]) -> None:
        self.runtime = runtime
        self.pool = pool
        self.deliveries = deliveries

    def resolve(self, value: Any) -> None:  # noqa: ARG002 - the protocol's name
        """See `Reply.resolve`; who stops the system waits for just this."""
        self.pool.confirmed(self.deliveries)
        if self.pool.closed:
            self.runtime.tell("dispatcher", Wake())

    def reject(self, error: BaseException) -> None:  # noqa: ARG002 - the protocol's name
        """See `Reply.reject`: nobody is left to take it; the next process takes the messages back."""
        self.pool.confirmed(self.deliveries)


def report(runtime: Runtime, pool: Pool, deliveries: list[Delivery]) -> None:
    """Send finished deliveries' outcomes to the queue, again and again until they are on record."""
    done = [delivery for delivery in deliveries if delivery.outcome is DONE]
    run = DoneRun([d.number for d in done], [d.lease for d in done]) if done else None  # type: ignore[misc]
    outcomes = Outcomes([d.outcome for d in deliveries if d.outcome is not DONE], run)
    runtime.pending.send("queue", outcomes, _Confirm(runtime, pool, deliveries), from_outside=False)
