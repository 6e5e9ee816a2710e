"""Where each partition of a cluster is, for its host and its operators, and the way to one of them by its number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from perdure.arguments.choices import check_whole
from perdure.cluster.owning.keeper import node_of
from perdure.cluster.partition_info import PartitionInfo
from perdure.cluster.routed import Routed
from perdure.store.postgres.nodes import Leases, NodeSession

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from perdure.cluster.blueprint import Blueprint
    from perdure.cluster.owning.hosted import Hosting
    from perdure.cluster.partition_access import Partition, PartitionAccess
    from perdure.cluster.routed import SpreadIds
    from perdure.store.postgres.connecting.postgres_address import PostgresAddress
    from perdure.store.postgres.spread_ingress import SpreadIngress

__all__ = ["InnerCluster", "Placed"]


@attrs.frozen(eq=False, kw_only=True)
class InnerCluster:
    """The parts of a cluster, for the client that is made of the same parts."""

    database: PostgresAddress
    blueprint: Blueprint
    hosting: Hosting
    ids: SpreadIds
    spread: SpreadIngress
    access: PartitionAccess
    forked: Callable[[int], None]
    """Records, in a forked child, that the threads stayed in the parent, the process with this id."""


class Placed(Routed):
    """The part of a cluster that shows where its partitions are."""

    name: str
    _database: PostgresAddress
    _hosting: Hosting
    _blueprint: Blueprint

    def _stand_on(self, inner: InnerCluster) -> None:
        """Pass all requests through these parts."""
        self._database, self._blueprint, self._hosting = inner.database, inner.blueprint, inner.hosting
        self._ids, self._spread, self._access = inner.ids, inner.spread, inner.access
        self._mine, self._confirm = inner.hosting.mine, inner.blueprint.confirm

    def partitions(self) -> list[PartitionInfo]:
        """Return all partitions: which process owns each, how often it was taken over, and how many publishes wait for its owner.

        Raises:
            StoreUnavailable: the database cannot be reached.
        """
        view, waiting = self._seen()
        address_of = {node.name: node.address for node in view.nodes}
        held = {one.number: one for one in view.partitions}
        states = self._hosting.states()
        found = []
        for number in range(self.count):
            one = held.get(number)
            owner = "" if one is None or one.left_s <= 0 else node_of(one.owner)
            state = states.get(number)
            found.append(
                PartitionInfo(
                    number=number,
                    owner=address_of.get(owner, owner),
                    is_here=owner == self._blueprint.node and bool(owner),
                    epoch=0 if one is None else one.epoch,
                    lag=waiting.get(number, 0),
                    doing="" if state is None else state.value,
                )
            )
        return found

    def _seen(self) -> Any:
        session = NodeSession(self._database, self.name, "", "", Leases(self._blueprint.leases.seconds))
        try:
            return session.glance()
        finally:
            session.close()

    def _ingress_waits(self) -> bool:
        return any(self._seen()[1].values())

    def partition(self, number: int) -> Partition:
        """Return the System of a partition, or a Client of the process that owns it. For operators.

        Raises:
            ValueError: there is no such partition.
        """
        check_whole("number", number, 0, self.count - 1)
        self._check_running()
        return self._access.at(number)

    def through(self, number: int, call: Callable[[Partition], Any]) -> Any:
        """Return the result of a call on a partition, whatever process owns it.

        If the process that was asked stops meanwhile, the next owner is asked. So the call must count once, however often it is
        made.

        Args:
            number: the partition's number.
            call: a function of the partition's System or Client.

        Raises:
            NotRunning: the cluster does not run, or no owner was found within `Options.publish_timeout_s`.
            Whatever the call raises.
        """
        return self._access.through(number, call)

    def each(self, calls: Mapping[int, Callable[[Partition], Any]], *, is_act: bool = False) -> dict[int, Any]:
        """Return the results of calls on many partitions, by their numbers, in that order; each as `through`, several at a time.

        Args:
            calls: by the partition's number, a function of the partition's System or Client.
            is_act: the calls change something: if one fails, the others are made all the same.

        Raises:
            The error of the first partition that has one; its notes name the partition, and the errors of others.
        """
        return self._access.each(calls, is_act=is_act)

    def home_of(self, ident: str) -> int:
        """Return the number of the partition that a message's id belongs to."""
        return self._home(ident)

    def address_of(self, number: int) -> str:
        """Return the address of a partition's log, from which `perdure.Audit` reads. It may hold a password."""
        return self._blueprint.address(number)
