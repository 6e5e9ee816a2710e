"""The live messages of one group: in the order of their numbers, but for the one that is out, which is first.

A data structure only; what stands where because of it is in `placing`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.events.structures.heap_set import HeapSet

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Group"]


class Group:
    """Whose turn it is costs nothing to tell, and to come or go O(log n), from wherever."""

    __slots__ = ("_rest", "out")

    def __init__(self) -> None:
        self.out = 0
        """The one that is out; 0: none."""
        self._rest: HeapSet[int] = HeapSet()

    def __len__(self) -> int:
        """Count its messages."""
        return len(self._rest) + (self.out != 0)

    def __iter__(self) -> Iterator[int]:
        """Give the numbers of all, in their order."""
        if self.out:
            yield self.out
        yield from self._rest

    @property
    def head(self) -> int:
        """The one whose turn it is. Raises IndexError where there is none."""
        return self.out or self._rest.first

    def add(self, number: int) -> None:
        """Let a message in that is not out."""
        self._rest.add(number)

    def let_out(self, number: int) -> None:
        """A message of it goes out."""
        self._rest.discard(number)
        self.out = number

    def take_back(self, number: int) -> None:
        """A message of it that was out waits again."""
        if self.out == number:
            self.out = 0
        self._rest.add(number)

    def remove(self, number: int) -> None:
        """A message of it has ended."""
        if self.out == number:
            self.out = 0
        else:
            self._rest.discard(number)
