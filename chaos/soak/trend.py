"""Decide whether a series of numbers grew: its slope, robust against outliers, and whether chance could explain it.

What is measured and how much growth is allowed is in `readings`.
"""

from __future__ import annotations

import itertools
import math
import statistics
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Trend", "trend"]

READINGS_MIN = 6
"""Fewer readings have no trend."""
READINGS_MAX = 500
"""Of more only every so many are looked at: their pairs would be too many."""
SIGNIFICANT_Z = 1.96


@attrs.frozen
class Trend:
    """The trend of a series."""

    growth: float
    """The slope times the length of the series: how much it grew from beginning to end."""
    z: float
    """The statistic of Mann and Kendall: how far the order of the values is from a random one, in standard deviations."""
    median: float

    def grows(self, allowed: float) -> bool:
        """Return whether it grew by more than `allowed`, and not by chance."""
        return self.growth > allowed and self.z > SIGNIFICANT_Z


def trend(times: Sequence[float], values: Sequence[float]) -> Trend | None:
    """Return the trend with the slope of Theil and Sen, the median of the slopes between all pairs; None for too few readings."""
    if len(values) < READINGS_MIN:
        return None
    stride = -(-len(values) // READINGS_MAX)
    times, values = times[::stride], values[::stride]
    n = len(values)
    pairs = list(itertools.combinations(zip(times, values, strict=True), 2))
    slope = statistics.median((v2 - v1) / (t2 - t1) for (t1, v1), (t2, v2) in pairs if t2 > t1)
    rises = sum((v2 > v1) - (v2 < v1) for (_, v1), (_, v2) in pairs)
    ties = [len(list(group)) for _, group in itertools.groupby(sorted(values))]
    variance = (n * (n - 1) * (2 * n + 5) - sum(t * (t - 1) * (2 * t + 5) for t in ties)) / 18
    z = (rises - math.copysign(1, rises)) / math.sqrt(variance) if rises and variance else 0.0
    return Trend(slope * (times[-1] - times[0]), z, statistics.median(values))
