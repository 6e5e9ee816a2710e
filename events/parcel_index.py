"""Which parcel a number is in: `ParcelIndex`.

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

    from perdure.events.parcel import Parcel

__all__ = ["ParcelIndex", "stretches"]

SLACK = 16
"""Stretches of parcels that are gone, beyond as many as there are others."""


class ParcelIndex:
    """Stretches of numbers in order, and whose each is; what lies within one and is not its parcel's is nobody's."""

    __slots__ = ("_firsts", "_parcels", "_stale")

    def __init__(self) -> None:
        self._firsts = array("q")
        self._parcels: list[Parcel | None] = []
        self._stale = 0

    def __len__(self) -> int:
        """Count the stretches, those of parcels that are gone included."""
        return len(self._parcels)

    def add(self, first: int, parcel: Parcel) -> None:
        """Enter a stretch of a parcel, from a number on that is above all that were entered."""
        if not self._parcels or self._parcels[-1] is not parcel:
            self._firsts.append(first)
            self._parcels.append(parcel)

    def get(self, number: int) -> Parcel | None:
        """Give the parcel that a number is in."""
        i = bisect_right(self._firsts, number) - 1
        parcel = self._parcels[i] if i >= 0 else None
        return parcel if parcel is not None and parcel.place(number) >= 0 else None

    def drop(self, parcel: Parcel) -> None:
        """Forget a parcel."""
        for first in stretches(parcel):
            i = bisect_right(self._firsts, first) - 1
            if i >= 0 and self._parcels[i] is parcel:
                self._parcels[i] = None
                self._stale += 1
        if 2 * self._stale > len(self._parcels) + SLACK:
            still = [(first, of) for first, of in zip(self._firsts, self._parcels, strict=True) if of is not None]
            self._firsts = array("q", [first for first, _ in still])
            self._parcels = [of for _, of in still]
            self._stale = 0


def stretches(parcel: Parcel) -> Iterator[int]:
    """Give the first number of each row of numbers in a parcel."""
    yield parcel.first
    if not isinstance(parcel.numbers, range):
        yield from (number for before, number in pairwise(parcel.numbers) if number != before + 1)
