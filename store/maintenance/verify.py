"""Whether a data folder is whole: every byte of every segment and snapshot, every link of the chain.

Changes nothing and takes no lock; what to do about findings is for the reader of them.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import attrs

from perdure.events.errors import HistoryDropped, StoreCorrupt, StoreUnavailable
from perdure.store.disk.folder_lock import live_owner
from perdure.store.files.folder_reader import FolderReader
from perdure.store.format import frame as fr
from perdure.store.format import segment as sg
from perdure.store.format import snapshot_file
from perdure.store.format.frame import BadFrame
from perdure.store.maintenance.survey import Gap, survey

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from perdure.store.disk.disk import Disk
    from perdure.store.maintenance.survey import Whole

__all__ = ["Finding", "Head", "Verification", "verify"]

STILL_S = 1.0
"""So long an unfinished frame must have stood still beside a live owner before it is taken for damage."""
LOOK_EVERY_S = 0.005
LISTINGS_MAX = 100
"""So often a folder is listed anew when a live owner drops the segments that are being checked."""
_HEAD = re.compile(r"(\d{1,18}):([0-9a-f]{32})")


@attrs.frozen
class Finding:
    """One thing that is wrong: in which file, at which byte, at which sequence number (-1: none)."""

    file: str
    offset: int
    seq: int
    problem: str


@attrs.frozen
class Head:
    """What stands for all of history up to an event: its sequence number, and the chain hash of the frame that ends with it."""

    seq: int
    chain: str

    @classmethod
    def parse(cls, text: str) -> Head:
        """Read `SEQ:HASH`, as `Verification.head` gives it.

        Raises:
            ValueError: it is none.
        """
        match = _HEAD.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            msg = f"head: SEQ:HASH, a sequence number and 32 hexadecimal digits, as `perdure verify` prints it, not {text!r}"
            raise ValueError(msg)
        return cls(int(match[1]), match[2])


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
    """Chain hash of the last frame, hexadecimal, be it a seal."""
    head: str = ""
    """`SEQ:HASH` of the last event: note it elsewhere and give it to a later `verify`, and no edit of history goes unseen."""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


def verify(
    folder: str | Path,
    *,
    disk: Disk | None = None,
    progress: Callable[[int], None] | None = None,
    head: str | None = None,
) -> Verification:
    """Check a folder; `progress` is called with the bytes read so far.

    A live owner may write to it meanwhile, and drop history: then what is checked is the log up to some moment after the call.
    With `head`, as an earlier check gave it, history up to there must be what it was then.

    Raises:
        StoreUnavailable: the folder cannot be read at all.
        HistoryDropped: the head is from before what is kept, so that it cannot be compared.
        ValueError: the head is none.
    """
    noted = None if head is None else Head.parse(head)
    check = _Check(FolderReader(folder, disk=disk), progress, noted)
    check.reader.check_folder()
    snapshots = check.reader.snapshot_seqs()  # before the log, which a live owner may make longer meanwhile
    segments = check.log()
    check.snapshots(snapshots)
    if not segments:
        check.found(str(folder), -1, 1, "there is no log in this folder")
    elif first_seq := check.lacks_beginning():
        check.found("", -1, 1, f"the log begins with {first_seq}, and no snapshot holds what was before")
    if noted is not None and segments:
        check.compare_head(noted)
    return check.result


@attrs.define
class _Check:
    """A check under way."""

    reader: FolderReader
    progress: Callable[[int], None] | None
    head: Head | None = None
    result: Verification = attrs.field(factory=Verification)
    chain: bytes | None = None
    """Chain hash that the next segment must continue; None where nothing is known of it."""
    expected: int = 1
    """With what the next segment must begin."""
    store_id: bytes | None = None
    begins_after: bytes | None = None
    """Chain hash before the first frame that is kept."""
    at_head: list[str] = attrs.field(factory=list)
    """Chain hashes of the frame that ends with the head's event, and of seals after it."""

    def found(self, file: str, offset: int, seq: int, problem: str) -> None:
        self.result.findings.append(Finding(file, offset, seq, problem))

    # --- the log ---------------------------------------------------------------------------------------------------------

    def log(self) -> list[int]:
        """Check all segments; gives those that are there."""
        for _ in range(LISTINGS_MAX):
            segments = self.reader.segments()
            self._begin(segments[0] if segments else 1)
            if all(self._in_list(*pair) for pair in zip(segments, [*segments[1:], None], strict=False)):
                return segments
        msg = f"the owner of {self.reader.path} drops its history faster than it can be read. Check it again, or hold its history."
        raise StoreUnavailable(msg)

    def _begin(self, first_seq: int) -> None:
        """Begin with a segment: what was checked before it is gone, or nothing was."""
        result = self.result
        result.segments = result.frames = result.events = 0
        result.first_seq = self.expected = first_seq
        result.last_seq = first_seq - 1
        result.chain = result.head = ""
        self.chain = self.begins_after = None
        self.at_head = []

    def _in_list(self, first_seq: int, following: int | None) -> bool:
        """Check one segment of a listing; False where that is no longer what is there."""
        path = self.reader.segment_path(first_seq)
        try:
            header = sg.read_header(self.reader.disk, path)
            self.result.segments += 1
            self._segment(path, header, following)
        except FileNotFoundError as error:
            now = self.reader.segments()
            if now and first_seq < now[0]:  # retired by the owner in between: history begins later now
                if following is None:
                    return False
                self._begin(following)
            else:
                self.found(path.name, 0, first_seq, str(error))
                self.chain, self.expected = None, following or self.expected
        except (StoreCorrupt, StoreUnavailable, OSError) as error:
            self.result.segments += 1
            self.found(path.name, 0, first_seq, str(error))
            self.chain, self.expected = None, following or self.expected
            if isinstance(error, StoreCorrupt):
                self._behind_a_bad_header(path, first_seq, following)
        return True

    def _behind_a_bad_header(self, path: Path, first_seq: int, following: int | None) -> None:
        """Check the frames of a segment whose header is damaged: they are known by the store's id."""
        store_id = self.store_id or self.reader.store_id()
        if store_id is None:
            return
        header = sg.SegmentHeader(store_id, first_seq, 0, b"", 0)
        place = sg.Place(sg.HEADER_BYTES, first_seq, b"")
        for item in survey(self.reader.disk, path, header, place, None if following is None else following - 1):
            if not isinstance(item, Gap):
                self._whole(item, bytes_before=self.result.bytes)
            elif item.size:  # else it is the first frame, of which nobody knows what it continues
                self.found(path.name, item.offset, item.seq, item.problem)
        self.result.bytes += max(place.size, place.offset)
        if place.seq > first_seq:
            self.result.last_seq, self.result.chain, self.chain = place.seq - 1, place.chain.hex(), place.chain
            self.expected = place.seq if following is None else following

    def _segment(self, path: Path, header: sg.SegmentHeader, following: int | None) -> None:
        result, first_seq = self.result, header.first_seq
        if first_seq != self.expected:
            self.found(path.name, 0, self.expected, f"sequences {self.expected} to {first_seq - 1} are missing before it")
        elif self.chain is not None and self.chain != header.chain:
            self.found(path.name, 0, first_seq, "it does not continue the segment before it")
        if self.store_id is not None and header.store_id != self.store_id:
            self.found(path.name, 0, first_seq, "it belongs to another store")
        self.store_id = header.store_id
        if self.begins_after is None:
            self.begins_after = header.chain
        if not result.head:
            result.head = f"{first_seq - 1}:{header.chain.hex()}"
        place = sg.Place(sg.HEADER_BYTES, first_seq, header.chain)
        until = None if following is None else following - 1
        gaps: list[Gap] = []
        for item in survey(
            self.reader.disk, path, header, place, until, again=lambda place: self._goes_on(path, place, is_last=following is None)
        ):
            if isinstance(item, Gap):
                gaps.append(item)
            else:
                self._whole(item, bytes_before=result.bytes)
                if gaps and not item.follows and item.frame.first_seq > gaps[-1].seq:
                    gap = gaps[-1]
                    lost = f"sequences {gap.seq} to {item.frame.first_seq - 1} are lost"
                    gaps[-1] = attrs.evolve(gap, problem=f"{gap.problem}; {lost}")
        for gap in gaps:
            self.found(path.name, gap.offset, gap.seq, gap.problem)
        if place.offset < place.size and not gaps:
            self.found(path.name, place.offset, place.seq, "bytes after the last frame")
        elif following is not None and place.seq < following and not (gaps and gaps[-1].seq == place.seq):
            self.found(path.name, place.offset, place.seq, f"it ends here, and the next segment begins with {following}")
        result.bytes += max(place.size, place.offset)
        result.last_seq = place.seq - 1
        result.chain = place.chain.hex()
        self.chain, self.expected = place.chain, place.seq if following is None else following

    def _whole(self, item: Whole, bytes_before: int) -> None:
        result, frame = self.result, item.frame
        result.frames += 1
        result.events += frame.count
        if frame.count:
            result.head = f"{frame.last_seq}:{item.chain.hex()}"
        if self.head is not None and frame.last_seq == self.head.seq:
            self.at_head.append(item.chain.hex())
        if self.progress is not None:
            self.progress(bytes_before + item.end)

    def _goes_on(self, path: Path, place: sg.Place, *, is_last: bool) -> bool:
        """Tell whether a live owner has gone on with a segment since it was looked at, or cut it; waits for one that is writing."""
        disk = self.reader.disk
        if disk.size(path) != place.size:
            return True
        if not (is_last and place.unfinished and live_owner(self.reader.path) is not None):
            return False
        until_s = time.monotonic() + STILL_S
        while time.monotonic() < until_s:
            time.sleep(LOOK_EVERY_S)
            if disk.size(path) != place.size:
                return True
        return False

    # --- what belongs to it ----------------------------------------------------------------------------------------------

    def lacks_beginning(self) -> int:
        """Give with what the log begins where no snapshot holds what was before; 0 where all is well."""
        while True:  # until nothing changed in between: the owner saves a snapshot before it drops what that holds
            segments, snapshots = self.reader.segments(), self.reader.snapshot_seqs()
            if not segments or segments[0] == 1 or any(seq >= segments[0] - 1 for seq in snapshots):
                return 0
            if (segments, snapshots) == (self.reader.segments(), self.reader.snapshot_seqs()):
                return segments[0]

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

    def compare_head(self, noted: Head) -> None:
        """Compare what is there with what was noted of it earlier.

        Raises:
            HistoryDropped: what was noted is not kept any more.
        """
        result = self.result
        if noted.seq == 0 and self.store_id is not None:
            self.at_head.append(fr.chain_after(self.store_id).hex())
        elif noted.seq == result.first_seq - 1 and self.begins_after is not None and self.begins_after.hex() == noted.chain:
            self.at_head.append(noted.chain)
        if noted.chain in self.at_head:
            return
        if 0 < noted.seq < result.first_seq:
            msg = (
                f"the head noted at {noted.seq} cannot be compared: history before sequence {result.first_seq} was dropped or "
                "archived. Note a newer one from now on, or verify a copy with the archived segments."
            )
            raise HistoryDropped(msg)
        if self.at_head:
            problem = f"history up to {noted.seq} is not what it was: its head was noted as {noted.chain}, and is {self.at_head[0]}"
        elif noted.seq > result.last_seq:
            problem = f"the log ends at {result.last_seq}, and a head was noted at {noted.seq}: what came after is gone"
        else:
            problem = f"no whole frame ends with {noted.seq}, where a head was noted: history is not what it was"
        self.found("", -1, noted.seq, problem)
