"""A line of text that draws a row of numbers, for the command line. It uses no colour and needs no terminal."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["sparkline"]

LEVELS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], *, width: int = 40, floor: float | None = None) -> str:
    """Return one character per value, oldest first; more than `width` values are averaged.

    Args:
        values: the numbers to draw.
        width: the most characters to return.
        floor: the value of the lowest character; the lowest value unless given.
    """
    if not values:
        return ""
    if len(values) > width:
        edges = [round(i * len(values) / width) for i in range(width + 1)]
        values = [sum(values[a:b]) / (b - a) for a, b in itertools.pairwise(edges)]
    low = min(values) if floor is None else min(floor, *values)
    span = max(values) - low
    if not span:
        return LEVELS[0] * len(values)
    return "".join(LEVELS[min(len(LEVELS) - 1, int((value - low) / span * len(LEVELS)))] for value in values)
