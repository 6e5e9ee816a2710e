"""`OfAll`: what asks all partitions of a queue, one after the other; and what it needs of the queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.cluster.partition_access import Partition

__all__ = ["OfAll", "Partitioned"]


class Partitioned(Protocol):
    """What is needed of a cluster."""

    count: int

    def through(self, number: int, call: Callable[[Partition], Any]) -> Any:
        """Return what a call on a partition answers."""

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

    def _each(self, call: Callable[[Partition], Any]) -> list[Any]:
        return [self._cluster.through(number, call) for number in range(self._cluster.count)]
