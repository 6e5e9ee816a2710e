"""A row of numbers drawn with the letters of one line, for the command line. No colour, no terminal."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["sparkline"]

LEVELS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], *, width: int = 40, floor: float | None = None) -> str:
    """Draw values, oldest first; more than `width` are averaged. The lowest value, or `floor`, is the lowest letter."""
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
