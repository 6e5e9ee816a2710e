"""A set that knows its smallest member: `HeapSet`, for deadlines and for other members that leave out of order.

Discarded members take little room: stale entries never outnumber the members by more than `SLACK`.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["SLACK", "HeapSet"]

T = TypeVar("T")

SLACK = 32
"""How many stale entries may stay in the heap, however few members there are."""


class HeapSet(Generic[T]):
    """Members that can be compared with each other; adding or discarding any of them takes O(log n)."""

    __slots__ = ("_members", "heap")

    def __init__(self) -> None:
        self._members: set[T] = set()
        self.heap: list[Any] = []
        """All members and some stale entries; the first entry is the least member, never a stale one. To be read only."""

    def __len__(self) -> int:
        """Return the number of members."""
        return len(self._members)

    def __contains__(self, member: T) -> bool:
        """Return whether it is a member."""
        return member in self._members

    def __iter__(self) -> Iterator[T]:
        """Return all members, the least first."""
        return iter(sorted(self._members))  # type: ignore[type-var]  # what a heap holds can be ordered

    @property
    def first(self) -> T:
        """The least member. Raises IndexError where there is none."""
        least: T = self.heap[0]
        return least

    def add(self, member: T) -> None:
        """Add a member; nothing changes where it is one already."""
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
        """Return the members in order without sorting all: the first n take O(n log n). The set must not change meanwhile."""
        heap, members = self.heap, self._members
        frontier = [(heap[0], 0)] if heap else []
        before: Any = None
        while frontier:
            entry, i = heappop(frontier)
            # A member that was discarded and added again has two entries; equal entries follow each other.
            if entry in members and (before is None or entry != before):
                before = entry
                yield entry
            for child in (2 * i + 1, 2 * i + 2):
                if child < len(heap):
                    heappush(frontier, (heap[child], child))
