"""`LostRuns`: attempts that a worker may run though the log knows nothing of that, since a failed sync has lost their leases.

Part of the queue actor, for one term. A lease that the log can have back is put on record again in `deliveries`; here are the rest:
their messages were lost with them and may be published again, or wait, or the attempt was taken from its process and only that was
lost. Nothing else may begin the same attempt, so its number is spent before the message is handed out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.actors.workers.pools.member_pool import MemberPool
from perdure.events.commands import Spend
from perdure.events.queue.outcomes import current

if TYPE_CHECKING:
    from collections.abc import Iterable

    from perdure.actors.queue.decision_pass import DecisionPass
    from perdure.actors.workers.pools.pool import Pool, WorkerDelivery
    from perdure.events.commands import ExpireLease, ReassertLease, Release

__all__ = ["LostRuns"]

RUNS_MAX = 10_000
"""How many are remembered at most, from the pools that are looked at first."""


class LostRuns:
    """Made anew at the start of a term, once the leases that the log lacks are on record again."""

    def __init__(self, queue: DecisionPass, pools: Iterable[Pool], now_us: int) -> None:
        self._queue = queue
        self._claims: dict[tuple[str, int], ReassertLease] = {}
        """By id and attempt."""
        all_pools = [*pools]
        for pool in all_pools:
            if isinstance(pool, MemberPool):
                for claim, end in list(pool.taken_back.values()):
                    self._look(claim, end, all_pools, now_us)
            for delivery in list(pool.open.values()):
                self._look_at_open(delivery)

    def _look_at_open(self, delivery: WorkerDelivery) -> None:
        if current(self._queue.state, *delivery.attempt_ref) is None and not self._is_over(delivery.id, delivery.lease.attempt):
            self._add(delivery.claim_on_record())

    def _look(self, claim: ReassertLease, end: ExpireLease | Release, pools: Iterable[Pool], now_us: int) -> None:
        """Look at one that was taken from its process: it ends again where the log has only lost that."""
        attempt_ref = (claim.number, claim.id, claim.lease.attempt)
        if self._is_over(claim.id, claim.lease.attempt):
            return
        if current(self._queue.state, *attempt_ref) is None:
            self._add(claim)
        elif not any((held := pool.open.get(claim.number)) is not None and held.attempt_ref == attempt_ref for pool in pools):
            self._queue.take(end, now_us)

    def _add(self, claim: ReassertLease) -> None:
        if len(self._claims) < RUNS_MAX:
            self._claims[claim.id, claim.lease.attempt] = claim

    def _is_over(self, ident: str, attempt: int) -> bool:
        """Return whether no lease can get this number any more."""
        state = self._queue.state
        message = state.by_id(ident)
        if message is None:
            number = state.ids.get(ident)
            dead = state.dead.get(number) if number else None  # one that is replayed goes on with the number after its last
            return bool(number) and (dead is None or dead.last >= attempt)
        return message.attempts >= attempt or (message.lease is not None and message.lease.attempt > attempt)

    def spend(self, now_us: int) -> None:
        """Spend the numbers of those whose messages are there. Called before anything is handed out."""
        for key, claim in list(self._claims.items()) if self._claims else ():
            message = self._queue.state.by_id(claim.id)
            if message is not None:
                lease = claim.lease
                self._queue.take(Spend(message.number, claim.id, lease.attempt, lease.retries, lease.uncounted), now_us)
            if self._is_over(*key):
                del self._claims[key]
