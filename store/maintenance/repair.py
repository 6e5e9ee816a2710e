"""What to do with a damaged folder: a new one with all that is whole and can be built upon, and a report of the rest.

The damaged folder is only read. An event means nothing without those before it, or a snapshot of them: so the new log is one
unbroken run of events, and begins with the first one or where a whole snapshot reaches. Where a snapshot knows more than any run
that can be built upon, it is what is kept, and the log begins behind it.
"""

from __future__ import annotations

import errno
import time
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from perdure.events import vocabulary as ev
from perdure.events.codec.wire import decode
from perdure.events.errors import PerdureError, StoreCorrupt, StoreUnavailable
from perdure.store.disk.disk import Disk
from perdure.store.files.folder_reader import FolderReader
from perdure.store.files.segment_store import SegmentStore
from perdure.store.format import frame as fr
from perdure.store.format import segment as sg
from perdure.store.format import snapshot_file
from perdure.store.format.frame import BadFrame
from perdure.store.maintenance.survey import Gap, survey
from perdure.store.maintenance.verify import Finding, verify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from perdure.store.maintenance.survey import Whole

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
    """The last event that the new folder knows of, from its log or from a snapshot."""
    lost: list[tuple[int, int]] = attrs.field(factory=list)
    """Ranges of sequence numbers that are in the old folder's log and not in the new one; the second may be 0: not known."""
    events_left_behind: int = 0
    """Events that are whole in the old folder, and not in the new one, as what lies between is damaged."""
    snapshots_kept: int = 0
    bytes_left_behind: int = 0
    """Bytes of the frames of those events."""
    events_unreadable: int = 0
    """Events that are whole nowhere, as far as later ones and snapshots show that there were any."""
    bytes_unreadable: int = 0
    """Bytes of the old folder's segments and snapshots that are damaged."""
    messages_lost: int = 0
    """Messages that are not known to the new folder: their publication is whole in the old one, after `last_seq`."""
    lost_ids: list[str] = attrs.field(factory=list)
    """Their ids, the first `IDS_MAX`."""
    events_lost: int = 0
    """Events after `last_seq`, whole or not: what they did is not known to the new folder. Unreadable ones may be publications."""


IDS_MAX = 10_000


@attrs.frozen
class _Part:
    """A stretch of whole frames in one segment."""

    path: Path
    start: int
    end: int
    head: bytes
    """The header that a segment of these frames alone needs; empty where it has its own."""
    first_seq: int


@attrs.define
class _Run:
    """Frames that continue each other without a break, over segments."""

    store_id: bytes
    first_seq: int
    end_seq: int
    """The sequence number after its last event."""
    chain: bytes
    events: int = 0
    bytes: int = 0
    parts: list[_Part] = attrs.field(factory=list)


@attrs.define
class _Found:
    """What is whole of a log."""

    runs: list[_Run] = attrs.field(factory=list)
    epoch: int = 0
    bytes_unreadable: int = 0


@attrs.frozen
class _Choice:
    """What the new folder is to hold: a run, if any, and snapshots; each of the two may be what makes the other usable."""

    run: _Run | None
    snapshots: list[int]

    @property
    def last_seq(self) -> int:
        """Up to where all is known."""
        return max([*self.snapshots[-1:], 0 if self.run is None else self.run.end_seq - 1])

    @property
    def first_seq(self) -> int:
        """With what the log begins."""
        return self.snapshots[-1] + 1 if self.run is None else self.run.first_seq


def repair(source: str | Path, target: str | Path, *, progress: Callable[[int], None] | None = None) -> Repair:
    """Write a new folder with what is whole of a damaged one; `progress` is called with each last sequence number written.

    The new folder knows of as much as can be known without a gap: it holds the unbroken run of whole events that reaches furthest
    from the beginning or from a whole snapshot, under the same sequence numbers, and the whole snapshots of that part; or a
    snapshot alone, where that reaches further. The old folder stays as it is: keep it, it holds what was lost as far as it can be
    read.

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
    store_id = _store_id(reader)
    found = _whole_runs(reader, store_id)
    snapshots = _whole_snapshots(reader, store_id)
    best = _best(found.runs, snapshots)
    if best is None and reader.first_seq > 1:
        msg = (
            f"the log in {source} begins with {reader.first_seq}, and no whole snapshot of what is whole of it is there to build "
            "upon. Restore the folder from a backup."
        )
        raise StoreCorrupt(msg, file=str(source), offset=0, seq=reader.first_seq)
    try:
        disk.make_folder(target)
        if best is not None:
            _write(disk, reader, best, target, store_id, found.epoch, progress)
            result.first_seq, result.snapshots_kept = best.first_seq, len(best.snapshots)
            result.events_kept = 0 if best.run is None else best.run.events
    except OSError as error:
        msg = f"{source} could not be copied to {target}: {error}. Make room, or name another folder, and repair again."
        raise StoreUnavailable(msg) from error
    store = SegmentStore(target, new_id=lambda: store_id)
    result.last_seq = store.open().last_seq  # what it would not open, it must not give out as repaired
    store.close()
    if progress is not None:
        progress(result.last_seq)
    _tell_losses(reader, found, snapshots, best, result)
    return result


# --- what is whole ---------------------------------------------------------------------------------------------------------


def _store_id(reader: FolderReader) -> bytes:
    """Give the store's id, as the newest segment or snapshot says that can be read."""
    store_id = reader.store_id()
    for seq in () if store_id is not None else reversed(reader.snapshot_seqs()):
        path = reader.path / snapshot_file.file_name(seq)
        try:
            snapshot_file.read(reader.disk, path, None)
            return snapshot_file.store_id_of(reader.disk, path)
        except (BadFrame, OSError):
            continue
    return store_id or b"\0" * 16


