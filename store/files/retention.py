"""Retention: which old snapshots are removed, and which old segments are kept, dropped, or moved to an archive.

A crash at any point is harmless: segments go oldest first, each removal is synced before the next, and an archived copy is on its
disk, name included, before the original is removed. The snapshotter decides when retention runs.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
from attrs import validators as v

from perdure.events.errors import StoreUnavailable
from perdure.store.disk.whole_file import write_whole
from perdure.store.format import segment as sg

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from perdure.store.disk.disk import Disk
    from perdure.store.files.folder_reader import FolderReader

__all__ = ["ARCHIVE", "KINDS", "History", "unneeded_snapshots"]

KINDS = ("keep", "drop", "archive")
ARCHIVE = "archive"
"""The archive's name in the data folder, unless another folder is given."""
CHUNK_BYTES = 1 << 20


@attrs.frozen
class History:
    """What happens to old segments: `keep` leaves them, `drop` removes them, `archive` moves them to `folder`."""

    kind: str = attrs.field(default="keep", validator=v.in_(KINDS))
    folder: Path | None = attrs.field(default=None, converter=attrs.converters.optional(Path))
    """The archive of this one log; by default the folder `archive` in the data folder."""

    def retire(
        self, disk: Disk, reader: FolderReader, *, synced_seq: int, snapshots_kept: int, is_held: Callable[[], bool] = lambda: False
    ) -> int:
        """Drop or archive the segments that end before the oldest of the kept snapshots; return how many went.

        A snapshot counts only if it is whole now and its events are synced: otherwise the log might later begin after everything
        that can be loaded. Nothing more goes once history is held (`is_held`).

        Raises:
            OSError: a file could not be copied or removed. Older ones have gone, the others are as they were.
            StoreCorrupt: a segment to be archived is damaged; it stays.
            StoreUnavailable: the archive holds another segment of that name, or is the data folder itself.
        """
        segments = reader.segments()
        if self.kind == "keep" or len(segments) <= 1:  # the last one is being written
            return 0
        named = [seq for seq in reader.snapshot_seqs() if seq <= synced_seq]
        if len(named) < snapshots_kept or segments[1] > named[-snapshots_kept] + 1:
            return 0  # decided by names alone, because snapshots are large
        whole = reader.whole_snapshots(synced_seq, snapshots_kept)
        if len(whole) < snapshots_kept:
            return 0
        gone = [(first, following) for first, following in itertools.pairwise(segments) if following <= whole[0] + 1]
        if gone:
            disk.sync_folder(reader.path)  # removed snapshots must not come back without their segments
        for done, (first_seq, following) in enumerate(gone):
            if is_held():
                return done
            if self.kind == "archive":
                _copy(disk, reader, self.folder or reader.path / ARCHIVE, first_seq, following)
            disk.remove(reader.segment_path(first_seq))
            disk.sync_folder(reader.path)  # before the next removal, so that a power cut leaves no gap
        return len(gone)


def unneeded_snapshots(reader: FolderReader, *, first_seq: int, synced_seq: int, kept: int) -> list[int]:
    """Return the snapshots that are older than the newest ones that are sure to be usable.

    A snapshot whose events are not synced may be void after a power cut, so it does not count as usable. Where old segments were
    dropped (`first_seq` is above 1), a start needs a snapshot, so only those that can be read whole count.
    """
    seqs = reader.snapshot_seqs()
    synced = [seq for seq in seqs if seq <= synced_seq]
    sure = reader.whole_snapshots(synced_seq, kept) if first_seq > 1 else synced[-kept:]
    return [seq for seq in seqs if seq < sure[0]] if len(sure) == kept else []


def _copy(disk: Disk, reader: FolderReader, folder: Path, first_seq: int, following: int) -> None:
    """Copy a segment to the archive, up to where the next segment begins, checking every frame."""
    disk.make_folder(folder)
    if disk.is_same_folder(folder, reader.path):
        msg = f"the archive of old segments is the data folder itself: {folder}. Name another one in `Options.history_folder`."
        raise StoreUnavailable(msg)
    source = reader.segment_path(first_seq)
    header = sg.read_header(disk, source)
    position = sg.ScanPosition(sg.HEADER_BYTES, first_seq, header.chain)
    for _ in sg.scan(disk, source, header, position, following - 1):
        pass
    if position.problem or position.seq != following:
        raise sg.damaged(source, position.offset, position.seq, position.problem or "the segment ends too early")
    target = folder / source.name
    if target.name in disk.names(folder):  # copied before a crash
        _check_same(disk, source, target, position.offset)
        return
    temporary = target.with_suffix(".tmp")
    if temporary.name in disk.names(folder):
        disk.remove(temporary)
    write_whole(disk, target, _chunks(disk, source, position.offset))
    disk.sync_folder(folder.parent)


def _chunks(disk: Disk, path: Path, size: int) -> Iterator[bytes]:
    with disk.open_read(path) as file:
        while size:
            chunk = _read(file, size)
            yield chunk
            size -= len(chunk)


def _check_same(disk: Disk, source: Path, target: Path, size: int) -> None:
    same = disk.size(target) == size
    with disk.open_read(source) as one, disk.open_read(target) as other:
        while same and size:
            chunk = _read(one, size)
            same = chunk == _read(other, len(chunk))
            size -= len(chunk)
    if not same:
        msg = (
            f"{target} exists already and is not the segment that was to be archived. An archive is for one log only: name "
            "another folder in `Options.history_folder`."
        )
        raise StoreUnavailable(msg)


def _read(file: BinaryIO, size: int) -> bytes:
    chunk = file.read(min(size, CHUNK_BYTES))
    if not chunk:
        msg = "the file became shorter while it was read"
        raise OSError(msg)
    return chunk
