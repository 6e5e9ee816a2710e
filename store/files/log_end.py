"""Where a log ends: the last whole frame of its last segment, and whether the bytes before and after it prove damage.

Nothing is changed here. What the owner does about a torn end is in `segment_recovery`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from perdure.events.errors import StoreCorrupt
from perdure.store.files import torn_or_damaged
from perdure.store.files.frame_index import FrameIndex
from perdure.store.format import frame as fr
from perdure.store.format import segment as sg

if TYPE_CHECKING:
    from pathlib import Path

    from perdure.store.disk.disk import Disk
    from perdure.store.files.folder_reader import FolderReader

__all__ = ["LogEnd", "check_beginning", "check_link", "find_end"]


TAIL_BYTES = 1 << 16
"""How many bytes of a segment's end are read first to find its last frame; a larger frame takes another read."""


@attrs.frozen
class LogEnd:
    """The end of a log, in its last segment."""

    position: sg.ScanPosition
    """The position behind the last whole frame."""
    size: int
    """Bytes of the segment, a torn end included."""
    frames: int
    """How many whole frames the segment has."""
    epoch: int
    """The epoch of the last owner that wrote."""
    frame_index: FrameIndex
    """The index of the segment."""

    @property
    def is_clean(self) -> bool:
        """Whether the last owner closed the log, or wrote nothing."""
        return (self.position.sealed or not self.position.seq - 1) and not self.position.problem


def find_end(reader: FolderReader, path: Path, header: sg.SegmentHeader, void_after: int | None) -> LogEnd:
    """Return where the last segment ceases to be whole, or becomes void.

    Raises:
        StoreCorrupt: a frame that was synced is missing or changed.
        OSError: it cannot be read.
    """
    disk = reader.disk
    position = sg.ScanPosition(sg.HEADER_BYTES, header.first_seq, header.chain)
    frames, epoch, frame_index = 0, 0, FrameIndex(header.first_seq)
    for parsed, _, _ in sg.scan(disk, path, header, position, void_after, bodies=False):
        frames += 1
        epoch = parsed.epoch
        frame_index.add(position.offset, position.seq, position.chain)
    if void_after is not None and position.seq <= void_after:  # synced by this process, so it cannot be torn
        raise sg.damaged(path, position.offset, position.seq, position.problem or f"synced up to {void_after}, it ends before")
    if position.problem and torn_or_damaged.is_damaged(disk, path, header, position):
        raise sg.damaged(path, position.offset, position.seq, position.problem)
    return LogEnd(position, disk.size(path), frames, max(epoch, header.epoch), frame_index)


def check_link(reader: FolderReader, segments: list[int], header: sg.SegmentHeader) -> tuple[Path, int] | None:
    """Check that the last segment continues the one before it; return the path and offset where that one becomes void, if it does.

    A small segment is read whole, which costs little. Of a larger one only the end is read; the rest is checked when it is folded,
    as in all earlier segments.

    Raises:
        StoreCorrupt: the last segment does not continue the one before it.
        OSError: one of them cannot be read.
    """
    if len(segments) <= 1:  # a link takes two
        return None
    before = reader.segment_path(segments[-2])
    earlier = sg.read_header(reader.disk, before)
    is_small = reader.disk.size(before) <= TAIL_BYTES
    end = _end_of_linked_frame(reader.disk, before, header) if earlier.store_id == header.store_id and not is_small else None
    if end is not None:
        return (before, end) if end < reader.disk.size(before) else None
    position = sg.ScanPosition(sg.HEADER_BYTES, earlier.first_seq, earlier.chain)
    for _ in sg.scan(reader.disk, before, earlier, position, header.first_seq - 1):
        pass
    if position.seq != header.first_seq:
        raise sg.damaged(before, position.offset, position.seq, position.problem or "the segment ends too early")
    if position.chain != header.chain:
        raise sg.damaged(before, position.offset, position.seq, "the next segment does not continue it")
    return (before, position.offset) if position.offset < reader.disk.size(before) else None


def _end_of_linked_frame(disk: Disk, path: Path, following: sg.SegmentHeader) -> int | None:
    """Return the offset at which the frame ends that the next segment continues; None if it is not found.

    The search begins at the segment's end. The next segment's header holds the chain hash of that frame, which covers all frames
    before it: bytes with that hash are the frame.
    """
    size, window = disk.size(path), TAIL_BYTES
    while True:
        start = max(sg.HEADER_BYTES, size - window)
        with disk.open_read(path) as file:
            file.seek(start)
            rest = file.read(size - start)
        at = rest.rfind(fr.MAGIC)
        while at >= 0:
            try:
                parsed = fr.parse(rest[at : at + fr.HEADER_BYTES])
            except fr.BadFrame:
                parsed = None
            if parsed is not None and parsed.first_seq + parsed.count == following.first_seq:
                frame = rest[at : at + fr.HEADER_BYTES + parsed.stored_len]
                if fr.chain_after(frame) == following.chain:
                    return start + at + len(frame)
            at = rest.rfind(fr.MAGIC, 0, at + len(fr.MAGIC) - 1)
        if start == sg.HEADER_BYTES:
            return None
        window *= 8


def check_beginning(reader: FolderReader, first_seq: int, last_seq: int) -> None:
    """Check that a whole snapshot holds what was before the beginning of the log.

    Raises:
        StoreCorrupt: there is none, and the log does not begin with event 1.
    """
    if first_seq > 1 and max(reader.whole_snapshots(last_seq, 1), default=0) < first_seq - 1:
        msg = (
            f"the log in {reader.path} begins with {first_seq}, and there is no whole snapshot of what was before. Restore the "
            "folder from a backup."
        )
        raise StoreCorrupt(msg, file=str(reader.path), offset=0, seq=1)
