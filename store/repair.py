"""What to do with a damaged folder: a new one with all that is whole and can be built upon, and a report of the rest.

The damaged folder is only read. An event means nothing without those before it, or a snapshot of them: so the new log is one
unbroken run of events, and begins with the first one or where a whole snapshot reaches.
"""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from perdure.events.errors import StoreCorrupt, StoreUnavailable
from perdure.store import segment as sg
from perdure.store import snapshot_file
from perdure.store.disk import Disk
from perdure.store.folder import SegmentStore
from perdure.store.frame import BadFrame
from perdure.store.reader import FolderReader
from perdure.store.verify import Finding, verify

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Repair", "repair"]


@attrs.define
class Repair:
    """What was saved, and what was not."""

    findings: list[Finding] = attrs.field(factory=list)
    """What was wrong with the old folder."""
    events_kept: int = 0
    first_seq: int = 1
    """The first event of the new log; if it is not 1, a snapshot holds what the events before it came to."""
    last_seq: int = 0
    """The last event of the new log."""
    lost: list[tuple[int, int]] = attrs.field(factory=list)
    """Ranges of sequence numbers that are in the old folder's log and not in the new one; the second may be 0: not known."""
    events_left_behind: int = 0
    """Events that are whole in the old folder, and not in the new one, as what lies between is damaged."""
    snapshots_kept: int = 0


@attrs.define
class _Run:
    """Segments that continue each other without a break, each whole up to an offset."""

    store_id: bytes
    first_seq: int
    end_seq: int
    """The sequence number after its last event."""
    chain: bytes
    events: int = 0
    parts: list[tuple[Path, int]] = attrs.field(factory=list)
    broken: bool = False
    """Its last segment is not whole to its end, so that nothing continues it."""


def repair(source: str | Path, target: str | Path, *, progress: Callable[[int], None] | None = None) -> Repair:
    """Write a new folder with what is whole of a damaged one; `progress` is called with each last sequence number written.

    The new log holds the unbroken run of whole events that reaches furthest, under the same sequence numbers, and the snapshots
    of that part. The old folder stays as it is: keep it, it holds what was lost as far as it can be read.

    Raises:
        StoreUnavailable: the old folder cannot be read, or the new one cannot be written or is not empty.
        StoreCorrupt: the log's beginning was dropped, and nothing that is left can be built upon.
    """
    target, disk = Path(target), Disk()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        msg = f"{target} is there and not an empty folder; name another one for the repaired log"
        raise StoreUnavailable(msg)
    result = Repair(findings=verify(source).findings)
    reader = FolderReader(source)
    runs = _runs(reader)
    best, snapshots = _best(reader, runs)
    if best is None and reader.first_seq > 1:
        msg = (
            f"the log in {source} begins with {reader.first_seq}, and no whole snapshot of what is whole of it is there to build "
            "upon. Restore the folder from a backup."
        )
        raise StoreCorrupt(msg, file=str(source), offset=0, seq=reader.first_seq)
    try:
        disk.make_folder(target)
        if best is not None:
            for path, size in best.parts:
                _copy(disk, path, target / path.name, size)
                if progress is not None:
                    progress(sg.first_seq_of(path.name) or 0)
            for seq in snapshots:
                name = snapshot_file.file_name(seq)
                _copy(disk, reader.path / name, target / name, disk.size(reader.path / name))
            disk.sync_folder(target)
            result.first_seq, result.events_kept, result.snapshots_kept = best.first_seq, best.events, len(snapshots)
    except OSError as error:
        msg = f"{source} could not be copied to {target}: {error}. Make room, or name another folder, and repair again."
        raise StoreUnavailable(msg) from error
    store = SegmentStore(target, new_id=lambda: reader.store_id() or b"\0" * 16)
    result.last_seq = store.open().last_seq  # what it would not open, it must not give out as repaired
    store.close()
    if progress is not None:
        progress(result.last_seq)
    result.events_left_behind = sum(run.events for run in runs if run is not best)
    result.lost = _lost(reader, runs, result)
    return result


def _runs(reader: FolderReader) -> list[_Run]:
    """Read all segments, and join those that continue each other."""
    runs: list[_Run] = []
    segments = reader.segments()
    for first_seq, following in zip(segments, [*segments[1:], None], strict=True):
        path = reader.segment_path(first_seq)
        try:
            header = sg.read_header(reader.disk, path)
        except (StoreCorrupt, StoreUnavailable, OSError):
            if runs:
                runs[-1].broken = True
            continue
        place = sg.Place(sg.HEADER_BYTES, first_seq, header.chain)
        until = None if following is None else following - 1
        events = sum(frame.count for _, frame in sg.scan(reader.disk, path, header, place, until))
        run = runs[-1] if runs else None
        if run is None or run.broken or (run.store_id, run.end_seq, run.chain) != (header.store_id, first_seq, header.chain):
            run = _Run(header.store_id, first_seq, first_seq, header.chain)
            runs.append(run)
        run.parts.append((path, place.offset))
        run.events += events
        run.end_seq, run.chain, run.broken = place.seq, place.chain, bool(place.problem)
    return runs


def _best(reader: FolderReader, runs: list[_Run]) -> tuple[_Run | None, list[int]]:
    """Choose the run that reaches furthest among those that can be built upon; gives its whole snapshots, too."""
    best: tuple[_Run | None, list[int]] = None, []
    for run in runs:
        snapshots = [seq for seq in reader.snapshot_seqs() if run.first_seq - 1 <= seq < run.end_seq and _whole(reader, seq, run)]
        if (run.first_seq == 1 or snapshots) and (best[0] is None or run.end_seq > best[0].end_seq):
            best = run, snapshots
    return best


def _whole(reader: FolderReader, seq: int, run: _Run) -> bool:
    try:
        snapshot_file.read(reader.disk, reader.path / snapshot_file.file_name(seq), run.store_id)
    except (BadFrame, OSError):
        return False
    return True


def _copy(disk: Disk, source: Path, target: Path, size: int) -> None:
    with disk.open_read(source) as file:
        fd = disk.create(target)
        try:
            while size:
                part = file.read(min(size, 1 << 20))
                disk.write(fd, part)
                size -= len(part)
                if not part:
                    raise OSError(errno.EIO, "it has become shorter while it was read", str(source))
            disk.sync(fd)
        finally:
            disk.close(fd)


def _lost(reader: FolderReader, runs: list[_Run], result: Repair) -> list[tuple[int, int]]:
    """Tell which sequence numbers of the old log are not in the new one."""
    lost = []
    first = next(iter(reader.segments()), 1)
    if first < result.first_seq:
        lost.append((first, result.first_seq - 1))
    last = max((run.end_seq - 1 for run in runs), default=0)
    if last > result.last_seq or any(finding.seq > result.last_seq for finding in result.findings):
        lost.append((result.last_seq + 1, last if last > result.last_seq else 0))
    return lost
