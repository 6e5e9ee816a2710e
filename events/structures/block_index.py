"""Which parcel a number is in: `BlockIndex`.

A data structure only. Parcels of several types interleave, as numbers are given to all types in turn; each stretch of one costs a
few bytes, and those of parcels that are gone take no room for long.
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
"""Stretches of parcels that are gone, beyond as many as there are others."""


class BlockIndex:
    """Stretches of numbers in order, and whose each is; what lies within one and is not its parcel's is nobody's."""

    __slots__ = ("_blocks", "_firsts", "_stale")

    def __init__(self) -> None:
        self._firsts = array("q")
        self._blocks: list[MessageBlock | None] = []
        self._stale = 0

    def __len__(self) -> int:
        """Count the stretches, those of parcels that are gone included."""
        return len(self._blocks)

    def add(self, first: int, block: MessageBlock) -> None:
        """Enter a stretch of a parcel, from a number on that is above all that were entered."""
        if not self._blocks or self._blocks[-1] is not block:
            self._firsts.append(first)
            self._blocks.append(block)

    def get(self, number: int) -> MessageBlock | None:
        """Give the parcel that a number is in."""
        i = bisect_right(self._firsts, number) - 1
        block = self._blocks[i] if i >= 0 else None
        return block if block is not None and block.position(number) >= 0 else None

    def drop(self, block: MessageBlock) -> None:
        """Forget a parcel."""
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
    """Give the first number of each row of numbers in a parcel."""
    yield block.first
    if not isinstance(block.numbers, range):
        yield from (number for before, number in pairwise(block.numbers) if number != before + 1)
