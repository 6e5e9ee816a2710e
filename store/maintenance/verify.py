"""Verification: whether a log is whole, every byte of every frame and snapshot, every link of the hash chain.

Changes nothing and takes no lock. Each store reads its own bytes (`LogReader.survey`); what is done about findings is in `repair`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import attrs

from perdure.events.errors import HistoryDropped
from perdure.events.seconds import shown
from perdure.store.format.frame import chain_after
from perdure.store.other_processes import HasSpool
from perdure.store.survey import Damage, Stretch, WholeFrame

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.store.protocol import LogReader
    from perdure.store.survey import SurveyedSnapshot, SurveyedSpool

__all__ = ["Finding", "Head", "Verification", "verify"]

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
    """A mark of all history up to an event: its sequence number, and the chain hash of the frame that ends with it."""

    seq: int
    chain: str

    @classmethod
    def parse(cls, text: str) -> Head:
        """Return the head that `SEQ:HASH` names, as in `Verification.head`.

        Raises:
            ValueError: the text has another form.
        """
        match = _HEAD.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            msg = f"head: SEQ:HASH, a sequence number and 32 hexadecimal digits, as `perdure verify` prints it, not {shown(text)}"
            raise ValueError(msg)
        return cls(int(match[1]), match[2])


@attrs.define
class Verification:
    """What a check of a whole log found."""

    findings: list[Finding] = attrs.field(factory=list)
    segments: int = 0
    snapshots: int = 0
    frames: int = 0
    """Whole frames, seals included."""
    events: int = 0
    bytes: int = 0
    """Of all segments and snapshots that could be read."""
    first_seq: int = 1
    """The first event that is there: 1, unless history was dropped or archived."""
    last_seq: int = 0
    chain: str = ""
    """Chain hash of the last frame, seals included, in hexadecimal digits."""
    spooled: int = 0
    """Publishes that the next owner is to take in."""
    head: str = ""
    """`SEQ:HASH` of the last event. Noted elsewhere and given to a later `verify`, it reveals any edit of history."""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


def verify(log: LogReader, *, progress: Callable[[int], None] | None = None, head: str | None = None) -> Verification:
    """Check a log and return what was found; `progress` is called with the bytes read so far.

    A live owner may write and drop history meanwhile: then the check covers the log up to some moment after the call. With `head`,
    as an earlier check returned it, history up to there must be what it was then.

    Raises:
        StoreUnavailable: the log cannot be read at all.
        HistoryDropped: the head lies before what is kept, so it cannot be compared.
        ValueError: `head` is not one.
    """
    check = _Check(progress, None if head is None else Head.parse(head))
    log.check_readable()
    snapshots = log.snapshot_seqs()  # before the log, which a live owner may make longer meanwhile
    for item in log.survey():
        check.take(item)
    check.report_damage()
    for seq in snapshots:
        check.take_snapshot(log.survey_snapshot(seq))
    if isinstance(log, HasSpool):
        for spool in log.survey_spool():
            check.take_spool(spool)
    if not check.result.segments:
        check.add_finding(log.address or "", -1, 1, "there is no log")
    elif first_seq := _lacks_beginning(log):
        check.add_finding("", -1, 1, f"the log begins with {first_seq}, and no snapshot holds what was before")
    if check.noted is not None and check.result.segments:
        check.compare_head(check.noted)
    return check.result


def _lacks_beginning(log: LogReader) -> int:
    """Return the first event of a log whose earlier events no snapshot holds; 0 if nothing is lacking."""
    while True:  # until nothing changed in between: the owner saves a snapshot before it drops what that holds
        first_seq, snapshots = log.first_seq, log.snapshot_seqs()
        if first_seq == 1 or any(seq >= first_seq - 1 for seq in snapshots):
            return 0
        if (first_seq, snapshots) == (log.first_seq, log.snapshot_seqs()):
            return first_seq


@attrs.define
class _Check:
    """A check under way."""

    progress: Callable[[int], None] | None
    noted: Head | None
    result: Verification = attrs.field(factory=Verification)
    chain: bytes | None = None
    """Chain hash that the next stretch must continue; None while it is unknown."""
    store_id: bytes | None = None
    begins_after: bytes | None = None
    """Chain hash before the first frame that is kept."""
    at_head: list[str] = attrs.field(factory=list)
    """Chain hashes of the frame that ends with the noted head's event, and of seals after it."""
    damage: list[Damage] = attrs.field(factory=list)
    """Of the current stretch."""

    def add_finding(self, file: str, offset: int, seq: int, problem: str) -> None:
        """Add a finding."""
        self.result.findings.append(Finding(file, offset, seq, problem))

    def take(self, item: Stretch | WholeFrame | Damage) -> None:
        """Take the next item of the survey."""
        match item:
            case WholeFrame():
                self._take_frame(item)
            case Damage():
                self.damage.append(item)
                self.result.bytes += item.size
                if item.is_unread:
                    self.chain = None
            case Stretch():
                if item.restarts:
                    self._restart(item.first_seq)
                self.report_damage()
                self._take_stretch(item)

    def _restart(self, first_seq: int) -> None:
        """Begin again: the owner has dropped what was checked so far, or nothing was."""
        result = self.result
        result.segments = result.frames = result.events = 0
        result.first_seq = first_seq
        result.last_seq = first_seq - 1
        result.chain = result.head = ""
        self.chain = self.begins_after = None
        self.at_head, self.damage = [], []

    def _take_stretch(self, stretch: Stretch) -> None:
        result = self.result
        result.segments += 1
        result.bytes += stretch.size
        if stretch.problem:
            self.add_finding(stretch.file, 0, stretch.first_seq, stretch.problem)
            self.chain = None
            return
        if self.chain is not None and self.chain != stretch.chain:
            self.add_finding(stretch.file, 0, stretch.first_seq, "it does not continue the segment before it")
        if self.store_id is not None and stretch.store_id != self.store_id:
            self.add_finding(stretch.file, 0, stretch.first_seq, "it belongs to another store")
        self.store_id = stretch.store_id
        if self.begins_after is None:
            self.begins_after = stretch.chain
        if not result.head:
            result.head = f"{stretch.first_seq - 1}:{stretch.chain.hex()}"
        self._reach(stretch.first_seq - 1, stretch.chain)

    def _take_frame(self, item: WholeFrame) -> None:
        result, frame = self.result, item.frame
        if self.damage and not item.follows and frame.first_seq > self.damage[-1].seq:
            last = self.damage[-1]
            lost = f"sequences {last.seq} to {frame.first_seq - 1} are lost"
            self.damage[-1] = attrs.evolve(last, problem=f"{last.problem}; {lost}")
        result.frames += 1
        result.events += frame.count
        result.bytes += len(item.raw)
        self._reach(frame.last_seq, item.chain)
        if frame.count:
            result.head = f"{frame.last_seq}:{item.chain.hex()}"
        if self.noted is not None and frame.last_seq == self.noted.seq:
            self.at_head.append(item.chain.hex())
        if self.progress is not None:
            self.progress(result.bytes)

    def _reach(self, last_seq: int, chain: bytes) -> None:
        self.result.last_seq, self.result.chain, self.chain = last_seq, chain.hex(), chain

    def report_damage(self) -> None:
        """Add the findings of the stretch that has ended."""
        for item in self.damage:
            self.add_finding(item.file, item.offset, item.seq, item.problem)
        self.damage = []

    def take_snapshot(self, snapshot: SurveyedSnapshot | None) -> None:
        """Take the next snapshot; None for one that the owner has removed meanwhile."""
        self.result.snapshots += 1
        if snapshot is None:
            return
        if snapshot.problem:
            self.add_finding(snapshot.file, 0, snapshot.seq, f"the snapshot is damaged: {snapshot.problem}")
            return
        self.result.bytes += snapshot.size
        if snapshot.seq > self.result.last_seq:
            self.add_finding(
                snapshot.file, 0, snapshot.seq, f"the snapshot is ahead of the log, which ends at {self.result.last_seq}"
            )

    def take_spool(self, spool: SurveyedSpool) -> None:
        """Take the next spool file."""
        self.result.spooled += spool.items
        self.result.bytes += spool.size
        if spool.problem:
            self.add_finding(spool.file, spool.offset, -1, f"the spool file is damaged: {spool.problem}")

    def compare_head(self, noted: Head) -> None:
        """Add a finding unless history up to a noted head is what it was then.

        Raises:
            HistoryDropped: that part of history is no longer kept.
        """
        result = self.result
        if noted.seq == 0 and self.store_id is not None:
            self.at_head.append(chain_after(self.store_id).hex())
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
        self.add_finding("", -1, noted.seq, problem)
