"""Where some frames of the newest segment begin, so that who wants the newest events need not read the segment from its beginning.

Only a help: a reader checks what it finds there, and begins at the beginning where that does not fit.
"""

from __future__ import annotations

from bisect import bisect_right

from perdure.store.format import segment as sg

__all__ = ["FrameIndex"]

APART_BYTES = 1 << 18
"""A position is noted each time the segment has grown by so much."""


class FrameIndex:
    """Frame boundaries of one segment, in order. Noted by its one writing thread, looked up in any."""

    def __init__(self, segment: int) -> None:
        self.segment = segment
        """Its first sequence number."""
        self._seqs: list[int] = []
        self._places: list[tuple[int, bytes]] = []
        self.next = 0
        """The offset from which on another one is noted."""

    def add(self, offset: int, seq: int, chain: bytes) -> None:
        """Note where the frame with this sequence number begins or will begin, unless the last one noted is near."""
        if offset >= self.next:
            self.next = offset + APART_BYTES
            self._places.append((offset, chain))
            self._seqs.append(seq)  # last: whoever looks it up finds the other

    def nearest(self, segment: int, seq: int) -> sg.ScanPosition | None:
        """Give the last position noted from which on a sequence number is found; None for none."""
        i = bisect_right(self._seqs, seq) - 1
        if segment != self.segment or i < 0:
            return None
        offset, chain = self._places[i]
        return sg.ScanPosition(offset, self._seqs[i], chain)
