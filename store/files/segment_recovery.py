"""Recovery of a log by its owner: finds where the log ends, cuts a torn end off, and prepares the writer to go on from there.

Where a log ends is decided in `log_end`; frames are written in `segment_writer`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.events.errors import FolderMoved, StoreCorrupt
from perdure.events.loggers import GuardedLogger
from perdure.store.files import log_end
from perdure.store.files.segment_writer import SegmentWriter
from perdure.store.format import frame as fr
from perdure.store.format import segment as sg
from perdure.store.format import snapshot_file
from perdure.store.values import Recovered

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["SegmentRecovery"]

logger = GuardedLogger("perdure.store")


class SegmentRecovery(SegmentWriter):
    """A writer that begins where it finds the end of the log in its folder."""

    def _recover(self, void_after: int | None) -> Recovered:
        """Find the end of the log and make it the place of the next append; return what was found.

        Raises:
            StoreCorrupt: committed history is damaged.
            FolderMoved: the log ends before what this process has synced.
            OSError: it cannot be read or written; the call may be repeated.
        """
        known = self.synced_seq if self._opened else 0
        self._failed = None
        # A process that was killed may have left names that are only in the cache.
        self.disk.sync_folder(self.path)
        self.disk.sync_folder(self.path.parent)
        for name in self.disk.names(self.path):
            # A dead process left it; it is never part of the log. But a snapshotter of this process may be writing one just now.
            if name.endswith(".tmp") and not (self._opened and snapshot_file.is_unfinished(name)):
                self.disk.remove(self.path / name)
        self._opened = True
        segments = self.reader.segments()
        if not segments:
            if known:
                raise self._ends_too_early(self.path, 0, known)
            return self._create()
        first_seq = segments[-1]
        path = self.reader.segment_path(first_seq)
        header = sg.read_header(self.disk, path)
        self._store_id, self._crc_seed = header.store_id, fr.seed(header.store_id)
        self._read_from_disk(path)
        end = log_end.find_end(self.reader, path, header, void_after)
        position = end.position
        if position.seq <= known:
            raise self._ends_too_early(path, position.seq - 1, known)
        if void := log_end.check_link(self.reader, segments, header):
            self._trim(*void)  # the owner that cut it here died before it could trim it
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

    def _ends_too_early(self, path: Path, last_seq: int, known: int) -> FolderMoved:
        """Return the error for a log that ends before what this process has synced."""
        self._failed = FolderMoved(
            f"the log in {self.path} ends at {last_seq} ({path.name}), but this process has synced up to {known}: files were "
            "removed, or an older copy was put over them. Nothing is written any more. Restore the newest copy that "
            "`perdure verify` finds whole."
        )
        return self._failed

    def _create(self) -> Recovered:
        """Begin a new log in a folder without one.

        Raises:
            StoreCorrupt: there are snapshots, so a log is missing.
        """
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
        """Sync a file and drop its cached pages, so that the disk is read: an earlier sync that failed shows now."""
        fd = self.disk.open_append(path)
        try:
            self.disk.sync(fd)
            self.disk.forget_cached(fd)
        finally:
            self.disk.close(fd)

    def _trim(self, path: Path, size: int) -> None:
        """Cut off bytes that a later segment has made void. Readers skip them anyway, so a failure changes nothing."""
        try:
            self.disk.truncate(path, size)
        except OSError as error:
            logger.warning("%s: the void bytes from offset %d on remain for now: %s", path, size, error)

    def _set_aside_snapshots(self) -> None:
        """Rename snapshots of lost events, before other events get their sequence numbers.

        A snapshot is synced when it is made, but the events that it folded may not have been: after a power cut, a snapshot can be
        ahead of the log.
        """
        beyond = [seq for seq in self.reader.snapshot_seqs() if seq > self.last_seq]
        for seq in beyond:
            path = self.path / snapshot_file.file_name(seq)
            logger.warning("%s is set aside: the log ends at %d and does not hold the events that it folded", path, self.last_seq)
            self.disk.rename(path, path.with_suffix(".void"))
        if beyond:
            self.disk.sync_folder(self.path)