def _whole_snapshots(reader: FolderReader, store_id: bytes) -> list[int]:
    whole = []
    for seq in reader.snapshot_seqs():
        try:
            snapshot_file.read(reader.disk, reader.path / snapshot_file.file_name(seq), store_id)
        except (BadFrame, OSError):
            continue
        whole.append(seq)
    return whole


def _whole_runs(reader: FolderReader, store_id: bytes) -> _Found:
    """Read all segments, and join what continues each other."""
    found = _Found()
    segments = reader.segments()
    for first_seq, following in zip(segments, [*segments[1:], None], strict=False):
        path = reader.segment_path(first_seq)
        try:
            header = sg.read_header(reader.disk, path)
            has_header = True
        except (StoreCorrupt, StoreUnavailable):  # what is in it may be whole all the same
            header, has_header = sg.SegmentHeader(store_id, first_seq, 0, b"", 0), False
            found.bytes_unreadable += min(sg.HEADER_BYTES, reader.disk.size(path))
        except OSError:
            continue
        found.epoch = max(found.epoch, header.epoch)
        place = sg.Place(sg.HEADER_BYTES, first_seq, header.chain)
        is_first = True
        if has_header:
            _join(found, header, place, _Part(path, 0, sg.HEADER_BYTES, b"", first_seq))
        for item in survey(reader.disk, path, header, place, None if following is None else following - 1):
            if isinstance(item, Gap):
                found.bytes_unreadable += item.size
                continue
            found.epoch = max(found.epoch, item.epoch)
            # What lies between, such as a frame that is there twice, is left behind: the rest becomes a segment of its own.
            if item.follows and (has_header or not is_first) and found.runs[-1].parts[-1].end == item.offset:
                _grow(found.runs[-1], item)
            else:
                _start(found, header.store_id, path, item)
            is_first = False
    return found


def _join(found: _Found, header: sg.SegmentHeader, place: sg.Place, part: _Part) -> None:
    """Go on with a whole segment where the last run ends; else begin another run."""
    run = found.runs[-1] if found.runs else None
    if run is None or (run.store_id, run.end_seq, run.chain) != (header.store_id, place.seq, header.chain):
        run = _Run(header.store_id, place.seq, place.seq, header.chain)
        found.runs.append(run)
    run.parts.append(part)


