"""A set that knows its smallest member: `HeapSet`, for deadlines and for whatever leaves in an order other than it came.

A data structure only. What is discarded takes no room: stale entries never outnumber the members by more than `SLACK`.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["SLACK", "HeapSet"]

T = TypeVar("T")

SLACK = 32
"""Stale entries that are left in the heap however few members there are."""


class HeapSet(Generic[T]):
    """Members that can be compared with each other; adding and discarding one costs O(log n), wherever it stands."""

    __slots__ = ("_members", "heap")

    def __init__(self) -> None:
        self._members: set[T] = set()
        self.heap: list[Any] = []
        """All members, and stale entries, of which the first is none: the least member is always in front. Only to be looked at."""

    def __len__(self) -> int:
        """Count the members."""
        return len(self._members)

    def __contains__(self, member: T) -> bool:
        """Tell whether it is a member."""
        return member in self._members

    def __iter__(self) -> Iterator[T]:
        """Give all members, the least first."""
        return iter(sorted(self._members))  # type: ignore[type-var]

    @property
    def first(self) -> T:
        """The least member. Raises IndexError where there is none."""
        least: T = self.heap[0]
        return least

    def add(self, member: T) -> None:
        """Enter a member; one that is there already stays as it is."""
        if member not in self._members:
            self._members.add(member)
            heappush(self.heap, member)

    def discard(self, member: T) -> None:
        """Remove a member, if it is one."""
        members, heap = self._members, self.heap
        if member not in members:
            return
        members.discard(member)
        while heap and heap[0] not in members:
            heappop(heap)
        if len(heap) > 2 * len(members) + SLACK:
            heap[:] = members
            heapify(heap)

    def ascending(self) -> Iterator[T]:
        """Give the members in order without sorting them all: the first n cost O(n log n). Not to be changed meanwhile."""
        heap, members = self.heap, self._members
        frontier = [(heap[0], 0)] if heap else []
        before: Any = None
        while frontier:
            entry, i = heappop(frontier)
            # One that was discarded and came back stands there twice; equal entries follow each other.
            if entry in members and (before is None or entry != before):
                before = entry
                yield entry
            for child in (2 * i + 1, 2 * i + 2):
                if child < len(heap):
                    heappush(frontier, (heap[child], child))
