"""A folder that takes a backup of a log, run after run: segments, snapshots, spool files, and `backup.json`: which of it counts.

A file gets its name once it is whole and synced, and is replaced whole. What `backup.json` does not mention is left over from a run
that was cut off, and the next run writes it anew. What is copied is decided in `backing_up`; reading is in `reader`.
"""

from __future__ import annotations

import contextlib
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from perdure.events.errors import StoreUnavailable
from perdure.store.backup.state import BackupState, packed, parsed
from perdure.store.disk.advice import with_advice
from perdure.store.disk.disk import Disk
from perdure.store.disk.large_file import PIECE_BYTES, LargeFile
from perdure.store.disk.whole_file import write_whole
from perdure.store.files.listing.folder_listing import FolderListing
from perdure.store.files.listing.folder_marks import BACKUP_FILE
from perdure.store.format import segment as sg
from perdure.store.format import snapshot_file
from perdure.store.spool.spool_file import names as spool_names
from perdure.store.spool.spool_file import survey_spool

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from perdure.store.survey import Stretch, WholeFrame
    from perdure.store.values import Snapshot

__all__ = ["BackupFolder", "state_in"]

MERGED_PART = 16
"""A last segment smaller than this part of a whole one is written anew with what follows: many small runs leave few files."""
SNAPSHOTS_KEPT = 2
"""Of the newest; where history begins later than with event 1, also the oldest that reaches back to its beginning."""


def state_in(disk: Disk, folder: Path) -> BackupState:
    """Return what a backup says of itself.

    Raises:
        StoreUnavailable: the folder holds no backup, or cannot be read, or a newer version wrote it.
        StoreCorrupt: the file is damaged.
    """
    path = folder / BACKUP_FILE
    try:
        with disk.open_read(path) as file:
            return parsed(file.read(), str(path))
    except FileNotFoundError as error:
        msg = f"{folder} holds no backup: it has no {BACKUP_FILE}. `perdure backup FOLDER {folder}` makes one."
        raise StoreUnavailable(msg) from error
    except OSError as error:
        msg = f"{path} cannot be read: {with_advice(error)}."
        raise StoreUnavailable(msg) from error


