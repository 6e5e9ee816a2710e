"""Which files of a log a data folder has: names, paths, sizes. What is in the files is read elsewhere in this folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from perdure.events.errors import StoreCorrupt, StoreUnavailable
from perdure.events.loggers import GuardedLogger
from perdure.store.disk.advice import with_advice
from perdure.store.disk.disk import Disk
from perdure.store.files.listing.folder_marks import check_finished
from perdure.store.format import segment as sg
from perdure.store.format import snapshot_file
from perdure.store.format.frame import BadFrame
from perdure.store.values import LogSize

if TYPE_CHECKING:
    import os

__all__ = ["FolderListing"]

logger = GuardedLogger("perdure.store")


class FolderListing:
    """The segment and snapshot files of a folder, listed anew at each call. Safe in any thread."""

    def __init__(self, folder: str | os.PathLike[str], *, disk: Disk | None = None) -> None:
        self.path = Path(folder)
        self.disk = disk or Disk()

    @property
    def address(self) -> str:
        """The folder's path."""
        return str(self.path)

    def check_readable(self) -> None:
        """Raise unless the folder can be listed.

        Raises:
            StoreUnavailable: it does not exist, is a file, or cannot be read; or it holds a copy that was cut off.
        """
        try:
            names = self.disk.names(self.path)
        except OSError as error:
            msg = f"the data folder {self.path} cannot be read: {with_advice(error)}."
            raise StoreUnavailable(msg) from error
        check_finished(self.path, names)

    def segments(self) -> list[int]:
        """Return the first sequence numbers of all segments, in order.

        Raises:
            StoreUnavailable: the folder cannot be read.
        """
        return sorted(seq for name in self._names() if (seq := sg.first_seq_of(name)) is not None)

    def snapshot_seqs(self) -> list[int]:
        """Return the sequence numbers of all snapshot files, oldest first.

        Raises:
            StoreUnavailable: the folder cannot be read.
        """
        return sorted(seq for name in self._names() if (seq := snapshot_file.seq_of(name)) is not None)

    def _names(self) -> list[str]:
        try:
            return self.disk.names(self.path)
        except OSError as error:
            msg = f"the data folder {self.path} cannot be read: {with_advice(error)}."
            raise StoreUnavailable(msg) from error

    @property
    def first_seq(self) -> int:
        """The sequence number of the first event that is still in the log."""
        return next(iter(self.segments()), 1)

    def segment_path(self, first_seq: int) -> Path:
        """Return the path of a segment."""
        return self.path / sg.file_name(first_seq)

    def snapshot_path(self, seq: int) -> Path:
        """Return the path of a snapshot."""
        return self.path / snapshot_file.file_name(seq)

    def store_id(self) -> bytes | None:
        """Return the store's id from the newest segment, or else the newest snapshot, that can be read."""
        for first_seq in reversed(self.segments()):
            try:
                return sg.read_header(self.disk, self.segment_path(first_seq)).store_id
            except StoreCorrupt:
                continue
            except OSError as error:
                logger.warning("segment %d cannot be read; the store's id is taken from an older one: %s", first_seq, error)
        for seq in reversed(self.snapshot_seqs()):
            path = self.snapshot_path(seq)
            try:
                snapshot_file.read(self.disk, path, None)
                return snapshot_file.store_id_of(self.disk, path)
            except (BadFrame, OSError):
                continue
        return None

    def size(self) -> LogSize:
        """Return the size of all segments and snapshots."""
        segments, snapshots = self.segments(), self.snapshot_seqs()
        paths = [*map(self.segment_path, segments), *map(self.snapshot_path, snapshots)]
        # The owner may just have dropped a file that was listed.
        total = sum(status.size for path in paths if (status := self.disk.status(path)) is not None)
        return LogSize(total, len(segments), len(snapshots))

    def exposure(self) -> str | None:
        """Return how users other than the folder's owner could change it; None if they could not."""
        return self.disk.open_to_others(self.path)
