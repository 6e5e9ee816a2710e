"""The owner of a data folder: appends frames to segment files, recovers the end of the log, keeps snapshots.

Reading is in `reader`, where the log ends in `log_end`, formats are in `frame` and `segment`, every system call is in `disk`.
"""

from __future__ import annotations

import logging
import os
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from perdure.events.errors import FolderMoved, StoreCorrupt, StoreUnavailable
from perdure.events.safe_text import inert
from perdure.store.disk.disk import Disk
from perdure.store.files import log_end
from perdure.store.files.folder_identity import FolderIdentity
from perdure.store.files.folder_reader import FolderReader
from perdure.store.files.frame_index import FrameIndex
from perdure.store.files.history import History
from perdure.store.files.payload_spill import PayloadSpill
from perdure.store.format import frame as fr
from perdure.store.format import segment as sg
from perdure.store.format import snapshot_file
from perdure.store.protocol import Recovered, Snapshot
from perdure.store.retention_hold import HOLD_FILE, RetentionHold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from perdure.store.protocol import Frame, LogSize
    from perdure.store.survey import Damage, Stretch, SurveyedSnapshot, WholeFrame

__all__ = ["SegmentStore"]

logger = logging.getLogger("perdure.store")


class SegmentStore:
    """An `EventStore` in one folder of segment files and snapshots."""

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
        self.epoch = 0
        self._new_id = new_id
        self._now_us = now_us
        self._lock = self.disk.lock(self.path)
        self._identity = FolderIdentity(self.disk, self.path)
        self._hold = RetentionHold(lambda: self.disk.modified_s(self.path / HOLD_FILE))
        self._fd: int | None = None
        self._store_id = b""
        self._crc_seed = 0
        self._chain = b""
        self._size = 0
        self._segment = 0
        self.synced_seq = 0
        self._sealed = True
        self._opened = False
        self._failed: StoreUnavailable | None = None

    # --- opening ---------------------------------------------------------------------------------------------------------

    def open(self) -> Recovered:
        """See `EventStore.open`."""
        try:
            if not self._lock.held:
                self.disk.make_folder(self.path)
                self.disk.open_folder(self.path)
            self.reader.check_readable()
            self._take_lock()
            exposed = self.disk.open_to_others(self.path)
            if exposed:
                logger.warning("the data folder %s is open to others: %s", inert(self.path), inert(exposed))
        except OSError as error:
            msg = (
                f"the data folder {self.path} cannot be used: {error.strerror}. Name a folder (or a path where one can be made) "
                "that this user may write."
            )
            raise StoreUnavailable(msg) from error
        try:
            return self.reopen()
        except BaseException:
            self.abandon()
            raise

    def _take_lock(self) -> None:
        """Take the lock in the folder that is held; whether its name leads to that is looked at afterwards, by `reopen`."""
        try:
            self._lock.take()
        finally:
            if not self._lock.held:
                self.disk.release_folder(self.path)

    def reopen(self, *, void_after: int | None = None) -> Recovered:
        """See `EventStore.reopen`."""
        try:
            self._check_identity(partial(self._identity.check_all, sizes=False))
            fd, self._fd = self._fd, None
            if fd is not None:
                self.disk.close(fd)
            return self._recover(void_after)
        except OSError as error:
            raise self._unavailable("opened", error) from error

    def _recover(self, void_after: int | None) -> Recovered:
        known = self.synced_seq if self._opened else 0
        self._failed = None
        # Names that are seen may be in the cache only, left by who was killed before it could sync them.
        self.disk.sync_folder(self.path)
        self.disk.sync_folder(self.path.parent)
        for name in self.disk.names(self.path):
            # Left by whoever died writing it; never part of the log. But a snapshotter of this very process may be writing one.
            if name.endswith(".tmp") and not (self._opened and snapshot_file.is_unfinished(name)):
                self.disk.remove(self.path / name)
        self._opened = True
        segments = self.reader.segments()
        if not segments:
            if known:
                raise self._older(self.path, 0, known)
            return self._create()
        first_seq = segments[-1]
        path = self.reader.segment_path(first_seq)
        header = sg.read_header(self.disk, path)
        self._store_id, self._crc_seed = header.store_id, fr.seed(header.store_id)
        self._read_from_disk(path)
        end = log_end.find_end(self.reader, path, header, void_after)
        position = end.position
        if position.seq <= known:
            raise self._older(path, position.seq - 1, known)
        if void := log_end.check_link(self.reader, segments, header):
            self._trim(*void)  # whoever cut it here died before it could
        log_end.check_beginning(self.reader, segments[0], position.seq - 1)
        self.last_seq = self.synced_seq = position.seq - 1
        self._chain, self._sealed = position.chain, position.sealed or not end.frames
        self.reader.frame_index = end.frame_index
        self.epoch = end.epoch + 1
        self._set_aside_snapshots()
        cut = end.size - position.offset
        self._identity.reset([self.reader.segment_path(seq) for seq in segments[:-1]])
        if void:
            self._identity.add_earlier(*void)
        if cut:
            logger.warning("%s: %d bytes of a torn end are cut off at offset %d: %s", path, cut, position.offset, position.problem)
            self._begin_segment()
            if self._segment != first_seq:
                self._identity.add_earlier(path, position.offset)
                self._trim(path, position.offset)
        else:
            self._fd, self._size, self._segment = self.disk.open_append(path), end.size, first_seq
            self._identity.begin_segment(path, self._fd, end.size)
        return Recovered(
            self.last_seq, self.epoch, len(segments), clean=end.is_clean, cut_bytes=cut, cut_from_seq=position.seq if cut else None
        )

    def _older(self, path: Path, last_seq: int, known: int) -> FolderMoved:
        """Make the error for a log that ends before what this very process has synced."""
        self._failed = FolderMoved(
            f"the log in {self.path} ends at {last_seq} ({path.name}), and this process has synced up to {known}: files were "
            "removed, or an older copy was put over them. Nothing is written any more. Restore the newest copy that "
            "`perdure verify` finds whole."
        )
        return self._failed

    def _check_identity(self, look: Callable[[], None]) -> None:
        """Look whether the names lead to what this store has opened; it writes no more where they do not.

        Raises:
            FolderMoved: they do not.
            OSError: nobody can say.
        """
        try:
            look()
        except FolderMoved as error:
            self._stop_for_good(error)
            raise

    def _stop_for_good(self, error: FolderMoved) -> None:
        if self._failed is None:
            logger.error("%s", error)
        self._failed = error

    def _create(self) -> Recovered:
        if self.reader.snapshot_seqs():
            msg = f"{self.path} holds snapshots but no log. Restore the folder from a backup."
            raise StoreCorrupt(msg, file=str(self.path), offset=0, seq=1)
        self._store_id = self._new_id()
        self._crc_seed = fr.seed(self._store_id)
        self._chain = fr.chain_after(self._store_id)
        self.last_seq = self.synced_seq = 0
        self.epoch = 1
        self._begin_segment()
        return Recovered(0, 1, 1, created=True)

    def _read_from_disk(self, path: Path) -> None:
        """Have what is in the file on the disk, and read what is on the disk: a sync that failed before shows now."""
        fd = self.disk.open_append(path)
        try:
            self.disk.sync(fd)
            self.disk.forget_cached(fd)
        finally:
            self.disk.close(fd)

    def _trim(self, path: Path, size: int) -> None:
        """Cut off what a later segment has made void. Only tidiness: no reader looks at it, so a failure changes nothing."""
        try:
            self.disk.truncate(path, size)
        except OSError as error:
            logger.warning("%s: the void bytes from offset %d on stay for now: %s", path, size, error)

    def _set_aside_snapshots(self) -> None:
        """Take snapshots of lost events out of sight, before other events get their numbers.

        A snapshot is synced when it is made, what it folded may not have been; after a power cut it can know more than the log.
        """
        beyond = [seq for seq in self.reader.snapshot_seqs() if seq > self.last_seq]
        for seq in beyond:
            path = self.path / snapshot_file.file_name(seq)
            logger.warning("%s is set aside: the log ends at %d and does not hold what it folded", path, self.last_seq)
            self.disk.rename(path, path.with_suffix(".void"))
        if beyond:
            self.disk.sync_folder(self.path)

    # --- writing ---------------------------------------------------------------------------------------------------------

    def append(self, body: bytes, count: int, *, expected_seq: int) -> None:
        """See `EventStore.append`."""
        fd = self._writable()
        if expected_seq != self.last_seq + 1:
            msg = f"a frame for sequence {expected_seq} where {self.last_seq + 1} is next: its writer has lost step with the log"
            raise ValueError(msg)
        if len(body) > fr.FRAME_BYTES_MAX or not 0 < count <= fr.COUNT_MAX:
            msg = f"a frame of {count} events and {len(body)} bytes is past the bound of {fr.COUNT_MAX} and {fr.FRAME_BYTES_MAX}"
            raise ValueError(msg)
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
                logger.debug("the torn frame stays until the log is opened again", exc_info=True)
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
        """See `EventStore.seal`. Synced at once: nothing may follow a seal that is not."""
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
        """Start a segment after the last event. It is there whole, name included, before anything is written to it."""
        path = self.reader.segment_path(self.last_seq + 1)
        head = sg.pack_header(sg.SegmentHeader(self._store_id, self.last_seq + 1, self.epoch, self._chain, self._now_us()))
        beside = path.with_suffix(".tmp")
        fd = self.disk.create(beside)
        try:
            self.disk.write(fd, head)
            self.disk.sync(fd)
            self.disk.rename(beside, path)
            self.disk.sync_folder(self.path)
        except BaseException:
            self.disk.close(fd)
            raise
        self._fd, self._size, self._segment = fd, len(head), self.last_seq + 1
        self._identity.begin_segment(path, fd, len(head))
        self.reader.frame_index = FrameIndex(self.last_seq + 1)

    def _writable(self) -> int:
        if self._failed is not None:
            raise self._failed
        if self._fd is None or not self._lock.held:  # a forked child does not hold it
            raise self._not_open()
        return self._fd

    def _not_open(self) -> StoreUnavailable:
        return StoreUnavailable(f"the store in {self.path} is not open in this process; call open() here first")

    def _fail(self, what: str, error: OSError) -> StoreUnavailable:
        """After any I/O error this store writes no more: only opening it anew can tell what the disk has."""
        self._failed = self._unavailable(what, error)
        return self._failed

    def _unavailable(self, what: str, error: OSError) -> StoreUnavailable:
        reason = error.strerror or str(error)
        msg = f"the log in {self.path} could not be {what}: {reason}. Nothing was published; it is tried again by itself."
        return StoreUnavailable(msg)

    # --- reading and snapshots -------------------------------------------------------------------------------------------

    def frames(self, after: int = 0, until: int | None = None) -> Iterator[Frame]:
        """See `EventStore.frames`. Of a folder that is no longer what it was, nothing is read: it might end too early.

        Raises:
            StoreCorrupt: also where the log ends before what this owner has synced: that is no torn tail.
        """
        try:
            self._check_identity(self._identity.check)
        except OSError as error:
            raise self._unavailable("read", error) from error
        until = self.last_seq if until is None else until
        synced_seq, reached = min(until, self.synced_seq), after
        if after < self.last_seq:
            for frame in self.reader.frames(after, until):
                reached = frame.last_seq
                yield frame
        if reached < synced_seq and max(reached, self.first_seq - 1) < synced_seq:  # repaired, it may begin late
            path = self.reader.segment_path(max((seq for seq in self.reader.segments() if seq <= reached + 1), default=1))
            msg = (
                f"{path.name} is damaged at sequence {reached + 1}: its whole frames end there, though all up to {synced_seq} was "
                "written and synced. Nothing was changed. `perdure verify` lists all damage; restore the folder from a backup, or "
                "read what is whole with perdure.Audit."
            )
            raise StoreCorrupt(msg, file=str(path), seq=reached + 1)

    def snapshots(self, at_most: int | None = None) -> Iterator[Snapshot]:
        """See `EventStore.snapshots`."""
        return self.reader.snapshots(at_most)

    def save_snapshot(self, snapshot: Snapshot) -> None:
        """See `EventStore.save_snapshot`."""
        if not self._lock.held:
            raise self._not_open()
        try:
            self._check_identity(self._identity.check_all)
            snapshot_file.write(self.disk, self.path, self._store_id, snapshot)
            with self._hold.dropping() as may_drop:
                for seq in self._unneeded_snapshots() if may_drop else ():
                    self.disk.remove(self.path / snapshot_file.file_name(seq))
        except OSError as error:
            msg = f"the snapshot at {snapshot.seq} could not be written in {self.path}: {error.strerror}. The log is untouched."
            raise StoreUnavailable(msg) from error

    def spill(self) -> PayloadSpill:
        """See `EventStore.spill`."""
        return PayloadSpill(self.path.absolute())  # whatever the working directory becomes

    def _unneeded_snapshots(self) -> list[int]:
        """Give the snapshots that are older than the newest ones that will surely be of use.

        One whose events are not synced may be void after a power cut. Where old segments were dropped, nothing but snapshots is
        left to begin from: there only those count that can be read whole.
        """
        seqs = self.reader.snapshot_seqs()
        if self.first_seq > 1:
            sure = self.reader.whole_snapshots(self.synced_seq, self.snapshots_kept)
        else:
            sure = [seq for seq in seqs if seq <= self.synced_seq][-self.snapshots_kept :]
        return [seq for seq in seqs if seq < sure[0]] if len(sure) == self.snapshots_kept else []

    def retire_history(self) -> int:
        """See `EventStore.retire_history`."""
        if not self._lock.held:
            raise self._not_open()
        try:
            self._check_identity(self._identity.check)
            with self._hold.dropping() as may_drop:
                return self._retire() if may_drop else 0
        except OSError as error:
            why = error.strerror or error
            msg = f"old segments of {self.path} stay for now ({self.history.kind} failed): {why}. It is tried again."
            raise StoreUnavailable(msg) from error

    def _retire(self) -> int:
        try:
            return self.history.retire(
                self.disk,
                self.reader,
                synced_seq=self.synced_seq,
                snapshots_kept=self.snapshots_kept,
                is_held=self._hold.held_by_file,
            )
        finally:
            self._identity.forget_before(self.reader.segment_path(self.first_seq))

    def hold_history(self) -> AbstractContextManager[None]:
        """See `EventStore.hold_history`."""
        return self._hold.held()

    def separate_reader(self) -> FolderReader:
        """See `EventStore.separate_reader`. It looks the folder up by its name."""
        return FolderReader(self.path)

    @property
    def address(self) -> str:
        """See `LogReader.address`: the folder's path."""
        return self.reader.address

    @property
    def first_seq(self) -> int:
        """See `LogReader.first_seq`."""
        return self.reader.first_seq

    def check_readable(self) -> None:
        """See `LogReader.check_readable`."""
        self.reader.check_readable()

    def snapshot_seqs(self) -> list[int]:
        """See `LogReader.snapshot_seqs`."""
        return self.reader.snapshot_seqs()

    def size(self) -> LogSize:
        """See `LogReader.size`."""
        return self.reader.size()

    def survey(self) -> Iterator[Stretch | WholeFrame | Damage]:
        """See `LogReader.survey`. It reads the folder that is open, whatever its name leads to by now."""
        return self.reader.survey()

    def survey_snapshot(self, seq: int) -> SurveyedSnapshot | None:
        """See `LogReader.survey_snapshot`."""
        return self.reader.survey_snapshot(seq)

    def store_id(self) -> bytes | None:
        """See `LogReader.store_id`."""
        return self.reader.store_id()

    def exposure(self) -> str | None:
        """See `LogReader.exposure`."""
        return self.reader.exposure()

    # --- letting go ------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """See `EventStore.close`."""
        try:
            if self._fd is not None and self._failed is None and self._lock.held:
                self.sync()
                self.seal()
        finally:
            self.abandon()

    def abandon(self) -> None:
        """See `EventStore.abandon`."""
        fd, self._fd = self._fd, None
        self._opened = False
        if fd is not None:
            self.disk.close(fd)
        self._lock.drop()
        self._identity.reset([])
        self.reader.frame_index = None
        self.disk.release_folder(self.path)
