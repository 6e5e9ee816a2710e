"""Counts of a log over time, in a bounded number of buckets, whatever time the log covers.

Not here: what is counted (`index`), and how it is drawn (`perdure.console.drawing`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Bucket", "Buckets"]

SAMPLES_MAX = 48
"""Times of messages that one bucket keeps, for percentiles."""


@attrs.define(eq=False)
class Bucket:
    """What happened in one span of time. Waits and runs are samples, in microseconds."""

    published: int = 0
    completed: int = 0
    failed: int = 0
    dead: int = 0
    depth: int = 0
    """By how much the number of live messages changed."""
    last_seq: int = 0
    waits_us: list[int] = attrs.field(factory=list)
    runs_us: list[int] = attrs.field(factory=list)

    def take(self, other: Bucket) -> None:
        """Add another bucket's counts to this one's."""
        self.published += other.published
        self.completed += other.completed
        self.failed += other.failed
        self.dead += other.dead
        self.depth += other.depth
        self.last_seq = max(self.last_seq, other.last_seq)
        self.waits_us = _thinned(self.waits_us + other.waits_us)
        self.runs_us = _thinned(self.runs_us + other.runs_us)

    def sample(self, waits_us: int | None, runs_us: int | None) -> None:
        """Keep the time that one message waited, or was handled for."""
        if waits_us is not None:
            self.waits_us.append(waits_us)
            if len(self.waits_us) > 2 * SAMPLES_MAX:
                self.waits_us = _thinned(self.waits_us)
        if runs_us is not None:
            self.runs_us.append(runs_us)
            if len(self.runs_us) > 2 * SAMPLES_MAX:
                self.runs_us = _thinned(self.runs_us)


class Buckets:
    """Buckets of one width, which doubles where the time they cover would take more than `most`; or the newest `most`.

    Args:
        width_us: the width to begin with, in microseconds.
        most: how many buckets there may be.
        grows: whether the width doubles; otherwise the oldest buckets go.
    """

    def __init__(self, width_us: int, most: int, *, grows: bool) -> None:
        self.width_us = width_us
        self._most = most
        self._grows = grows
        self._by_index: dict[int, Bucket] = {}
        self._low = self._high = 0

    def __bool__(self) -> bool:
        """Return whether anything was counted."""
        return bool(self._by_index)

    @property
    def first_us(self) -> int | None:
        """When the first bucket begins; None where nothing was counted."""
        return self._low * self.width_us if self._by_index else None

    def at(self, at_us: int) -> Bucket:
        """Return the bucket of a moment, made at first use."""
        index = at_us // self.width_us
        found = self._by_index.get(index)
        if found is not None:
            return found
        if not self._by_index:
            self._low = self._high = index
        self._low, self._high = min(self._low, index), max(self._high, index)
        if self._high - self._low < self._most:
            return self._by_index.setdefault(index, Bucket())
        return self._make_room(at_us)

    def known(self, at_us: int) -> Bucket | None:
        """Return the bucket of a moment, if anything was counted there."""
        return self._by_index.get(at_us // self.width_us)

    def _make_room(self, at_us: int) -> Bucket:
        if not self._grows:
            self._low = self._high - self._most + 1
            for old in [index for index in self._by_index if index < self._low]:
                del self._by_index[old]
            return self._by_index.setdefault(max(at_us // self.width_us, self._low), Bucket())
        while self._high - self._low >= self._most:
            self.width_us *= 2
            merged: dict[int, Bucket] = {}
            for index, bucket in sorted(self._by_index.items()):
                merged.setdefault(index // 2, Bucket()).take(bucket)
            self._by_index = merged
            self._low, self._high = self._low // 2, self._high // 2
        return self._by_index.setdefault(at_us // self.width_us, Bucket())

    def row(self, since_us: int | None = None, until_us: int | None = None) -> Iterator[tuple[int, Bucket]]:
        """Yield (begin in microseconds, bucket) without gaps, from the first bucket to the last, or between two moments."""
        if not self._by_index:
            return
        low = self._low if since_us is None else max(self._low, since_us // self.width_us)
        high = self._high if until_us is None else min(max(self._high, low), until_us // self.width_us)
        for index in range(low, high + 1):
            yield index * self.width_us, self._by_index.get(index) or Bucket()


def _thinned(samples: list[int]) -> list[int]:
    """Return at most `SAMPLES_MAX` of the samples, spread evenly over their order of size."""
    if len(samples) <= SAMPLES_MAX:
        return samples
    ordered = sorted(samples)
    step = (len(ordered) - 1) / (SAMPLES_MAX - 1)
    return [ordered[round(i * step)] for i in range(SAMPLES_MAX)]
