"""Writing at the end of a log: appends frames to the newest segment, syncs, seals, and begins the next segment.

How an owner finds the end of an existing log is in `segment_recovery`; what else an owner does is in `segment_store`.
"""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from perdure.events.errors import FolderMoved, StoreUnavailable
from perdure.events.loggers import GuardedLogger
from perdure.store.disk.advice import with_advice
from perdure.store.disk.disk import Disk
from perdure.store.files.folder_identity import FolderIdentity
from perdure.store.files.folder_reader import FolderReader
from perdure.store.files.frame_index import FrameIndex
from perdure.store.files.retention import History
from perdure.store.format import frame as fr
from perdure.store.format import segment as sg
from perdure.store.retention_hold import HOLD_FILE, RetentionHold
from perdure.store.values import RowsGone

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["SegmentWriter"]

logger = GuardedLogger("perdure.store")


class SegmentWriter:
    """The state of an owner and its one writing thread. It writes nothing before recovery has set where the log ends."""

    def __init__(
        self,
        folder: str | Path,
        *,
        segment_bytes: int = 64 << 20,
        snapshots_kept: int = 2,
        history: History | None = None,
        disk: Disk | None = None,
        new_id: Callable[[], bytes] = lambda: os.urandom(16),
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self.path = Path(folder)
        self.disk = disk or Disk()
        self.reader = FolderReader(self.path, disk=self.disk)
        self.segment_bytes = segment_bytes
        self.snapshots_kept = snapshots_kept
        self.history = history or History()
        self.last_seq = 0
        self.synced_seq = 0
        self.epoch = 0
        self._new_id = new_id
        self._now_us = now_us
        self._lock = self.disk.lock(self.path)
        self._identity = FolderIdentity(self.disk, self.path)
        self._hold = RetentionHold(lambda: self.disk.modified_s(self.path / HOLD_FILE))
        self._fd: int | None = None
        """The newest segment, open for appending."""
        self._size = 0
        """Its bytes."""
        self._segment = 0
        """Its first sequence number."""
        self._store_id = b""
        self._crc_seed = 0
        self._chain = b""
        """Chain hash of the last frame."""
        self._sealed = True
        self._opened = False
        """The log has been opened by this object since `abandon`."""
        self._failed: StoreUnavailable | None = None
        """Why nothing can be written until the log is opened again."""

    def append(self, body: bytes, count: int, *, expected_seq: int, durable: bool = False, taken: Sequence[int] = ()) -> None:  # noqa: ARG002 - a file is synced by `sync`
        """See `EventStore.append`."""
        fd = self._writable()
        if expected_seq != self.last_seq + 1:
            msg = f"a frame for sequence {expected_seq} where {self.last_seq + 1} is next: the writer is out of step with the log"
            raise ValueError(msg)
        if len(body) > fr.FRAME_BYTES_MAX or not 0 < count <= fr.COUNT_MAX:
            msg = f"a frame of {count} events and {len(body)} bytes is past the bound of {fr.COUNT_MAX} and {fr.FRAME_BYTES_MAX}"
            raise ValueError(msg)
        if taken:
            raise RowsGone(f"rows {[*taken]} are not there: {self.path} is a folder, which has no ingress")
        try:
            try:
                self._identity.check_before_append()
            except FolderMoved as error:
                self._stop_for_good(error)
                raise
            if self._size >= self.segment_bytes:
                self._check_identity(self._identity.check_some)
                self._roll()
                fd = self._writable()
        except OSError as error:
            raise self._fail("written", error) from error
        self._write(fd, body, count)
        self.last_seq += count
        self._sealed = False

    def _write(self, fd: int, body: bytes, count: int) -> None:
        frame, chain = fr.pack(
            body=body,
            count=count,
            first_seq=self.last_seq + 1,
            epoch=self.epoch,
            unsynced=self.last_seq - self.synced_seq,
            prev=self._chain,
            crc_seed=self._crc_seed,
        )
        try:
            self.disk.write(fd, frame)
        except OSError as error:
            failure = self._fail("written", error)
            try:
                self.disk.cut(fd, self._size)
            except OSError:
                logger.debug("the torn frame remains until the log is opened again", exc_info=True)
            raise failure from error
        self._chain = chain
        self._size += len(frame)
        self._identity.grow_to(self._size)
        frame_index = self.reader.frame_index
        if frame_index is not None and self._size >= frame_index.next:
            frame_index.add(self._size, self.last_seq + count + 1, chain)

    def sync(self) -> None:
        """See `EventStore.sync`."""
        fd = self._writable()
        try:
            if not self._identity.checked_last_append():
                self._check_identity(self._identity.check)
            self.disk.sync_data(fd)
        except OSError as error:
            raise self._fail("synced", error) from error
        self.synced_seq = self.last_seq

    def seal(self) -> None:
        """See `EventStore.seal`. A seal is synced at once: no frame may follow one that is not."""
        fd = self._writable()
        try:
            self._check_identity(partial(self._identity.check, exactly=True))
        except OSError as error:
            raise self._fail("written", error) from error
        if self._sealed:
            return
        self._write(fd, b"", 0)
        self.sync()
        self._sealed = True

    def _roll(self) -> None:
        fd, self._fd = self._fd, None
        if fd is not None:
            try:
                self.disk.sync(fd)
            finally:
                self.disk.close(fd)
            self.synced_seq = self.last_seq
        self._identity.end_segment()
        self._begin_segment()

    def _begin_segment(self) -> None:
        """Begin a segment after the last event. Its header and its name are on the disk before any frame is written to it."""
        path = self.reader.segment_path(self.last_seq + 1)
        head = sg.pack_header(sg.SegmentHeader(self._store_id, self.last_seq + 1, self.epoch, self._chain, self._now_us()))
        temporary = path.with_suffix(".tmp")
        fd = self.disk.create(temporary)
        try:
            self.disk.write(fd, head)
            self.disk.sync(fd)
            self.disk.rename(temporary, path)
            self.disk.sync_folder(self.path)
        except BaseException:
            self.disk.close(fd)
            raise
        self._fd, self._size, self._segment = fd, len(head), self.last_seq + 1
        self._identity.begin_segment(path, fd, len(head))
        self.reader.frame_index = FrameIndex(self.last_seq + 1)

    def _writable(self) -> int:
        """Return the descriptor of the newest segment.

        Raises:
            StoreUnavailable: an earlier write failed, or this process does not own the log.
        """
        if self._failed is not None:
            raise self._failed
        if self._fd is None or not self._lock.held:  # a forked child does not hold it
            raise self._not_open()
        return self._fd

    def _not_open(self) -> StoreUnavailable:
        return StoreUnavailable(f"the store in {self.path} is not open in this process; call open() here first")

    def _fail(self, what: str, error: OSError) -> StoreUnavailable:
        """Return the error, and refuse all writes from now on: after an I/O error only a new opening shows what is on the disk."""
        self._failed = self._unavailable(what, error)
        return self._failed

    def _unavailable(self, what: str, error: OSError) -> StoreUnavailable:
        why = with_advice(error)
        msg = f"the log in {self.path} could not be {what}: {why}. Nothing was published. A system that runs tries again by itself."
        return StoreUnavailable(msg)

    def _check_identity(self, check: Callable[[], None]) -> None:
        """Run a check of the folder's identity; refuse all writes from now on if it fails.

        Raises:
            FolderMoved: the names no longer lead to what this owner has opened.
            OSError: the names cannot be looked up.
        """
        try:
            check()
        except FolderMoved as error:
            self._stop_for_good(error)
            raise

    def _stop_for_good(self, error: FolderMoved) -> None:
        """Log that the folder was moved, once, and refuse all writes from now on."""
        if self._failed is None:
            logger.error("%s", error)
        self._failed = error
