"""`OfAll`: what asks all partitions of a queue, and what it needs of the queue. How several are asked at once is in `at_once`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from perdure.cluster.partition_access import Partition

__all__ = ["OfAll", "Partitioned"]


class Partitioned(Protocol):
    """What is needed of a cluster."""

    count: int

    def through(self, number: int, call: Callable[[Partition], Any]) -> Any:
        """Return what a call on a partition answers."""

    def each(self, calls: Mapping[int, Callable[[Partition], Any]], *, is_act: bool = False) -> dict[int, Any]:
        """Return what calls on many partitions answer, by their numbers, in that order; see `perdure.cluster.acts.at_once`."""

    def home_of(self, ident: str) -> int:
        """Return the partition of a message."""

    def address_of(self, number: int) -> str:
        """Return the address of a partition's log."""


class OfAll:
    """Asks all partitions of a queue."""

    def __init__(self, cluster: Partitioned) -> None:
        self._cluster = cluster

    @property
    def partitions(self) -> int:
        """How many there are."""
        return self._cluster.count

    def _each(self, call: Callable[[Partition], Any], *, is_act: bool = False) -> list[Any]:
        """Return what a call answers in each partition, in their order."""
        return [*self._cluster.each(dict.fromkeys(range(self._cluster.count), call), is_act=is_act).values()]
