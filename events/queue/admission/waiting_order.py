"""The order of publishes that wait for room in the backlog: first come, first served, each until its deadline.

Pure: the time comes from the caller. Whether there is room is decided in `publishing`; answers are given by
`actors/queue/waiting_publishers`.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar

from perdure.events.structures.heap_set import HeapSet

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["WaitingOrder"]

T = TypeVar("T")


class WaitingOrder(Generic[T]):
    """Items that wait, each under a key and until a deadline.

    A pass looks at those that it admits, at the first that finds no room, and at those whose deadline has passed; at no others.
    """

    __slots__ = ("_deadlines", "_items")

    def __init__(self) -> None:
        self._items: OrderedDict[int, tuple[int, T]] = OrderedDict()
        """Key to (deadline_us, item)."""
        self._deadlines: HeapSet[tuple[int, int]] = HeapSet()
        """(deadline_us, key)."""

    def __len__(self) -> int:
        """Count the items."""
        return len(self._items)

    def add(self, key: int, deadline_us: int, item: T) -> None:
        """Let an item wait behind all others; one that waits under this key already keeps its turn."""
        before = self._items.get(key)
        if before is not None:
            self._deadlines.discard((before[0], key))
        self._items[key] = (deadline_us, item)
        self._deadlines.add((deadline_us, key))

    def admit(self, now_us: int, leaves: Callable[[T, bool], bool]) -> None:
        """Take out the items that leave.

        `leaves(item, is_last_try)` returns whether an item leaves, because it was accepted or refused. Items are tried in order up
        to the first that stays, for which the others wait. Then each item whose deadline has passed is tried for the last time,
        and leaves whatever is returned.
        """
        while self._items:
            key, (deadline_us, item) = next(iter(self._items.items()))
            if not leaves(item, deadline_us <= now_us):
                break
            self._remove(key)
        while self._deadlines and self._deadlines.first[0] <= now_us:
            key = self._deadlines.first[1]
            leaves(self._items[key][1], True)  # noqa: FBT003 - a callback's second argument
            self._remove(key)

    def _remove(self, key: int) -> None:
        deadline_us, _ = self._items.pop(key)
        self._deadlines.discard((deadline_us, key))

    def next_deadline_us(self) -> int:
        """Return the first deadline.

        Raises:
            IndexError: nothing waits.
        """
        return self._deadlines.first[0]
