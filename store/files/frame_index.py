"""A sparse index of the newest segment: where some frames begin, so that a reader of the newest events skips the rest.

It is only a hint: a reader checks the frame at an indexed offset, and reads from the beginning if it does not fit.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict

from perdure.store.disk.forked_locks import lock_of
from perdure.store.format import segment as sg

__all__ = ["FrameIndex", "ReadIndex"]

INTERVAL_BYTES = 1 << 18
"""A frame is indexed each time the segment has grown by so many bytes."""
READ_INTERVAL_BYTES = 1 << 15
SEGMENTS_MAX = 256


class FrameIndex:
    """Frame boundaries of one segment, in order. One writing thread adds; any thread looks up."""

    def __init__(self, segment: int, interval_bytes: int | None = None) -> None:
        self.segment = segment
        """Its first sequence number."""
        self._interval_bytes = interval_bytes or INTERVAL_BYTES
        self._seqs: list[int] = []
        self._offsets: list[tuple[int, bytes]] = []
        self.next = 0
        """The offset from which on the next frame is indexed."""

    def add(self, offset: int, seq: int, chain: bytes) -> None:
        """Add the offset at which a frame begins or will begin, unless the last one added is near."""
        if offset >= self.next:
            self.next = offset + self._interval_bytes
            self._offsets.append((offset, chain))
            self._seqs.append(seq)  # last, so that a lookup that finds it also finds the offset

    def nearest(self, segment: int, seq: int) -> sg.ScanPosition | None:
        """Return the last indexed position before a sequence number; None if there is none."""
        i = bisect_right(self._seqs, seq) - 1
        if segment != self.segment or i < 0:
            return None
        offset, chain = self._offsets[i]
        return sg.ScanPosition(offset, self._seqs[i], chain)


class ReadIndex:
    """Frame boundaries of the segments that a reader has passed, for one that looks into the same log again and again.

    Of more segments than it holds, those that were read first are forgotten. Safe in any thread.
    """

    def __init__(self) -> None:
        self._lock = lock_of(self, "_lock")
        self._by_segment: OrderedDict[int, FrameIndex] = OrderedDict()

    def add(self, segment: int, position: sg.ScanPosition) -> None:
        """Add the place behind a frame that was read, unless one near to it is known."""
        known = self._by_segment.get(segment)
        if known is not None and position.offset < known.next:
            return
        with self._lock:
            if known is None:
                known = self._by_segment.setdefault(segment, FrameIndex(segment, READ_INTERVAL_BYTES))
                while len(self._by_segment) > SEGMENTS_MAX:
                    self._by_segment.popitem(last=False)
            known.add(position.offset, position.seq, position.chain)

    def nearest(self, segment: int, seq: int) -> sg.ScanPosition | None:
        """Return the last known position before a sequence number; None if there is none."""
        known = self._by_segment.get(segment)
        return None if known is None else known.nearest(segment, seq)
