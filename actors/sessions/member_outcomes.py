"""What a member reports of its deliveries: each outcome goes to the queue by the pool that has the delivery, or as hearsay.

Frames and subscriptions of the member are in `member_session`; what follows from an outcome is the queue's rule.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from perdure.actors.core.messages import Outcomes
from perdure.actors.sessions.delivered import REPORTS
from perdure.actors.sessions.framing.wire import BadFrame
from perdure.actors.workers.pools.pool import DONE
from perdure.events.commands import Done
from perdure.events.structures.message_block import LeaseBatch

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.actors.core.threads.answer import Reply
    from perdure.actors.requests.pending import PendingRequests
    from perdure.actors.sessions.delivered import Reported
    from perdure.actors.workers.pools.member_pool import MemberPool
    from perdure.actors.workers.pools.pool import WorkerDelivery
    from perdure.actors.workers.reporting import Reporter

__all__ = ["MemberOutcomes"]


class _AfterBoth:
    """Answers a reply once several parts of it are answered."""

    def __init__(self, reply: Reply, parts: int) -> None:
        self._reply = reply
        self._left = [None] * parts

    def resolve(self, value: Any) -> None:
        """See `Reply.resolve`."""
        self._left.pop()
        if not self._left:
            self._reply.resolve(value)

    def reject(self, error: BaseException) -> None:
        """See `Reply.reject`."""
        self._reply.reject(error)


class MemberOutcomes:
    """The outcomes of one member's deliveries. Called in the server's thread.

    Args:
        pools: the member's, by type; of its session.
        reporter: sends the outcomes of a pool's deliveries to the queue.
        pending: takes what no pool has a delivery for.
        monotonic_s: returns the time.
    """

    def __init__(
        self, pools: dict[str, MemberPool], reporter: Reporter, pending: PendingRequests, monotonic_s: Callable[[], float]
    ) -> None:
        self._pools = pools
        self._reporter = reporter
        self._pending = pending
        self._monotonic_s = monotonic_s
        self.reattaching: set[str] = set()
        """The types of which the queue has not said yet what the member may go on with."""
        self._waiting: deque[tuple[Reported, Reply]] = deque()

    def report(self, reported: Reported, reply: Reply) -> None:
        """Send outcomes on to the queue; `reply` is answered once all are on record.

        What the member had before it came may end before the queue has said whether it is still its own. Until then, outcomes
        wait: a pool does not have these deliveries yet, and as hearsay they would be refused, and stay out without an end.

        Raises:
            BadFrame: something in it is no outcome.
        """
        for report in reported.reports:
            if not isinstance(report, REPORTS):
                msg = f"a {type(report).__name__}, which is no outcome"
                raise BadFrame(msg)
        self._waiting.append((reported, reply))
        self.go_on()

    def go_on(self) -> None:
        """Send on what has waited, once the queue has said what the member holds."""
        while self._waiting and not self.reattaching:
            self._send(*self._waiting.popleft())

    def _send(self, reported: Reported, reply: Reply) -> None:
        by_pool: dict[str, list[WorkerDelivery]] = {}
        others: list[Any] = []
        for number in reported.done:
            self._done(number, by_pool, others)
        for report in reported.reports:
            pool, delivery = self._find(report.number)
            if pool is not None and delivery is not None and delivery.attempt_ref == report[:3] and delivery.outcome is None:
                delivery.outcome = report
                by_pool.setdefault(pool.type, []).append(delivery)
            else:
                others.append(report)
        parts = len(by_pool) + bool(others)
        if not parts:
            reply.resolve(None)
            return
        then = reply if parts == 1 else _AfterBoth(reply, parts)
        now_s = self._monotonic_s()
        for type_name, deliveries in by_pool.items():
            self._pools[type_name].count(deliveries, now_s)
            self._reporter.report(self._pools[type_name], deliveries, then)
        if others:
            self._pending.send("queue", Outcomes(others, is_hearsay=True), then, from_outside=False)

    def _done(self, number: int, by_pool: dict[str, list[WorkerDelivery]], others: list[Any]) -> None:
        pool, delivery = self._find(number)
        if pool is not None and delivery is not None and delivery.outcome is None and isinstance(delivery.lease, LeaseBatch):
            delivery.outcome = DONE
            by_pool.setdefault(pool.type, []).append(delivery)
            return
        for each in self._pools.values():
            late = each.late.pop(number, None)
            if late is not None:  # taken from it meanwhile: the rules refuse it, on record
                others.append(Done(*late.attempt_ref))
                return

    def _find(self, number: int) -> tuple[MemberPool | None, WorkerDelivery | None]:
        for pool in self._pools.values():
            delivery = pool.open.get(number)
            if delivery is not None:
                return pool, delivery
        return None, None
