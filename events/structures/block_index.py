"""The block that a message number is in: `BlockIndex`.

Blocks of several types interleave, as all types share one count of numbers. Each stretch of a block takes a few bytes, and those
of removed blocks are dropped soon.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perdure.events.structures.message_block import MessageBlock

__all__ = ["BlockIndex", "stretches"]

SLACK = 16
"""How many more stretches of removed blocks are kept than of others."""


class BlockIndex:
    """Stretches of numbers in order, and the block of each. A number within a stretch may belong to no block."""

    __slots__ = ("_blocks", "_firsts", "_stale")

    def __init__(self) -> None:
        self._firsts = array("q")
        self._blocks: list[MessageBlock | None] = []
        self._stale = 0

    def __len__(self) -> int:
        """Return the number of stretches, with those of removed blocks."""
        return len(self._blocks)

    def add(self, first: int, block: MessageBlock) -> None:
        """Add a stretch of a block; `first` is above all numbers added before."""
        if not self._blocks or self._blocks[-1] is not block:
            self._firsts.append(first)
            self._blocks.append(block)

    def get(self, number: int) -> MessageBlock | None:
        """Return the block that a number is in, or None."""
        i = bisect_right(self._firsts, number) - 1
        block = self._blocks[i] if i >= 0 else None
        return block if block is not None and block.position(number) >= 0 else None

    def drop(self, block: MessageBlock) -> None:
        """Remove a block."""
        for first in stretches(block):
            i = bisect_right(self._firsts, first) - 1
            if i >= 0 and self._blocks[i] is block:
                self._blocks[i] = None
                self._stale += 1
        if 2 * self._stale > len(self._blocks) + SLACK:
            still = [(first, of) for first, of in zip(self._firsts, self._blocks, strict=True) if of is not None]
            self._firsts = array("q", [first for first, _ in still])
            self._blocks = [of for _, of in still]
            self._stale = 0


def stretches(block: MessageBlock) -> Iterator[int]:
    """Return the first number of each stretch of consecutive numbers in a block."""
    yield block.first
    if not isinstance(block.numbers, range):
        yield from (number for before, number in pairwise(block.numbers) if number != before + 1)
