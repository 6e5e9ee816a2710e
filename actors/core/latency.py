"""`Latency`: counts of durations, as a histogram needs them. Not here: what is measured, and when."""

from __future__ import annotations

from bisect import bisect_left

__all__ = ["BOUNDS_US", "Latency"]

BOUNDS_US = (100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000)
"""The upper bound of each count, in microseconds; one more counts what takes longer."""


class Latency:
    """Counts of durations. One thread adds to them, any may read."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_US) + 1)
        self.total_us = 0

    def add(self, seconds: float) -> None:
        """Count one duration."""
        us = round(seconds * 1_000_000)
        self.counts[bisect_left(BOUNDS_US, us)] += 1
        self.total_us += us

    def figures(self) -> tuple[int, ...]:
        """Return the sum of all durations in microseconds, then the counts."""
        return (self.total_us, *self.counts)
