"""`DeathOrder`: dead letters in the order in which they died, in blocks, so that a walk may begin anywhere at the same cost.

What a dead letter is, and when one comes or goes, is in `queue/dead_letters`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from operator import attrgetter
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["BLOCK", "DeathOrder"]

BLOCK = 512
"""Letters of a full block."""


class Placed(Protocol):
    """What `DeathOrder` reads of a letter."""

    place: int
    """How many letters of the same state had died when it died: its place among them."""
    seq: int
    failed_us: int


T = TypeVar("T", bound=Placed)

_place, _seq, _failed_us = attrgetter("place"), attrgetter("seq"), attrgetter("failed_us")


class _Block(Generic[T]):
    """Letters with neighbouring places, at least one."""

    __slots__ = ("letters", "newest_us", "oldest_us")

    def __init__(self, letter: T) -> None:
        self.letters = [letter]
        self.oldest_us = self.newest_us = letter.failed_us
        """The earliest and the latest death: not the first and the last, as the clock may have been put back between two runs."""

    def remove(self, letter: T) -> None:
        del self.letters[bisect_left(self.letters, letter.place, key=_place)]
        if self.letters and letter.failed_us in (self.oldest_us, self.newest_us):
            times = [*map(_failed_us, self.letters)]
            self.oldest_us, self.newest_us = min(times), max(times)


class DeathOrder(Generic[T]):
    """Letters by their place. Adding one takes constant time; removing one, and a step of a walk, nearly so."""

    def __init__(self) -> None:
        self._blocks: list[_Block[T]] = []
        self._count = 0

    def __len__(self) -> int:
        """Return how many letters there are."""
        return self._count

    def add(self, letter: T) -> None:
        """Add a letter; its place is above all that are here."""
        self._count += 1
        if not self._blocks or len(self._blocks[-1].letters) >= BLOCK:
            self._blocks.append(_Block(letter))
            return
        block = self._blocks[-1]
        block.letters.append(letter)
        block.oldest_us, block.newest_us = min(block.oldest_us, letter.failed_us), max(block.newest_us, letter.failed_us)

    def remove(self, letter: T) -> None:
        """Remove a letter that is here."""
        at = bisect_right(self._blocks, letter.place, key=_first_place) - 1
        self._blocks[at].remove(letter)
        if not self._blocks[at].letters:
            del self._blocks[at]
        self._count -= 1

    def newest_first(self, *, below: int | None = None, before_us: int | None = None) -> Iterator[T]:
        """Yield the letters, the newest first; letters may come and go meanwhile, and none that is there throughout is left out.

        Args:
            below: only those with a lower place than this.
            before_us: leave out whole blocks in which no letter died before this moment; others are yielded with all letters.
        """
        while True:
            at = len(self._blocks) if below is None else bisect_left(self._blocks, below, key=_first_place)
            if not at:
                return
            block = self._blocks[at - 1]
            letters, first = block.letters, block.letters[0].place
            if before_us is None or block.oldest_us < before_us:
                end = len(letters) if below is None else bisect_left(letters, below, key=_place)
                yield from letters[:end][::-1]  # of a copy: the block may change meanwhile
            below = first

    def oldest_first(self, *, after_seq: int) -> Iterator[T]:
        """Yield the letters whose event comes after this one in the log, the oldest first. None may come or go meanwhile."""
        for block in self._blocks[bisect_right(self._blocks, after_seq, key=_last_seq) :]:
            yield from block.letters[bisect_right(block.letters, after_seq, key=_seq) :]

    @property
    def oldest_us(self) -> int | None:
        """The time of the earliest death; None: there is none."""
        return min((block.oldest_us for block in self._blocks), default=None)

    @property
    def newest_us(self) -> int | None:
        """The time of the latest death; None: there is none."""
        return max((block.newest_us for block in self._blocks), default=None)


def _first_place(block: _Block[T]) -> int:
    return block.letters[0].place


def _last_seq(block: _Block[T]) -> int:
    return block.letters[-1].seq
