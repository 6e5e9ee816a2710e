"""The live messages of one group: the one that is out comes first, the others in the order of their numbers.

Which messages are held because of it is in `queue/folding/placement`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.events.structures.heap_set import HeapSet

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Group"]


class Group:
    """The message whose turn it is, in constant time; adding or removing any message takes O(log n)."""

    __slots__ = ("_rest", "out")

    def __init__(self) -> None:
        self.out = 0
        """The one that is out; 0: none."""
        self._rest: HeapSet[int] = HeapSet()

    def __len__(self) -> int:
        """Return the number of messages."""
        return len(self._rest) + (self.out != 0)

    def __iter__(self) -> Iterator[int]:
        """Return all numbers in order."""
        if self.out:
            yield self.out
        yield from self._rest

    @property
    def head(self) -> int:
        """The message whose turn it is. Raises IndexError where there is none."""
        return self.out or self._rest.first

    def add(self, number: int) -> None:
        """Add a message that is not out."""
        self._rest.add(number)

    def let_out(self, number: int) -> None:
        """Mark a message as out."""
        self._rest.discard(number)
        self.out = number

    def take_back(self, number: int) -> None:
        """Let a message that was out wait again."""
        if self.out == number:
            self.out = 0
        self._rest.add(number)

    def remove(self, number: int) -> None:
        """Remove a message that has ended."""
        if self.out == number:
            self.out = 0
        else:
            self._rest.discard(number)
