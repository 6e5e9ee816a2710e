"""`OfAll`, the base of what asks all partitions of a queue, and `Partitioned`, what it needs of the queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from perdure.cluster.partition_access import Partition

__all__ = ["OfAll", "Partitioned"]


class Partitioned(Protocol):
    """The calls of a cluster that `OfAll` needs."""

    count: int

    def through(self, number: int, call: Callable[[Partition], Any]) -> Any:
        """Return the result of a call on a partition."""

    def each(self, calls: Mapping[int, Callable[[Partition], Any]], *, is_act: bool = False) -> dict[int, Any]:
        """Return the results of calls on many partitions, by their numbers, in that order; see `perdure.cluster.acts.at_once`."""

    def home_of(self, ident: str) -> int:
        """Return the partition of a message."""

    def address_of(self, number: int) -> str:
        """Return the address of a partition's log."""


class OfAll:
    """The base of what asks all partitions of a queue."""

    def __init__(self, cluster: Partitioned) -> None:
        self._cluster = cluster

    @property
    def partitions(self) -> int:
        """How many partitions the queue has."""
        return self._cluster.count

    def _each(self, call: Callable[[Partition], Any], *, is_act: bool = False) -> list[Any]:
        """Return the result of a call in each partition, in their order."""
        return [*self._cluster.each(dict.fromkeys(range(self._cluster.count), call), is_act=is_act).values()]
