"""The `LogReader` of a data folder: reads a consistent prefix of the log, also beside a live owner.

It takes no lock and changes nothing. The owner (`segment_store`) reads through it too. Surveys are in `folder_survey`.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from perdure.events.errors import HistoryDropped, StoreUnavailable
from perdure.events.loggers import GuardedLogger
from perdure.store.disk.advice import with_advice
from perdure.store.disk.enduring_thread import EnduringThread
from perdure.store.files import torn_or_damaged
from perdure.store.files.frame_index import ReadIndex
from perdure.store.files.listing.folder_conditions import folder_conditions
from perdure.store.files.listing.folder_listing import FolderListing
from perdure.store.files.listing.folder_survey import survey_folder, survey_snapshot
from perdure.store.format import segment as sg
from perdure.store.format import snapshot_file
from perdure.store.format.frame import BadFrame
from perdure.store.retention_hold import HOLD_FILE, HOLD_FILE_S
from perdure.store.spool.spool_file import names as spool_names
from perdure.store.spool.spool_file import survey_spool
from perdure.store.survey import Stretch, WholeFrame

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path
    from typing import BinaryIO

    from perdure.store.conditions import Condition
    from perdure.store.disk.disk import Disk
    from perdure.store.files.frame_index import FrameIndex
    from perdure.store.format.frame import Header
    from perdure.store.survey import Damage, SurveyedSnapshot, SurveyedSpool
    from perdure.store.values import Frame, Snapshot

    _Read = tuple[sg.ScanPosition, Header, Frame, bytes]

__all__ = ["FolderReader"]

logger = GuardedLogger("perdure.store")


class FolderReader(FolderListing):
    """A `LogReader` of a folder. Safe in any thread; each iteration has descriptors of its own."""

    def __init__(self, folder: str | os.PathLike[str], *, disk: Disk | None = None) -> None:
        super().__init__(folder, disk=disk)
        self.frame_index: FrameIndex | None = None
        """Where some frames of the newest segment begin, as its owner has noted them."""
        self._read_index: ReadIndex | None = None

    def remember_places(self) -> None:
        """Remember where frames begin that are read from now on, so that a later look for them does not read all before them."""
        self._read_index = ReadIndex()

    def frames(self, after: int = 0, until: int | None = None) -> Iterator[Frame]:
        """See `LogReader.frames`. The log ends where the last segment has no more whole frames.

        Raises:
            StoreCorrupt: a frame is damaged or missing; all frames before it have been yielded.
            HistoryDropped: the owner dropped what was still to be read.
            StoreUnavailable: the folder cannot be read, or its owner took back frames that were already yielded.
        """
        for _, _, frame, _ in self._guarded(after, until):
            if frame.count and frame.last_seq > after:
                yield frame

    def whole_frames(self, after: int = 0, *, synced: bool = True) -> Iterator[Stretch | WholeFrame]:
        """See `LogReader.whole_frames`. The segment that is written is synced here, as its owner may not have done so yet.

        Raises:
            As `frames`.
        """
        segments = self.segments()
        if not segments:
            return
        path = self.segment_path(max((seq for seq in segments if seq <= max(after, 1)), default=segments[0]))
        try:
            header = sg.read_header(self.disk, path)
        except OSError as error:
            raise self._unread(error) from error
        yield Stretch(path.name, header.store_id, header.first_seq, header.epoch, header.chain, sg.HEADER_BYTES, restarts=True)
        for position, parsed, frame, raw in self._guarded(after - 1, None):
            if frame.last_seq >= after:
                offset = position.offset - len(raw)
                yield WholeFrame(path.name, offset, raw, frame, parsed.epoch, parsed.prev, position.chain, follows=True)
        try:
            if synced:
                self.disk.sync_file(self.segment_path(self.segments()[-1]))
        except OSError as error:
            raise self._unread(error) from error

    @contextmanager
    def hold_history(self) -> Iterator[None]:
        """See `LogReader.hold_history`: by a file in the folder, which the owner looks for. Without the right to write, in vain."""
        path = self.path / HOLD_FILE
        held_by, ended = 0, threading.Event()
        try:
            age_s = time.time() - (self.disk.modified_s(path) or 0.0)
            if age_s > HOLD_FILE_S / 2:
                with contextlib.suppress(FileNotFoundError):
                    self.disk.remove(path)
                self.disk.close(self.disk.create(path))
                held_by = os.getpid()
                EnduringThread(self._keep_young, "perdure-hold", path, ended).start()
        except (OSError, RuntimeError) as error:  # also where no thread can be had
            logger.debug("history of %s is not held, or not for long: %s", self.path, error)
        try:
            yield
        finally:
            ended.set()
            if held_by == os.getpid():  # a forked child that leaves the block leaves its parent's file
                with contextlib.suppress(OSError):
                    self.disk.remove(path)

    def _keep_young(self, path: Path, ended: threading.Event) -> None:
        """Touch the file that holds history again and again, so that a long copy does not outlive it."""
        while not ended.wait(HOLD_FILE_S / 4):
            with contextlib.suppress(OSError):
                self.disk.touch(path)

    def _unread(self, error: OSError) -> HistoryDropped | StoreUnavailable:
        """Return the error for a log that could not be read on."""
        if isinstance(error, FileNotFoundError):
            msg = f"{error.filename} was removed while it was read: history was dropped or archived. Read again from what is there."
            return HistoryDropped(msg)
        return StoreUnavailable(f"the log in {self.path} cannot be read: {with_advice(error)}.")

    def _guarded(self, after: int, until: int | None) -> Iterator[_Read]:
        try:
            yield from self._frames(after, until)
        except OSError as error:
            raise self._unread(error) from error

    def _frames(self, after: int, until: int | None) -> Iterator[_Read]:
        position: sg.ScanPosition | None = None
        last_segment = 0
        while True:
            segments = self.segments()
            if not segments:
                return
            start = position.seq if position is not None else max(after, 0) + 1
            if position is not None and segments[0] > start:
                msg = f"history before {segments[0]} was dropped or archived while it was read. Read again from what is there now."
                raise HistoryDropped(msg)
            first = max((seq for seq in segments if seq <= start), default=segments[0])
            before_pass = position
            for first_seq, following in zip(segments, [*segments[1:], None], strict=True):
                if first_seq < first:
                    continue
                last = None if following is None else following - 1
                if until is not None:
                    last = until if last is None else min(last, until)
                    if first_seq > until:
                        return
                if position is not None and position.seq > first_seq > last_segment:
                    msg = f"the log in {self.path} was cut back to {first_seq - 1} while it was read. Read it again."
                    raise StoreUnavailable(msg)
                position = yield from self._segment(first_seq, following, last, after, position)
                last_segment = first_seq
            if position is None or (until is not None and position.seq > until) or self.segments() == segments:
                return
            if before_pass is not None and before_pass.seq == position.seq:
                return

    def _segment(
        self, first_seq: int, following: int | None, last: int | None, after: int, before: sg.ScanPosition | None
    ) -> Generator[_Read, None, sg.ScanPosition]:
        """Yield what is whole of one segment, with the position behind it; return where it ended."""
        path = self.segment_path(first_seq)
        header = sg.read_header(self.disk, path)
        beginning = sg.ScanPosition(sg.HEADER_BYTES, first_seq, header.chain)
        places = self._read_index
        known = self._known(first_seq, after + 1) if before is None else None
        position = beginning if known is None else known
        if before is not None:
            if before.seq == first_seq:
                if before.chain != header.chain:
                    raise sg.damaged(path, 0, first_seq, "it does not continue the segment before it")
            elif before.seq > first_seq:
                position = before  # the segment has grown since it was read
            else:
                raise sg.damaged(path, 0, before.seq, f"the log goes on at {first_seq}, sequence {before.seq} is missing")
        proven = following is not None
        while True:
            began, position.problem = position.offset, ""
            for parsed, frame, raw in sg.scan(self.disk, path, header, position, last):
                if places is not None:
                    places.add(first_seq, position)
                yield position, parsed, frame, raw
            if not position.problem:
                break
            if known is not None and position.offset == began:  # the log was cut there meanwhile, and continues differently
                known, position = None, beginning
                continue
            if proven and position.offset == began:
                raise sg.damaged(path, position.offset, position.seq, position.problem)
            # The owner may have been writing this frame and be done by now: only what is read after the proof counts.
            if following is None and not torn_or_damaged.is_damaged(self.disk, path, header, position):
                return position
            proven = True
        if following is None or last is None or position.seq > last:
            return position
        raise sg.damaged(path, position.offset, position.seq, f"the segment ends here, the next begins with {following}")

    def _known(self, segment: int, seq: int) -> sg.ScanPosition | None:
        """Return a place of a segment from which a sequence number is near; None if only its beginning is known."""
        found = None if self.frame_index is None else self.frame_index.nearest(segment, seq)
        return found if found is not None or self._read_index is None else self._read_index.nearest(segment, seq)

    def snapshots(self, at_most: int | None = None) -> Iterator[Snapshot]:
        """See `LogReader.snapshots`.

        Raises:
            StoreUnavailable: an I/O error prevented reading any, and the log does not begin with event 1; or the folder cannot be
                read.
        """
        found = self.snapshot_seqs()[::-1]
        store_id = self.store_id()
        unreadable: OSError | None = None
        given = False
        for seq in found:
            if at_most is not None and seq > at_most:
                continue
            path = self.snapshot_path(seq)
            try:
                snapshot = snapshot_file.read(self.disk, path, store_id)
            except FileNotFoundError:
                continue  # the owner has removed it meanwhile
            except (BadFrame, OSError) as error:
                unreadable = error if isinstance(error, OSError) else unreadable
                logger.warning("snapshot %s is skipped, an older one is used: %s", path.name, error)
            else:
                given = True
                yield snapshot
        if unreadable is not None and not given and next(iter(self.segments()), 1) > 1:
            msg = (
                f"no snapshot in {self.path} could be read, and the log does not go back to its beginning: {unreadable}. Try again."
            )
            raise StoreUnavailable(msg) from unreadable

    def whole_snapshots(self, at_most: int, count: int) -> list[int]:
        """Return the sequence numbers of the newest `count` whole snapshots up to `at_most`, oldest first."""
        return [snapshot.seq for snapshot in itertools.islice(self.snapshots(at_most), count)][::-1]

    def survey(self) -> Iterator[Stretch | WholeFrame | Damage]:
        """See `LogReader.survey`; a stretch is a segment file."""
        return survey_folder(self)

    def survey_spool(self) -> list[SurveyedSpool]:
        """See `HasSpool.survey_spool`."""
        try:
            return survey_spool(self.disk, self.path)
        except OSError as error:
            msg = f"the data folder {self.path} cannot be read: {with_advice(error)}."
            raise StoreUnavailable(msg) from error

    def spool_files(self) -> Iterator[tuple[str, BinaryIO]]:
        """See `HasSpool.spool_files`."""
        try:
            for name in spool_names(self.disk, self.path):
                try:
                    file = self.disk.open_read(self.path / name)
                except FileNotFoundError:
                    continue  # an owner has taken it in
                with file:
                    yield name, file
        except OSError as error:
            msg = f"the spool of {self.path} cannot be read: {with_advice(error)}."
            raise StoreUnavailable(msg) from error

    def conditions(self) -> Iterator[Condition]:
        """See `HasConditions.conditions`."""
        try:
            yield from folder_conditions(self)
        except OSError as error:
            raise self._unread(error) from error

    def survey_snapshot(self, seq: int) -> SurveyedSnapshot | None:
        """See `LogReader.survey_snapshot`."""
        return survey_snapshot(self, seq)
