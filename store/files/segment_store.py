"""The owner of a data folder: the `EventStore` of segment files and snapshots.

Frames are written in `segment_writer`, the end of the log is found in `segment_recovery`, and frames and snapshots are read in
`folder_reader`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from perdure.events.errors import StoreCorrupt, StoreUnavailable
from perdure.events.loggers import GuardedLogger
from perdure.events.safe_text import inert
from perdure.store.disk.advice import with_advice
from perdure.store.files.folder_reader import FolderReader
from perdure.store.files.listing.folder_marks import check_no_backup
from perdure.store.files.payload_spill import PayloadSpill
from perdure.store.files.retention import unneeded_snapshots
from perdure.store.files.segment_recovery import SegmentRecovery
from perdure.store.format import snapshot_file
from perdure.store.reading_through import ReadsThrough

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from perdure.events.errors import OwnershipLost
    from perdure.store.values import Frame, Recovered, Snapshot

__all__ = ["SegmentStore"]

logger = GuardedLogger("perdure.store")


class SegmentStore(SegmentRecovery, ReadsThrough[FolderReader]):
    """An `EventStore` in one folder of segment files and snapshots."""

    def __repr__(self) -> str:
        """Show the folder."""
        return f"SegmentStore({str(self.path)!r})"

    _is_locked_for_open = False
    """`lock` was called, and `open` was not yet."""

    # --- opening ---------------------------------------------------------------------------------------------------------

    def lock(self) -> None:
        """Take the folder's lock, and read nothing yet; `open` goes on from here.

        Raises:
            StoreLocked, StoreUnavailable: as `open`.
        """
        try:
            if not self._lock.held:
                self.disk.make_folder(self.path)
                self.disk.open_folder(self.path)
            self.reader.check_readable()
            check_no_backup(self.path, self.disk.names(self.path))
            self._take_lock()
            exposed = self.disk.open_to_others(self.path)
            if exposed:
                logger.warning("the data folder %s is open to others: %s", inert(self.path), inert(exposed))
        except OSError as error:
            msg = (
                f"the data folder {self.path} cannot be used: {with_advice(error)}. Name a folder, or a "
                "path where one can be made, that this user may write."
            )
            raise StoreUnavailable(msg) from error
        self._is_locked_for_open = True

    def open(self) -> Recovered:
        """See `EventStore.open`."""
        if not (self._is_locked_for_open and self._lock.held):  # a forked child does not hold it
            self.lock()
        self._is_locked_for_open = False
        try:
            return self.reopen()
        except BaseException:
            self.abandon()
            raise

    def _take_lock(self) -> None:
        """Take the lock in the folder that is open. `reopen` checks afterwards whether its name still leads there."""
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

    # --- reading and snapshots -------------------------------------------------------------------------------------------

    def frames(self, after: int = 0, until: int | None = None) -> Iterator[Frame]:
        """See `LogReader.frames`. Nothing is read from a folder that was moved or replaced: its log might end too early.

        Raises:
            StoreCorrupt: also if the log ends before what this owner has synced, because that cannot be a torn tail.
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
        if reached < synced_seq and max(reached, self.first_seq - 1) < synced_seq:  # a repaired log may begin later
            path = self.reader.segment_path(max((seq for seq in self.reader.segments() if seq <= reached + 1), default=1))
            msg = (
                f"{path.name} is damaged at sequence {reached + 1}: its whole frames end there, though all up to {synced_seq} was "
                "written and synced. Nothing was changed. `perdure verify` lists all damage; restore the folder from a backup, or "
                "read what is whole with perdure.Audit."
            )
            raise StoreCorrupt(msg, file=str(path), seq=reached + 1)

    def save_snapshot(self, snapshot: Snapshot) -> None:
        """See `EventStore.save_snapshot`. Then remove the snapshots that are no longer needed."""
        if not self._lock.held:
            raise self._not_open()
        try:
            self._check_identity(self._identity.check_all)
            snapshot_file.write(self.disk, self.path, self._store_id, snapshot)
        except OSError as error:
            msg = f"the snapshot at {snapshot.seq} could not be written in {self.path}: {with_advice(error)}. The log is untouched."
            raise StoreUnavailable(msg) from error
        try:
            with self._hold.dropping() as may_drop:
                for seq in self._unneeded_snapshots() if may_drop else ():
                    self.disk.remove(self.path / snapshot_file.file_name(seq))
        except OSError as error:
            msg = (
                f"the snapshot at {snapshot.seq} is written, but an older one cannot be removed from {self.path}: "
                f"{with_advice(error)}. The next snapshot tries again."
            )
            raise StoreUnavailable(msg) from error

    def watch_ownership(self, lost: Callable[[OwnershipLost], None]) -> None:
        """See `EventStore.watch_ownership`: the lock is this process's until it lets go."""

    def spill(self) -> PayloadSpill:
        """See `EventStore.spill`."""
        return PayloadSpill(self.path.absolute())  # whatever the working directory becomes

    def _unneeded_snapshots(self) -> list[int]:
        return unneeded_snapshots(self.reader, first_seq=self.first_seq, synced_seq=self.synced_seq, kept=self.snapshots_kept)

    def retire_history(self) -> int:
        """See `EventStore.retire_history`."""
        if not self._lock.held:
            raise self._not_open()
        try:
            self._check_identity(self._identity.check)
            with self._hold.dropping() as may_drop:
                return self._retire() if may_drop else 0
        except OSError as error:
            why = with_advice(error)
            msg = f"old segments of {self.path} remain for now; the system tries again. The {self.history.kind} failed: {why}."
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

    # --- closing ---------------------------------------------------------------------------------------------------------

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
        self._opened = self._is_locked_for_open = False
        if fd is not None:
            self.disk.close(fd)
        self._lock.drop()
        self._identity.reset([])
        self.reader.frame_index = None
        self.disk.release_folder(self.path)
