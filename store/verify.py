"""Whether a data folder is whole: every byte of every segment and snapshot, every link of the chain.

Changes nothing and takes no lock; what to do about findings is for the reader of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from perdure.events.errors import StoreCorrupt, StoreUnavailable
from perdure.store import segment as sg
from perdure.store import snapshot_file
from perdure.store.frame import BadFrame
from perdure.store.reader import FolderReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from perdure.store.disk import Disk
    from perdure.store.protocol import Frame

__all__ = ["Finding", "Verification", "verify"]


@attrs.frozen
class Finding:
    """One thing that is wrong: in which file, at which byte, at which sequence number (-1: none)."""

    file: str
    offset: int
    seq: int
    problem: str


@attrs.define
class Verification:
    """What a check of a whole folder found."""

    findings: list[Finding] = attrs.field(factory=list)
    segments: int = 0
    snapshots: int = 0
    frames: int = 0
    events: int = 0
    bytes: int = 0
    first_seq: int = 1
    """The first event that is there: 1, unless history was dropped or archived."""
    last_seq: int = 0
    chain: str = ""
    """Chain hash of the last frame, hexadecimal: note it elsewhere, and no edit of history goes unseen."""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


def verify(folder: str | Path, *, disk: Disk | None = None, progress: Callable[[int], None] | None = None) -> Verification:
    """Check a folder; `progress` is called with the bytes read so far.

    A live owner may write to it meanwhile: then what is checked is the log up to some moment after the call.

    Raises:
        StoreUnavailable: the folder cannot be read at all.
    """
    check = _Check(FolderReader(folder, disk=disk), progress)
    check.reader.check_folder()
    snapshots = check.reader.snapshot_seqs()  # before the log, which a live owner may make longer meanwhile
    segments = check.reader.segments()
    check.log(segments)
    check.snapshots(snapshots)
    if segments and segments[0] > 1 and not any(seq >= segments[0] - 1 for seq in snapshots):
        check.found("", -1, 1, f"the log begins with {segments[0]}, and no snapshot holds what was before")
    if not segments:
        check.found(str(folder), -1, 1, "there is no log in this folder")
    return check.result


@attrs.define
class _Check:
    """A check under way."""

    reader: FolderReader
    progress: Callable[[int], None] | None
    result: Verification = attrs.field(factory=Verification)
    chain: bytes | None = None
    """Chain hash that the next segment must continue; None where nothing is known of it."""
    expected: int = 1
    """With what the next segment must begin."""
    store_id: bytes | None = None

    def found(self, file: str, offset: int, seq: int, problem: str) -> None:
        self.result.findings.append(Finding(file, offset, seq, problem))

    def log(self, segments: list[int]) -> None:
        self.expected = self.result.first_seq = segments[0] if segments else 1
        for first_seq, following in zip(segments, [*segments[1:], None], strict=False):
            path = self.reader.segment_path(first_seq)
            self.result.segments += 1
            try:
                header = sg.read_header(self.reader.disk, path)
            except FileNotFoundError as error:
                if following is None or self.result.frames:
                    self.found(path.name, 0, first_seq, str(error))
                else:  # retired by the owner in between: history begins later now
                    self.expected = self.result.first_seq = following
            except (StoreCorrupt, StoreUnavailable, OSError) as error:
                self.found(path.name, 0, first_seq, str(error))
                self.chain, self.expected = None, following or self.expected
            else:
                self._segment(path, header, following)

    def _segment(self, path: Path, header: sg.SegmentHeader, following: int | None) -> None:
        result, first_seq = self.result, header.first_seq
        if first_seq != self.expected:
            self.found(path.name, 0, self.expected, f"sequences {self.expected} to {first_seq - 1} are missing before it")
        elif self.chain is not None and self.chain != header.chain:
            self.found(path.name, 0, first_seq, "it does not continue the segment before it")
        if self.store_id is not None and header.store_id != self.store_id:
            self.found(path.name, 0, first_seq, "it belongs to another store")
        self.store_id = header.store_id
        place = sg.Place(sg.HEADER_BYTES, first_seq, header.chain)
        for frame in _scan_to_the_end(self.reader, path, header, place, None if following is None else following - 1):
            result.frames += 1
            result.events += frame.count
            if self.progress is not None:
                self.progress(result.bytes + place.offset)
        if place.offset < place.size:
            self.found(path.name, place.offset, place.seq, place.problem or "bytes after the last frame")
        elif following is not None and place.seq < following:
            self.found(path.name, place.offset, place.seq, f"it ends here, and the next segment begins with {following}")
        result.bytes += max(place.size, place.offset)
        result.last_seq = place.seq - 1
        result.chain = place.chain.hex()
        self.chain, self.expected = place.chain, place.seq if following is None else following

    def snapshots(self, seqs: list[int]) -> None:
        for seq in seqs:
            path = self.reader.path / snapshot_file.file_name(seq)
            self.result.snapshots += 1
            try:
                snapshot_file.read(self.reader.disk, path, self.store_id)
                self.result.bytes += self.reader.disk.size(path)
                if seq > self.result.last_seq:
                    self.found(path.name, 0, seq, f"the snapshot is ahead of the log, which ends at {self.result.last_seq}")
            except FileNotFoundError:
                continue  # pruned by the owner in between
            except (BadFrame, OSError) as error:
                self.found(path.name, 0, seq, f"the snapshot is damaged: {error}")


def _scan_to_the_end(
    reader: FolderReader, path: Path, header: sg.SegmentHeader, place: sg.Place, until: int | None
) -> Iterator[Frame]:
    """Scan a segment; what is not whole is looked at again as long as a live owner goes on with the file, or cuts it."""
    while True:
        for _, frame in sg.scan(reader.disk, path, header, place, until):
            yield frame
        if place.offset >= place.size or reader.disk.size(path) == place.size:
            return
        place.problem = ""
