"""What to do with a damaged folder: a new one with all that is whole and can be built upon, and a report of the rest.

The damaged folder is only read. What is after the damage cannot be folded (an event means nothing without those before it), so the
new log ends before it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from perdure.events.errors import StoreCorrupt, StoreUnavailable
from perdure.store import segment as sg
from perdure.store.disk import Disk
from perdure.store.folder import SegmentStore
from perdure.store.reader import FolderReader
from perdure.store.verify import Finding, verify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from perdure.store.protocol import Frame

__all__ = ["Repair", "repair"]


@attrs.define
class Repair:
    """What was saved, and what was not."""

    findings: list[Finding] = attrs.field(factory=list)
    """What was wrong with the old folder."""
    events_kept: int = 0
    last_seq: int = 0
    """The last event of the new log."""
    lost: list[tuple[int, int]] = attrs.field(factory=list)
    """Ranges of sequence numbers that are in the old folder's log and not in the new one; the second may be 0: not known."""
    events_after_damage: int = 0
    """Events that are whole in the old folder, and not in the new one, as they cannot be folded without those before them."""
    snapshots_kept: int = 0


def repair(source: str | Path, target: str | Path, *, progress: Callable[[int], None] | None = None) -> Repair:
    """Write a new folder with what is whole of a damaged one; `progress` is called with each last sequence number written.

    The new log holds every whole event from the first one up to the damage, under the same sequence numbers, and the snapshots of
    that part. The old folder stays as it is: keep it, it holds what was lost as far as it can be read.

    Raises:
        StoreUnavailable: the old folder cannot be read, or the new one cannot be written or is not empty.
    """
    target = Path(target)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        msg = f"{target} is there and not an empty folder; name another one for the repaired log"
        raise StoreUnavailable(msg)
    result = Repair(findings=verify(source).findings)
    reader = FolderReader(source)
    store = SegmentStore(target, new_id=lambda: reader.store_id() or b"\0" * 16, origin=_origin(reader))
    store.open()
    try:
        for frame in _whole(reader):
            store.append(frame.body, frame.count, expected_seq=frame.first_seq)
            result.events_kept += frame.count
            if progress is not None:
                progress(frame.last_seq)
        store.sync()
        result.last_seq = store.last_seq
        for snapshot in sorted(reader.snapshots(store.last_seq), key=lambda s: s.seq):
            store.save_snapshot(snapshot)
            result.snapshots_kept += 1
    finally:
        store.close()
    result.events_after_damage, last = _beyond(reader, result.last_seq)
    if result.findings and (last > result.last_seq or any(f.seq > result.last_seq for f in result.findings)):
        result.lost = [(result.last_seq + 1, max(last, 0))]
    return result


def _origin(reader: FolderReader) -> tuple[int, bytes] | None:
    """Tell where a log begins whose history was dropped: after which sequence number and chain hash.

    Raises:
        StoreCorrupt: nothing that is whole can be built upon.
    """
    first_seq = reader.first_seq
    if first_seq == 1:
        return None
    last_seq = first_seq - 1
    for frame in _whole(reader):
        last_seq = frame.last_seq
    if max(reader.whole_snapshots(last_seq, 1), default=0) < first_seq - 1:
        msg = (
            f"the log in {reader.path} begins with {first_seq}, is whole up to {last_seq}, and no whole snapshot of that part is "
            "there to build upon. Restore the folder from a backup."
        )
        raise StoreCorrupt(msg, file=str(reader.path), offset=0, seq=first_seq)
    return first_seq - 1, sg.read_header(reader.disk, reader.segment_path(first_seq)).chain


def _whole(reader: FolderReader) -> Iterator[Frame]:
    """Give the frames up to the first damage, from the first event on that the log holds."""
    expected = reader.first_seq
    try:
        for frame in reader.frames():
            if frame.first_seq != expected:
                return
            yield frame
            expected = frame.last_seq + 1
    except (StoreCorrupt, StoreUnavailable):
        return


def _beyond(reader: FolderReader, last_seq: int) -> tuple[int, int]:
    """Count the events that are whole in later segments, and give the last of them."""
    events, last = 0, last_seq
    disk = Disk()
    for first_seq in reader.segments():
        path = reader.segment_path(first_seq)
        try:
            header = sg.read_header(disk, path)
        except (StoreCorrupt, StoreUnavailable, OSError):
            continue
        for _, frame in sg.scan(disk, path, header, sg.Place(sg.HEADER_BYTES, first_seq, header.chain)):
            if frame.count and frame.first_seq > last_seq:
                events += frame.count
                last = max(last, frame.last_seq)
    return events, last