def _start(found: _Found, store_id: bytes, path: Path, item: Whole) -> None:
    """Begin with a frame behind damage, or go on with the run before it where it continues that."""
    seq = item.frame.first_seq
    run = found.runs[-1] if found.runs else None
    if run is None or (run.store_id, run.end_seq, run.chain) != (store_id, seq, item.prev):
        run = _Run(store_id, seq, seq, item.prev)
        found.runs.append(run)
    head = sg.pack_header(sg.SegmentHeader(store_id, seq, item.epoch, item.prev, time.time_ns() // 1000))
    run.parts.append(_Part(path, item.offset, item.offset, head, seq))
    _grow(run, item)


def _grow(run: _Run, item: Whole) -> None:
    run.parts[-1] = attrs.evolve(run.parts[-1], end=item.end)
    run.events += item.frame.count
    run.bytes += item.end - item.offset
    run.end_seq, run.chain = item.frame.last_seq + 1, item.chain


# --- what is kept ----------------------------------------------------------------------------------------------------------


def _best(runs: list[_Run], snapshots: list[int]) -> _Choice | None:
    """Choose what reaches furthest among all that can be built upon; of those that reach as far, what has most history."""
    choices = [_Choice(None, [seq]) for seq in snapshots]
    for run in runs:
        of_it = [seq for seq in snapshots if run.first_seq - 1 <= seq < run.end_seq]
        if run.first_seq == 1 or of_it:
            choices.append(_Choice(run, of_it))
    return max(choices, key=lambda choice: (choice.last_seq, -choice.first_seq), default=None)


def _write(
    disk: Disk,
    reader: FolderReader,
    best: _Choice,
    target: Path,
    store_id: bytes,
    epoch: int,
    progress: Callable[[int], None] | None,
) -> None:
    if best.run is None:
        last = best.snapshots[-1]
        head = sg.pack_header(sg.SegmentHeader(store_id, last + 1, epoch, fr.chain_after(store_id), time.time_ns() // 1000))
        _put(disk, target / sg.file_name(last + 1), iter([head]))
    else:
        for i, part in enumerate(best.run.parts):
            if not part.head and part.end <= sg.HEADER_BYTES and i + 1 < len(best.run.parts):
                continue  # a header alone, and the frames that it would have are in the next part
            _put(disk, target / sg.file_name(part.first_seq), _bytes_of(reader.disk, part))
            if progress is not None:
                progress(part.first_seq)
    for seq in best.snapshots:
        path = reader.path / snapshot_file.file_name(seq)
        _put(disk, target / path.name, _bytes_of(reader.disk, _Part(path, 0, reader.disk.size(path), b"", seq)))
    disk.sync_folder(target)


def _put(disk: Disk, path: Path, content: Iterator[bytes]) -> None:
    fd = disk.create(path)
    try:
        for chunk in content:
            disk.write(fd, chunk)
        disk.sync(fd)
    finally:
        disk.close(fd)


def _bytes_of(disk: Disk, part: _Part) -> Iterator[bytes]:
    if part.head:
        yield part.head
    with disk.open_read(part.path) as file:
        file.seek(part.start)
        left = part.end - part.start
        while left:
            chunk = file.read(min(left, 1 << 20))
            if not chunk:
                raise OSError(errno.EIO, "it has become shorter while it was read", str(part.path))
            left -= len(chunk)
            yield chunk


# --- what is lost ----------------------------------------------------------------------------------------------------------


def _tell_losses(reader: FolderReader, found: _Found, snapshots: list[int], best: _Choice | None, result: Repair) -> None:
    """Tell in events, messages and bytes what is in the old folder and not in the new one."""
    behind = [run for run in found.runs if best is None or run is not best.run]
    result.events_left_behind = sum(run.events for run in behind)
    result.bytes_left_behind = sum(run.bytes for run in behind)
    damaged = [seq for seq in reader.snapshot_seqs() if seq not in snapshots]
    result.bytes_unreadable = found.bytes_unreadable + sum(
        reader.disk.size(reader.path / snapshot_file.file_name(seq)) for seq in damaged
    )
    first = next(iter(reader.segments()), 1)
    last = max([run.end_seq - 1 for run in found.runs] + snapshots + [result.last_seq], default=0)
    result.events_unreadable = _not_covered(found.runs, first, last)
    result.events_lost = max(0, last - result.last_seq)
    for run in behind:
        if run.end_seq - 1 > result.last_seq:
            for ident in _published(reader, run, result.last_seq):
                result.messages_lost += 1
                if len(result.lost_ids) < IDS_MAX:
                    result.lost_ids.append(ident)
    if first < result.first_seq:
        result.lost.append((first, result.first_seq - 1))
    last_whole = max((run.end_seq - 1 for run in found.runs), default=0)
    if last_whole > result.last_seq or any(finding.seq > result.last_seq for finding in result.findings):
        result.lost.append((result.last_seq + 1, last_whole if last_whole > result.last_seq else 0))


def _not_covered(runs: list[_Run], first: int, last: int) -> int:
    """Count the sequence numbers from `first` to `last` that are in no run."""
    missing, at = 0, first
    for run in sorted(runs, key=lambda run: run.first_seq):
        missing += max(0, min(run.first_seq, last + 1) - at)
        at = max(at, run.end_seq)
    return missing + max(0, last + 1 - at)


def _published(reader: FolderReader, run: _Run, after: int) -> Iterator[str]:
    """Give the ids of the messages that were published in a run after an event."""
    header = sg.SegmentHeader(run.store_id, run.first_seq, 0, b"", 0)
    for part in run.parts:
        place = sg.Place(max(part.start, sg.HEADER_BYTES), 0, b"")
        for item in survey(reader.disk, part.path, header, place):
            if isinstance(item, Gap) or item.offset < part.start:
                continue
            if item.end > part.end:
                break
            if item.frame.last_seq <= after or not item.frame.count:
                continue
            try:
                batches = decode(item.frame.body, item.frame.count)
            except PerdureError:  # of a newer version, perhaps: what it says cannot be told
                continue
            for _, events in batches:
                yield from (event.id for event in events if isinstance(event, ev.Published))
