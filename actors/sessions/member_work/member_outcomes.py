"""What a member reports of its deliveries: each outcome goes to the queue by the pool that has the delivery, or as hearsay.

Frames and subscriptions of the member are in `member_session`; what follows from an outcome is the queue's rule.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Any

from perdure.actors.core.messages import Outcomes
from perdure.actors.sessions.framing.delivered import REPORTS
from perdure.actors.sessions.framing.wire import BadFrame
from perdure.actors.workers.pools.pool import DONE
from perdure.events.commands import Done
from perdure.events.structures.message_block import LeaseBatch

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.actors.core.threads.answer import Reply
    from perdure.actors.requests.pending import PendingRequests
    from perdure.actors.sessions.framing.delivered import Reported
    from perdure.actors.workers.pools.member_pool import MemberPool
    from perdure.actors.workers.pools.pool import WorkerDelivery
    from perdure.actors.workers.reporting import Reporter

__all__ = ["WAITING_MAX", "MemberOutcomes"]

WAITING_MAX = 1 << 20
"""How many outcomes of one member may wait until the queue has decided what the member holds."""


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


def _size(reported: Reported) -> int:
    """Return how many outcomes there are; one at least, since a report without any is kept too."""
    return max(1, len(reported.done) + len(reported.reports))


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
        self._reattaching: Counter[str] = Counter()
        """By type, how many questions to the queue, of what the member may go on with, have no answer."""
        self._waiting: dict[int, tuple[Reported, Reply]] = {}
        """By the key of the member's request, in the order in which they came."""
        self._answered: deque[str] = deque()
        """The types that the queue has answered for since `go_on`: an actor's thread adds them, and the server's counts them."""
        self._n_waiting = 0
        """How many outcomes are in `_waiting`."""

    def reattach(self, type_name: str) -> None:
        """Let outcomes wait until the queue has decided what the member holds of a type."""
        self._reattaching[type_name] += 1

    def reattached(self, type_name: str) -> None:
        """Note that the queue has decided it; `go_on` sends what has waited. In any thread."""
        self._answered.append(type_name)

    def report(self, key: int, reported: Reported, reply: Reply) -> None:
        """Send outcomes on to the queue; `reply` is answered once all are on record.

        A delivery that the member brought along may end before the queue has decided whether it is still the member's. Until then
        its outcome waits: no pool has the delivery yet, and as hearsay the outcome would be refused, and the message stay out.

        Raises:
            BadFrame: something in it is no outcome, or too many outcomes wait.
        """
        for report in reported.reports:
            if not isinstance(report, REPORTS):
                msg = f"a {type(report).__name__}, which is no outcome"
                raise BadFrame(msg)
        self.forget(key)
        self._n_waiting += _size(reported)
        if self._n_waiting > WAITING_MAX:
            msg = f"more than {WAITING_MAX:,} outcomes before it is known which deliveries they belong to"
            raise BadFrame(msg)
        self._waiting[key] = reported, reply
        self.go_on()

    def forget(self, key: object) -> None:
        """Drop what waits under a key: the member does not wait for it any longer."""
        if isinstance(key, int) and (waiting := self._waiting.pop(key, None)) is not None:
            self._n_waiting -= _size(waiting[0])

    def go_on(self) -> None:
        """Send on what has waited, once the queue has decided what the member holds."""
        while self._answered:
            type_name = self._answered.popleft()
            self._reattaching[type_name] -= 1
            if self._reattaching[type_name] <= 0:
                del self._reattaching[type_name]
        while self._waiting and not self._reattaching:
            key = next(iter(self._waiting))
            reported, reply = self._waiting[key]
            self.forget(key)
            self._send(reported, reply)

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
