"""The pools of one type where several processes handle it: what each has in hand, and the division of what goes out.

The rule is in `events/handlers/sharing`. Part of the queue actor, for one term.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.events.handlers.sharing import Share, divide, summed
from perdure.events.structures.message_block import LeaseBatch
from perdure.events.structures.ready_queue import version_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from perdure.actors.workers.pools.pool import Pool, WorkerDelivery
    from perdure.events.commands import Subscription
    from perdure.events.queue.state import QueueState

__all__ = ["SharedPools"]


class SharedPools:
    """Several pools of one type. Made anew, with what is known by then, whenever one comes, changes or goes."""

    def __init__(
        self, state: QueueState, subscriptions: Mapping[Pool, Subscription], before: Mapping[Pool, set[int]] | None, first: Pool
    ) -> None:
        self._state = state
        self._pools = [*subscriptions]
        self._subscriptions = [*subscriptions.values()]
        self._versions = [subscription.version for subscription in self._subscriptions]
        self._type = self._subscriptions[0].type
        self._turn = 0
        self.held: dict[Pool, set[int]] = {}
        """The numbers of what was handed to each, some of which may have ended."""
        running = {pool: self._running(pool) for pool in self._pools}
        for pool in self._pools:
            self.held[pool] = {*running[pool], *(before or {}).get(pool, ())}
        if before is None:  # what no other has was handed to the pool that was alone, and may be on its way there
            self.held[first] |= self._out()
        for pool, held in self.held.items():  # a process may subscribe before it reports what it has: until then the first had it
            held.difference_update(*(numbers for other, numbers in running.items() if other is not pool))

    def _running(self, pool: Pool) -> list[int]:
        """Return the numbers of what a pool has open under the lease that is in force, so that no other has it."""
        found = []
        for number, delivery in list(pool.open.items()):
            held = self._state.leased.get(number)
            lease = held if held is None or isinstance(held, LeaseBatch) else held.lease
            if lease is not None and lease.attempt == delivery.lease.attempt:
                found.append(number)
        return found

    def _out(self) -> set[int]:
        found = set()
        for number, held in self._state.leased.items():
            if isinstance(held, LeaseBatch):
                if held.block.type == self._type:
                    found.add(number)
            elif held.published.type == self._type and held.lease is not None and not held.lease.holder:
                found.add(number)
        return found

    def subscription(self) -> Subscription:
        """Return the subscription of the type as a whole, as things are now."""
        counts, shares = self._state.by_type.get(self._type), self._shares()
        out = counts.out if counts is not None else 0
        return summed(self._subscriptions, shares, out)

    def _shares(self) -> list[Share]:
        leased, shares = self._state.leased, []
        for pool, subscription in zip(self._pools, self._subscriptions, strict=True):
            held = self.held[pool] = {number for number in self.held[pool] if number in leased}
            free = min(subscription.parallelism, subscription.window) - len(held)
            shares.append(Share(max(0, free), max(0, subscription.window - len(held))))
        return shares

    def divided(self, deliveries: list[WorkerDelivery]) -> Iterable[tuple[Pool, list[WorkerDelivery]]]:
        """Return what each pool takes of these deliveries, which are leased since `subscription`."""
        numbers = {delivery.number for delivery in deliveries}
        for pool in self._pools:
            self.held[pool] -= numbers  # it may have had one of them before
        self._turn += 1
        parts: dict[Pool, list[WorkerDelivery]] = {}
        for wanted, alike in self._by_version(deliveries):
            at = 0
            shares = [
                share if not wanted or version >= wanted else Share(0, -1)
                for share, version in zip(self._shares(), self._versions, strict=True)
            ]
            for i, n in divide(len(alike), shares, self._turn):
                parts.setdefault(self._pools[i], []).extend(alike[at : at + n])
                self.held[self._pools[i]].update([delivery.number for delivery in alike[at : at + n]])
                at += n
        return parts.items()

    def _by_version(self, deliveries: list[WorkerDelivery]) -> list[tuple[int, list[WorkerDelivery]]]:
        """Return the deliveries by the version that a pool must know; 0: any will do. Those that few pools know come first."""
        oldest = min(self._versions)
        found: dict[int, list[WorkerDelivery]] = {}
        for delivery in deliveries:
            version = 1 if delivery.record is None else version_of(delivery.record)
            found.setdefault(version if version > oldest > 0 else 0, []).append(delivery)
        return sorted(found.items(), reverse=True)
