"""The deliveries between the queue and its handlers' workers: how many may be out, which go out, which the workers have.

Which message is next is a rule (`events/queue/leasing`); the workers report what becomes of a delivery. Part of the queue actor:
nothing here has a thread, or state beyond a term.
"""

from __future__ import annotations

from itertools import groupby, repeat
from typing import TYPE_CHECKING

from perdure.actors.core.messages import BacklogGrew, Tell
from perdure.actors.queue.lost_runs import LostRuns
from perdure.actors.queue.shared_pools import SharedPools
from perdure.actors.workers.pools.pool import WorkerDelivery
from perdure.actors.workers.pools.worker_messages import Deliver, Subscribe
from perdure.events.handlers.sharing import capped
from perdure.events.queue import leasing, rates
from perdure.events.queue.outcomes import current
from perdure.events.queue.state import FOREVER
from perdure.events.runs import LeasedRun, count
from perdure.events.structures.message_block import BLOCK_MESSAGES, LeaseBatch

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from perdure.actors.queue.decision_pass import DecisionPass
    from perdure.actors.workers.pools.pool import Pool
    from perdure.events import vocabulary as ev
    from perdure.events.commands import Subscription

__all__ = ["Deliveries"]


class Deliveries:
    """The subscriptions of one term of the queue; the dispatcher sends them again in each term."""

    def __init__(self, queue: DecisionPass) -> None:
        self._queue = queue
        self._subscriptions: dict[str, Subscription] = {}
        """By type, that of all its pools together."""
        self._pools: dict[str, Pool | SharedPools] = {}
        self._by_pool: dict[str, dict[Pool, Subscription]] = {}
        self._shared: dict[str, SharedPools] = {}
        """The types that have several pools."""
        self._elsewhere: dict[Pool, Subscription] = {}
        """Those of other processes, which may be gone at any time."""
        self._backlog_grew: dict[str, Subscription] = {}
        self.lost_runs = LostRuns(queue, (), 0)
        self.has_more = False
        """More can be delivered than one look delivers."""

    def __contains__(self, type_name: str) -> bool:
        """Return whether a type has workers here."""
        return type_name in self._subscriptions

    def deliver(self, now_us: int) -> int:
        """Deliver what is ready; return the time at which a limited rate allows more."""
        queue = self._queue
        self.lost_runs.spend(now_us)
        if not self._subscriptions:
            self.has_more = False
            return FOREVER
        for pool in [pool for pool in self._elsewhere if pool.is_gone]:  # the dispatcher says so too, if it lives
            self.subscribe(Subscribe(self._elsewhere[pool], pool, leaves=True))
        for type_name, shared in self._shared.items():
            self._subscriptions[type_name] = shared.subscription()
        subscriptions = [*self._subscriptions.values()]
        leases = leasing.deliver(queue.state, subscriptions, now_us)
        # No run is longer than a message block.
        self.has_more = len(leases) * BLOCK_MESSAGES >= leasing.LEASES_MAX and count(leases) >= leasing.LEASES_MAX
        if leases:
            self._hand_out(leases, now_us)
        pace_us = FOREVER
        for subscription in subscriptions:
            if subscription.interval_us:
                pace_us = min(pace_us, rates.next_pace_us(queue.state, subscription, now_us))
            ready = leasing.pressing(queue.state, subscription)
            if ready and self._backlog_grew.get(subscription.type) is not subscription:  # once for each subscription
                self._backlog_grew[subscription.type] = subscription
                queue.written.append(Tell(queue.directory, "dispatcher", BacklogGrew(subscription.type, ready)))
        return pace_us

    def _hand_out(self, leases: list[ev.Leased | LeasedRun], now_us: int) -> None:
        queue = self._queue
        queue.apply([*leases])
        leased = queue.state.leased
        handed: dict[str, list[WorkerDelivery]] = {}
        for lease in leases:
            numbers = lease.numbers if isinstance(lease, LeasedRun) else (lease.number,)
            for held, group in groupby(numbers, leased.__getitem__):
                if isinstance(held, LeaseBatch):
                    block, mine = held.block, list(group)
                    i = block.position(mine[0])
                    made = map(WorkerDelivery, mine, repeat(held), block.payloads[i : i + len(mine)])
                    handed.setdefault(block.type, []).extend(made)
                elif held.lease is not None:
                    handed.setdefault(held.published.type, []).append(WorkerDelivery.of(held, held.lease))
        for type_name, deliveries in handed.items():
            subscription, pool = self._subscriptions[type_name], self._pools[type_name]
            if type(pool) is SharedPools:
                queue.written += [Deliver(part_of, part) for part_of, part in pool.divided(deliveries)]
            else:
                queue.written.append(Deliver(pool, deliveries))  # type: ignore[arg-type]  # a Pool, then
            if subscription.interval_us:
                queue.apply([rates.pace(queue.state, subscription, len(deliveries), now_us)])

    def subscribe(self, message: Subscribe) -> None:
        """Open, change or close a subscription. A new dispatcher does not know what its predecessor was to stop: revoke that."""
        type_name, pool = message.subscription.type, message.pool
        pools = self._by_pool.setdefault(type_name, {})
        before, alone = self._shared.pop(type_name, None), next(iter(pools), pool)
        pools.pop(pool, None)  # the one that subscribed last counts where options differ
        self._elsewhere.pop(pool, None)
        if not message.leaves and not pool.is_gone:
            pools[pool] = message.subscription
            if pool.is_elsewhere:
                self._elsewhere[pool] = message.subscription
        if len(pools) > 1:
            held = None if before is None else before.held
            shared = self._shared[type_name] = SharedPools(self._queue.state, pools, held, alone)
            self._pools[type_name], self._subscriptions[type_name] = shared, shared.subscription()
        elif pools:
            self._pools[type_name], subscription = next(iter(pools.items()))
            self._subscriptions[type_name] = capped(subscription)
        else:
            self._pools.pop(type_name, None)
            self._subscriptions.pop(type_name, None)
        self._revoke(pool)

    def reconcile(self, pools: Iterable[Pool], now_us: int, orphans: Container[int] = ()) -> None:
        """At the start of a term, bring together what the workers have and what the log says is out.

        Before anything is decided: a delivery whose lease was lost with its frame must not begin beside one that follows from a log
        without that lease. A process may still claim `orphans`.
        """
        queue = self._queue
        by_type: dict[str, list[Pool]] = {}
        for pool in pools:
            by_type.setdefault(pool.type, []).append(pool)
            for delivery in list(pool.open.values()):
                queue.take(delivery.claim_on_record(), now_us)
            self._revoke(pool)
        self.lost_runs = LostRuns(queue, [pool for of_type in by_type.values() for pool in of_type], now_us)
        missing: dict[str, list[WorkerDelivery]] = {}
        for delivery in map(self.delivery_of, [number for number in queue.state.leased if number not in orphans]):
            pools_of_it = by_type.get(delivery.type)
            if pools_of_it and not delivery.lease.holder and not any(pool.has(delivery) for pool in pools_of_it):
                missing.setdefault(delivery.type, []).append(delivery)
        queue.written += [Deliver(by_type[name][0], deliveries) for name, deliveries in missing.items()]

    def _revoke(self, pool: Pool) -> None:
        """Revoke deliveries whose lease is over: they do not begin, or their handlers see `ctx.cancelled`."""
        leased = self._queue.state.leased
        for delivery in list(pool.open.values()):
            # One with an outcome has ended the message, or will be refused; "lost" would let an older notice deliver it again.
            if delivery.outcome is not None or leased.get(delivery.number) is delivery.lease:
                continue  # ended, or out in the lease batch that it came with
            if current(self._queue.state, *delivery.attempt_ref) is None:
                pool.revoke(delivery)

    def delivery_of(self, number: int) -> WorkerDelivery:
        """Return the delivery of a message that is leased."""
        queue = self._queue
        held = queue.state.leased[number]
        if isinstance(held, LeaseBatch):
            return WorkerDelivery(number, held, held.block.payloads[held.block.position(number)])
        if held.lease is None:
            msg = f"message {number} is out without a lease"
            raise RuntimeError(msg)
        return WorkerDelivery.of(held, held.lease)
