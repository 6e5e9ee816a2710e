"""A new data folder that takes a copy of a log, frame by frame, as a repair or a migration writes it.

The frames keep their bytes, so the hash chain goes on as it was. What is copied is decided in `maintenance`.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from perdure.events.errors import StoreUnavailable
from perdure.store.disk.advice import with_advice
from perdure.store.disk.disk import Disk
from perdure.store.disk.folder_lock import live_owner
from perdure.store.disk.large_file import LargeFile
from perdure.store.files.listing.folder_marks import UNFINISHED_FILE
from perdure.store.files.segment_store import SegmentStore
from perdure.store.format import segment as sg
from perdure.store.format import snapshot_file
from perdure.store.spool.spool_format import is_spool

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator
    from typing import BinaryIO

    from perdure.store.survey import Stretch, WholeFrame
    from perdure.store.values import Recovered, Snapshot

__all__ = ["FolderCopy"]


class FolderCopy:
    """A `LogTarget` in a folder that is not there yet, or empty, or has a copy that was cut off. Segments have `segment_bytes`."""

    def __init__(self, folder: str | os.PathLike[str], *, segment_bytes: int = 64 << 20, disk: Disk | None = None) -> None:
        self.path = Path(folder)
        self._disk = disk or Disk()
        self._segment_bytes = segment_bytes
        self._store_id = b""
        self._file = LargeFile(self._disk)
        """The segment that is written."""
        self._segment = 0
        """Its first sequence number."""

    def check_empty(self) -> None:
        """See `LogTarget.check_empty`."""
        with self._writing():
            names = self._names()
        if names and UNFINISHED_FILE not in names:
            pid = live_owner(self.path)
            why = f"process {pid} uses it" if pid is not None else "is there and not an empty folder"
            msg = f"{self.path} {why}; name another one for the copy"
            raise StoreUnavailable(msg)

    def _names(self) -> list[str]:
        """Return what is in the folder; a file of its name counts as a folder that is taken."""
        try:
            return self._disk.names(self.path)
        except FileNotFoundError:
            return []
        except NotADirectoryError:
            return [self.path.name]

    def begin(self, stretch: Stretch) -> None:
        """See `LogTarget.begin`."""
        self._store_id = stretch.store_id
        with self._writing():
            self._disk.make_folder(self.path)
            self._mark_unfinished()
            self._begin_segment(stretch.first_seq, stretch.epoch, stretch.chain)

    def _mark_unfinished(self) -> None:
        """Mark the folder, and remove what a copy that was cut off has left there."""
        names = self._names()
        if UNFINISHED_FILE not in names:
            self._disk.close(self._disk.create(self.path / UNFINISHED_FILE))
        self._disk.sync_folder(self.path)
        for name in names:
            is_ours = sg.first_seq_of(name) is not None or snapshot_file.seq_of(name) is not None or is_spool(name)
            if is_ours or name.endswith(".tmp"):
                self._disk.remove(self.path / name)

    def put(self, frame: WholeFrame) -> None:
        """See `LogTarget.put`."""
        with self._writing():
            first_seq = frame.frame.first_seq
            if frame.frame.count and self._file.size >= self._segment_bytes and first_seq > self._segment:
                self._file.end()
                self._begin_segment(first_seq, frame.epoch, frame.prev)
            self._file.write(frame.raw)

    def put_snapshot(self, snapshot: Snapshot) -> None:
        """See `LogTarget.put_snapshot`."""
        with self._writing():
            snapshot_file.write(self._disk, self.path, self._store_id, snapshot)

    def put_spool(self, name: str, file: BinaryIO) -> int:
        """See `TakesSpool.put_spool`. Nothing is left out: the file keeps its bytes, and the next owner reports damage in it."""
        with self._writing():
            self._file.end()
            self._file.begin(self.path / name)
            self._file.write_all(file)
            self._file.end()
        return 0

    def flush(self) -> None:
        """See `LogTarget.flush`."""
        with self._writing():
            self._file.end()
            self._disk.sync_folder(self.path)
            self._disk.sync_folder(self.path.parent)

    def finish(self) -> Recovered:
        """See `LogTarget.finish`."""
        self.flush()
        with self._writing():
            self._disk.remove(self.path / UNFINISHED_FILE)
            self._disk.sync_folder(self.path)
        store = SegmentStore(self.path, disk=self._disk)
        recovered = store.open()
        store.close()
        return recovered

    def _begin_segment(self, first_seq: int, epoch: int, chain: bytes) -> None:
        self._segment = first_seq
        self._file.begin(self.path / sg.file_name(first_seq))
        self._file.write(sg.pack_header(sg.SegmentHeader(self._store_id, first_seq, epoch, chain, time.time_ns() // 1000)))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Turn an I/O error into one that says what to do, and release the open file."""
        try:
            yield
        except OSError as error:
            self._file.abandon()
            msg = f"the copy in {self.path} could not be written: {with_advice(error)}. Or name another folder, and try again."
            raise StoreUnavailable(msg) from error