class BackupFolder:
    """A folder for the backups of one log. For one thread; the folder is locked from `begin` to `close`."""

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        segment_bytes: int = 64 << 20,
        disk: Disk | None = None,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self.path = Path(folder)
        self._disk = disk or Disk()
        self._segment_bytes = segment_bytes
        self._now_us = now_us
        self._lock = self._disk.lock(self.path)
        self._listing = FolderListing(self.path, disk=self._disk)
        self.state = BackupState(b"")
        self._file = LargeFile(self._disk)
        """The segment that is written, under its temporary name."""
        self._segment = 0
        """Its first sequence number."""
        self._spooled: set[str] = set()
        """The spool files of this run. Those of earlier ones are needed until it counts: their publishes are in its log by then."""

    def begin(self, store_id: bytes) -> BackupState:
        """Lock the folder and return what it holds; a new backup is begun in a folder that is empty or not there.

        Raises:
            StoreUnavailable: it holds something else, or a backup of another store, or cannot be written.
            StoreLocked: another run writes into it.
            StoreCorrupt: its `backup.json` is damaged.
        """
        with self._writing():
            self._disk.make_folder(self.path)
            self._check_place()
            self._lock.take()
            names = self._disk.names(self.path)
            for name in names:
                if name.endswith(".tmp"):
                    self._disk.remove(self.path / name)
            if BACKUP_FILE not in names:
                self.state = BackupState(store_id)
                self._save(self.state)
                self._disk.sync_folder(self.path.parent)
                return self.state
        self.state = state_in(self._disk, self.path)
        if self.state.store_id != store_id:
            msg = (
                f"{self.path} holds backups of another store ({self.state.store_id.hex()}, and this one is {store_id.hex()}). Name "
                "another folder."
            )
            raise StoreUnavailable(msg)
        with self._writing():
            for seq in self._listing.segments():
                if seq > self.state.last_seq:  # of a run that was cut off before it could say so
                    self._disk.remove(self._listing.segment_path(seq))
        return self.state

    def _check_place(self) -> None:
        names = [name for name in self._disk.names(self.path) if name not in ("owner.lock", f"{BACKUP_FILE[:-5]}.tmp")]
        if names and BACKUP_FILE not in names:
            msg = f"{self.path} is there, is not empty, and holds no backup; name another folder for the backup"
            raise StoreUnavailable(msg)

    def begin_log(self, stretch: Stretch) -> None:
        """Write where a new backup begins."""
        seq = stretch.first_seq - 1
        self.state = attrs.evolve(
            self.state,
            first_seq=stretch.first_seq,
            begins_after=stretch.chain,
            last_seq=seq,
            chain=stretch.chain,
            head_seq=seq,
            head_chain=stretch.chain,
        )

    def put(self, frame: WholeFrame) -> None:
        """Add the frame that follows the last one, as it is.

        Raises:
            StoreUnavailable: it cannot be written. What earlier runs have completed is as it was.
        """
        with self._writing():
            first_seq = frame.frame.first_seq
            if not self._file.is_open:
                self._begin_segment(frame)
            elif frame.frame.count and self._file.size >= self._segment_bytes and first_seq > self._segment:
                self._end_segment()
                self._save(self.state)
                self._begin_segment(frame)
            self._file.write(frame.raw)
        state = attrs.evolve(self.state, last_seq=frame.frame.last_seq, chain=frame.chain)
        self.state = attrs.evolve(state, head_seq=state.last_seq, head_chain=frame.chain) if frame.frame.count else state

    def put_snapshot(self, snapshot: Snapshot) -> None:
        """Add a snapshot, unless it is there.

        Raises:
            StoreUnavailable: as `put`.
        """
        if snapshot.seq not in self._listing.snapshot_seqs():
            with self._writing():
                snapshot_file.write(self._disk, self.path, self.state.store_id, snapshot)

    def put_spool(self, name: str, file: BinaryIO) -> None:
        """Add a spool file, or more of one that is there: its writer only ever appends.

        Raises:
            StoreUnavailable: as `put`.
        """
        with self._writing():
            path = self.path / name
            temporary = path.with_suffix(".tmp")
            self._file.begin(temporary)
            self._file.write_all(file)
            self._file.end()
            self._disk.rename(temporary, path)
            self._disk.sync_folder(self.path)  # before `backup.json` says that the run counts
            self._spooled.add(name)

    def count_spooled(self) -> int:
        """Return how many publishes are in the spool files of this run.

        Raises:
            StoreUnavailable: they cannot be read.
        """
        with self._writing():
            return sum(one.items for one in survey_spool(self._disk, self.path) if one.file in self._spooled)

    def snapshot_seqs(self) -> list[int]:
        """Return the sequence numbers of the snapshots in it, oldest first."""
        return self._listing.snapshot_seqs()

    def finish(self) -> BackupState:
        """Make the run count, once everything outlasts a power cut.

        Raises:
            StoreUnavailable: as `put`.
        """
        state = self.state
        with self._writing():
            self._end_segment()
            self.state = attrs.evolve(
                state, completed_seq=state.last_seq, completed_chain=state.chain, completed_us=max(self._now_us(), 0)
            )
            self._save(self.state)
            for seq in self._unneeded():
                self._disk.remove(self._listing.snapshot_path(seq))
            for name in spool_names(self._disk, self.path):
                if name not in self._spooled:
                    self._disk.remove(self.path / name)
        return self.state

    def close(self) -> None:
        """Release the folder, whatever was written. It may be called again."""
        self._file.abandon()
        self._lock.drop()

    def _unneeded(self) -> list[int]:
        """Return the snapshots that are neither among the newest nor needed for the beginning of history."""
        seqs = self._listing.snapshot_seqs()
        base = [seq for seq in seqs if seq >= self.state.first_seq - 1][:1] if self.state.first_seq > 1 else []
        return [seq for seq in seqs[:-SNAPSHOTS_KEPT] if seq not in base]

    def _begin_segment(self, frame: WholeFrame) -> None:
        """Begin a segment with a frame; where the last one is small, or has more than counts, begin it with what that one holds."""
        seqs = self._listing.segments()
        earlier, size = (seqs[-1], self._counted_bytes(seqs[-1])) if seqs else (0, 0)
        path = self._listing.segment_path(earlier)
        grows = seqs and (size < self._segment_bytes // MERGED_PART or size < self._disk.size(path))
        self._segment = earlier if grows else frame.frame.first_seq
        self._file.begin(self._listing.segment_path(self._segment).with_suffix(".tmp"))
        if not grows:
            header = sg.SegmentHeader(self.state.store_id, frame.frame.first_seq, frame.epoch, frame.prev, max(self._now_us(), 0))
            self._file.write(sg.pack_header(header))
            return
        with self._disk.open_read(path) as file:
            while size > 0 and (piece := file.read(min(size, PIECE_BYTES))):
                size -= len(piece)
                self._file.write(piece)

    def _counted_bytes(self, segment: int) -> int:
        """Return how many bytes of a segment hold what `backup.json` counts.

        Raises:
            StoreCorrupt: not all of that is in it.
        """
        path = self._listing.segment_path(segment)
        header = sg.read_header(self._disk, path)
        position = sg.ScanPosition(sg.HEADER_BYTES, segment, header.chain)
        for _ in sg.scan(self._disk, path, header, position, bodies=False):
            if position.chain == self.state.chain:
                return position.offset
        raise sg.damaged(path, position.offset, position.seq, position.problem or f"it ends before {self.state.last_seq}")

    def _end_segment(self) -> None:
        """Give the segment its name, once it is synced."""
        if not self._file.is_open:
            return
        self._file.end()
        path = self._listing.segment_path(self._segment)
        self._disk.rename(path.with_suffix(".tmp"), path)
        self._disk.sync_folder(self.path)

    def _save(self, state: BackupState) -> None:
        write_whole(self._disk, self.path / BACKUP_FILE, [packed(state)])

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Turn an I/O error into one that says what to do, and make room again."""
        try:
            yield
        except OSError as error:
            self.close()
            with contextlib.suppress(OSError):
                for name in self._disk.names(self.path):
                    if name.endswith(".tmp"):
                        self._disk.remove(self.path / name)
            msg = (
                f"the backup in {self.path} could not be written: {with_advice(error)}. What earlier runs completed is as it was; "
                "run it again, and it goes on from there."
            )
            raise StoreUnavailable(msg) from error
