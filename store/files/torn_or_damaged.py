"""Whether a bad frame is torn, and so the end of the log, or was whole once, and so is damage.

Where a log ends is in `log_end`, which asks this of the owner's last segment; `folder_reader` asks it for readers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.store.format import frame as fr

if TYPE_CHECKING:
    from pathlib import Path

    from perdure.store.disk.disk import Disk
    from perdure.store.format import segment as sg

__all__ = ["is_damaged"]


def is_damaged(disk: Disk, path: Path, header: sg.SegmentHeader, position: sg.ScanPosition) -> bool:
    """Return whether a later whole frame proves that the bad frame at `position` had been synced, and so is damaged, not torn.

    Unsynced writes may reach the disk in any order, so a whole frame behind a torn one proves nothing by itself; a frame that was
    written after a sync does. A frame that is whole but does not follow is damage in any case.
    """
    crc_seed = fr.seed(header.store_id)
    with disk.open_read(path) as file:
        file.seek(position.offset)
        rest = file.read()
    at = rest.find(fr.MAGIC)
    while at >= 0:
        try:
            parsed = fr.parse(rest[at : at + fr.HEADER_BYTES])
            stored = rest[at + fr.HEADER_BYTES : at + fr.HEADER_BYTES + parsed.stored_len]
            fr.check(parsed, rest[at : at + fr.HEADER_BYTES], stored, crc_seed)
        except fr.BadFrame:
            parsed = None
        if parsed is not None and _proves(parsed, at, position.seq):
            return True
        at = rest.find(fr.MAGIC, at + 1)
    return False


def _proves(whole: fr.Header, at: int, missing_seq: int) -> bool:
    """Return whether a whole frame, `at` bytes behind the bad one, proves that the bad one was synced."""
    return whole.first_seq >= missing_seq and (at == 0 or whole.first_seq == missing_seq or whole.synced_before > missing_seq)
