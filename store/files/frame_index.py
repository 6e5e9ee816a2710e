"""A sparse index of the newest segment: where some frames begin, so that a reader of the newest events skips the rest.

It is only a hint: a reader checks the frame at an indexed offset, and reads from the beginning if it does not fit.
"""

from __future__ import annotations

from bisect import bisect_right

from perdure.store.format import segment as sg

__all__ = ["FrameIndex"]

INTERVAL_BYTES = 1 << 18
"""A frame is indexed each time the segment has grown by so many bytes."""


class FrameIndex:
    """Frame boundaries of one segment, in order. One writing thread adds; any thread looks up."""

    def __init__(self, segment: int) -> None:
        self.segment = segment
        """Its first sequence number."""
        self._seqs: list[int] = []
        self._offsets: list[tuple[int, bytes]] = []
        self.next = 0
        """The offset from which on the next frame is indexed."""

    def add(self, offset: int, seq: int, chain: bytes) -> None:
        """Add the offset at which a frame begins or will begin, unless the last one added is near."""
        if offset >= self.next:
            self.next = offset + INTERVAL_BYTES
            self._offsets.append((offset, chain))
            self._seqs.append(seq)  # last, so that a lookup that finds it also finds the offset

    def nearest(self, segment: int, seq: int) -> sg.ScanPosition | None:
        """Return the last indexed position before a sequence number; None if there is none."""
        i = bisect_right(self._seqs, seq) - 1
        if segment != self.segment or i < 0:
            return None
        offset, chain = self._offsets[i]
        return sg.ScanPosition(offset, self._seqs[i], chain)
