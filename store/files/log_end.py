"""Where a log ends: the last whole frame of its last segment, and whether what comes before and after it may be as it is.

Only looks. What is done about a torn end, and everything else that the owner of a folder does, is in `folder`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from perdure.events.errors import StoreCorrupt
from perdure.store.files.frame_index import FrameIndex
from perdure.store.format import frame as fr
from perdure.store.format import segment as sg

if TYPE_CHECKING:
    from pathlib import Path

    from perdure.store.disk.disk import Disk
    from perdure.store.files.folder_reader import FolderReader

__all__ = ["LogEnd", "check_beginning", "check_link", "find_end"]


TAIL_BYTES = 1 << 16
"""So much of a segment's end is read first to find its last frame; a larger one takes another look."""


@attrs.frozen
class LogEnd:
    """The end of a log, in its last segment."""

    position: sg.ScanPosition
    """Behind the last whole frame."""
    size: int
    """Of the segment in bytes, a torn end included."""
    frames: int
    """Whole ones in the segment."""
    epoch: int
    """The last one that wrote."""
    frame_index: FrameIndex
    """Where some of its frames begin."""

    @property
    def is_clean(self) -> bool:
        """Whether its owner closed it, or had not begun to write."""
        return (self.position.sealed or not self.position.seq - 1) and not self.position.problem


def find_end(reader: FolderReader, path: Path, header: sg.SegmentHeader, void_after: int | None) -> LogEnd:
    """Read the last segment up to where it is whole, or to where it is void.

    Raises:
        StoreCorrupt: something that was synced is not there as it was.
        OSError: it cannot be read.
    """
    disk = reader.disk
    position = sg.ScanPosition(sg.HEADER_BYTES, header.first_seq, header.chain)
    frames, epoch, frame_index = 0, 0, FrameIndex(header.first_seq)
    for parsed, _, _ in sg.scan(disk, path, header, position, void_after, bodies=False):
        frames += 1
        epoch = parsed.epoch
        frame_index.add(position.offset, position.seq, position.chain)
    if void_after is not None and position.seq <= void_after:  # synced in this very process: no tear can explain it
        raise sg.damaged(path, position.offset, position.seq, position.problem or f"synced up to {void_after}, it ends before")
    if position.problem and sg.proof_of_sync(disk, path, header, position):
        raise sg.damaged(path, position.offset, position.seq, position.problem)
    return LogEnd(position, disk.size(path), frames, max(epoch, header.epoch), frame_index)


def check_link(reader: FolderReader, segments: list[int], header: sg.SegmentHeader) -> tuple[Path, int] | None:
    """The last segment must continue the one before it, up to that one's end; gives what of that one is void: from where.

    A small one is read whole, which costs nothing. Of another, what is further back is read when it is folded, as that of all
    earlier segments.

    Raises:
        StoreCorrupt: it does not.
        OSError: one cannot be read.
    """
    if len(segments) < 2:  # noqa: PLR2004 - there is no joint in fewer than two
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
    """Find, from its end, the frame of a segment that the next one continues: gives where it ends, None where it is not found.

    The hash that the next segment's header holds stands for that frame and for all before it: bytes that give it are that frame.
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
    """A log that does not begin with the first event needs a snapshot of what was before.

    Raises:
        StoreCorrupt: there is none.
    """
    if first_seq > 1 and max(reader.whole_snapshots(last_seq, 1), default=0) < first_seq - 1:
        msg = (
            f"the log in {reader.path} begins with {first_seq}, and there is no whole snapshot of what was before. Restore the "
            "folder from a backup."
        )
        raise StoreCorrupt(msg, file=str(reader.path), offset=0, seq=1)
