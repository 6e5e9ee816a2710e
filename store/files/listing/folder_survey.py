"""A survey of a whole folder: every segment with its whole frames and its damage, also beside a live owner.

What one segment holds behind damage is found in `segment_survey`. What a survey means is decided in `maintenance`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import attrs

from perdure.events.errors import StoreCorrupt, StoreUnavailable
from perdure.store.disk.folder_lock import live_owner
from perdure.store.files.listing.segment_survey import survey_segment
from perdure.store.format import frame as fr
from perdure.store.format import segment as sg
from perdure.store.format import snapshot_file
from perdure.store.survey import Damage, Stretch, SurveyedSnapshot, WholeFrame

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from perdure.store.files.listing.folder_listing import FolderListing

__all__ = ["survey_folder", "survey_snapshot"]

STILL_S = 1.0
"""An unfinished frame counts as damage only after it has stood still for so long beside a live owner."""
POLL_S = 0.005
"""Seconds between two looks at a frame that a live owner is writing."""
LISTINGS_MAX = 100
"""How often a folder is listed anew when a live owner drops the segments that are being read."""
UNKNOWN_ID = bytes(16)


def survey_folder(listing: FolderListing) -> Iterator[Stretch | WholeFrame | Damage]:
    """Yield what `LogReader.survey` does, a stretch for each segment.

    Raises:
        StoreUnavailable: the folder cannot be read, or its owner drops segments faster than they can be read.
    """
    survey = _FolderSurvey(listing)
    for _ in range(LISTINGS_MAX):
        segments = listing.segments()
        survey.restarts = True
        for first_seq, following in zip(segments, [*segments[1:], None], strict=False):
            try:
                yield from survey.segment(first_seq, following)
            except FileNotFoundError as error:
                now = listing.segments()
                if not now or first_seq >= now[0]:
                    yield from survey.unread(first_seq, error)
                elif following is None:
                    break  # all that was listed has been dropped meanwhile
                else:
                    survey.restarts = True
        else:
            return
    msg = f"the owner of {listing.path} drops its history faster than it can be read. Try again, or hold its history."
    raise StoreUnavailable(msg)


def survey_snapshot(listing: FolderListing, seq: int) -> SurveyedSnapshot | None:
    """Return whether a snapshot file is whole and belongs to the store; None if its owner has removed it."""
    path = listing.snapshot_path(seq)
    size = 0
    try:
        size = listing.disk.size(path)
        snapshot_file.read(listing.disk, path, _known_id(listing))
    except FileNotFoundError:
        return None
    except (fr.BadFrame, OSError) as error:
        return SurveyedSnapshot(path.name, seq, size, str(error))
    return SurveyedSnapshot(path.name, seq, size)


def _known_id(listing: FolderListing) -> bytes | None:
    """Return the store's id; None also where a newer version wrote the newest segment."""
    try:
        return listing.store_id()
    except StoreUnavailable:
        return None


class _FolderSurvey:
    """A survey under way."""

    def __init__(self, listing: FolderListing) -> None:
        self._listing = listing
        self._disk = listing.disk
        self._store_id: bytes | None = None
        self._name = ""
        """Of the segment whose header was read last."""
        self.restarts = True
        """The next stretch is the first one, or all before it has been dropped."""

    def segment(self, first_seq: int, following: int | None) -> Iterator[Stretch | WholeFrame | Damage]:
        """Yield one segment, up to where the following one begins.

        Raises:
            FileNotFoundError: it is no longer there.
        """
        path = self._listing.segment_path(first_seq)
        until = None if following is None else following - 1
        try:
            header = sg.read_header(self._disk, path)
            yield self._stretch(path.name, header)
            yield from self._frames(path, header, until)
        except FileNotFoundError:
            raise
        except OSError as error:
            yield from self.unread(first_seq, error)
        except (StoreCorrupt, StoreUnavailable) as error:
            yield from self._behind_a_bad_header(path, first_seq, until, str(error))

    def unread(self, first_seq: int, error: OSError) -> Iterator[Stretch | Damage]:
        """Yield a segment that cannot be read, or no further."""
        name = self._listing.segment_path(first_seq).name
        if self._name == name:
            yield Damage(name, 0, 0, first_seq, str(error), is_unread=True)
        else:
            yield self._begun(Stretch(name, self._store_id or UNKNOWN_ID, first_seq, 0, b"", 0, str(error)))

    def _stretch(self, name: str, header: sg.SegmentHeader) -> Stretch:
        self._store_id = header.store_id
        return self._begun(Stretch(name, header.store_id, header.first_seq, header.epoch, header.chain, sg.HEADER_BYTES))

    def _begun(self, stretch: Stretch) -> Stretch:
        self._name = stretch.file
        if not self.restarts:
            return stretch
        self.restarts = False
        return attrs.evolve(stretch, restarts=True)

    def _frames(self, path: Path, header: sg.SegmentHeader, until: int | None) -> Iterator[WholeFrame | Damage]:
        """Yield the frames of a segment, and its damage up to where the following one begins."""
        position = sg.ScanPosition(sg.HEADER_BYTES, header.first_seq, header.chain)
        damage: Damage | None = None
        for item in survey_segment(self._disk, path, header, position, until, again=lambda at: self._goes_on(path, at, until)):
            if isinstance(item, Damage):
                damage = item
            yield item
        if position.offset < position.size and damage is None:
            yield Damage(path.name, position.offset, 0, position.seq, "bytes after the last frame")
        elif until is not None and position.seq <= until and not (damage is not None and damage.seq == position.seq):
            yield Damage(path.name, position.offset, 0, position.seq, f"it ends here, and the next segment begins with {until + 1}")

    def _behind_a_bad_header(
        self, path: Path, first_seq: int, until: int | None, problem: str
    ) -> Iterator[Stretch | WholeFrame | Damage]:
        """Yield the frames of a segment whose header is damaged: they are recognised by the store's id in their checksums."""
        store_id = self._store_id = self._store_id or _known_id(self._listing)
        try:
            size = min(sg.HEADER_BYTES, self._disk.size(path))
            yield self._begun(Stretch(path.name, store_id or UNKNOWN_ID, first_seq, 0, b"", size, problem))
            if store_id is None:
                return
            header = sg.SegmentHeader(store_id, first_seq, 0, b"", 0)
            for item in survey_segment(self._disk, path, header, sg.ScanPosition(sg.HEADER_BYTES, first_seq, b""), until):
                if isinstance(item, WholeFrame) or item.size:  # else it is the first frame, and what it continues is unknown
                    yield item
        except FileNotFoundError:
            raise
        except OSError as error:
            yield from self.unread(first_seq, error)

    def _goes_on(self, path: Path, position: sg.ScanPosition, until: int | None) -> bool:
        """Return whether a live owner has continued or cut a segment since it was read; wait for an owner that is writing."""
        if self._disk.size(path) != position.size:
            return True
        if not (until is None and position.unfinished and live_owner(self._listing.path) is not None):
            return False
        until_s = time.monotonic() + STILL_S
        while time.monotonic() < until_s:
            time.sleep(POLL_S)
            if self._disk.size(path) != position.size:
                return True
        return False
