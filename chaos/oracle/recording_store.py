"""A store that notes what is written, so that an answer can be compared with the disk at the moment it is given.

In every other respect it is the real store. What the whole history must look like at the end is in `history_checks`.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from perdure.chaos.oracle.recorded_events import decoded, recorded_events
from perdure.chaos.oracle.reference_model import require
from perdure.events import vocabulary as ev
from perdure.store import SegmentStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from perdure.store import Frame, Recovered

__all__ = ["RecordingStore"]

UNKNOWN_START = "its process died before it was known to have started"
LEASE_ENDS = (ev.Completed, ev.AttemptFailed, ev.LeaseExpired, ev.Returned, ev.Cancelled)


class RecordingStore(SegmentStore):
    """A segment store that knows at any moment which messages and leases are recorded."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.published: dict[str, int] = {}
        """Id to the sequence number of its `Published`."""
        self.in_force: dict[str, int] = {}
        """Id to the attempt of the lease in force, as far as is written, synced or not."""
        self.leases: Counter[tuple[str, int]] = Counter()
        """How often each lease (id, attempt) was written, including frames that were lost afterwards."""
        self.found: frozenset[tuple[str, int]] = frozenset()
        """Leases (id, attempt) that were on record when this process opened the log."""
        self.ended: set[tuple[str, int]] = set()
        """Leases (id, attempt) whose end this process has written, including frames that were lost in a failed sync."""
        self.revived: set[tuple[str, int]] = set()
        """Leases (id, attempt) that are in force again because their end was lost in a failed sync."""
        self.dropped: list[Frame] = []
        """Frames whose segments were dropped with old history. The list outlives the process."""
        self.holders: dict[str, tuple[str, int]] = {}
        """By id of what is checked out by hand: its holder's name, and until when it has it."""
        self.on_taken_back: Callable[[str, str], None] = lambda _ident, _holder: None
        """Called with each lease of a consumer (id, holder) that is taken back before its time is over."""
        self.on_orphan: Callable[[str, int], None] = lambda _ident, _attempt: None
        """Called with each attempt (id, number) of a handler that is taken back since its process is taken for dead."""
        self.is_stopped = False
        """This process has put on record that it stopped in good order."""
        self._results: dict[str, int] = {}
        self.openings = 0
        """How often the log was opened. Between two openings it only grows."""
        self._ids: dict[int, str] = {}

    def open(self) -> Recovered:
        """See `EventStore.open`."""
        recovered = super().open()
        self.leases, self.ended, self.in_force = Counter(), set(), {}
        self._read_all()
        self.found = frozenset(self.leases)
        self.revived = set()
        return recovered

    def reopen(self, *, void_after: int | None = None) -> Recovered:
        """See `EventStore.reopen`."""
        recovered = super().reopen(void_after=void_after)
        self._read_all()
        return recovered

    def append(self, body: bytes, count: int, *, expected_seq: int, durable: bool = False, taken: Sequence[int] = ()) -> None:
        """See `EventStore.append`."""
        super().append(
            body, count, expected_seq=expected_seq, durable=durable, taken=taken
        )  # it may raise, and its writer may die in it
        batches = decoded(body, count)
        for at_us, events in batches:
            for event in events:
                self.is_stopped |= isinstance(event, ev.Stopped)
                self._judge(at_us, event)
        self._note(batches, expected_seq)

    def is_durable(self, ident: str) -> bool:
        """Return whether a message is recorded and synced."""
        seq = self.published.get(ident)
        return seq is not None and seq <= self.synced_seq

    def is_result_durable(self, ident: str) -> bool:
        """Return whether a result is recorded and synced."""
        seq = self._results.get(ident)
        return seq is not None and seq <= self.synced_seq

    def all_frames(self, after: int = 0, until: int | None = None) -> Iterator[Frame]:
        """Yield the frames of the whole log, including those that were dropped."""
        first_seq = self.first_seq
        for frame in self.dropped:
            if after < frame.last_seq < first_seq and (until is None or frame.first_seq <= until):
                yield frame
        yield from self.frames(after, until)

    def recorded_events(self, after: int = 0) -> Iterator[tuple[int, int, int, ev.Event]]:
        """Yield each event of the whole log after a sequence number: (index of its frame, sequence number, microseconds, event)."""
        return recorded_events(self.all_frames(after), after)

    def retire_history(self) -> int:
        """See `EventStore.retire_history`. Keep what is dropped in `dropped`."""
        before = [] if self.history.kind == "keep" else list(self.frames())
        known_seq = self.dropped[-1].last_seq if self.dropped else 0
        try:
            return super().retire_history()
        finally:  # also if the process dies in the middle: a power cut may then restore frames that are kept here already
            first_seq = self.first_seq
            self.dropped += [frame for frame in before if known_seq < frame.last_seq < first_seq]
            self._check_snapshots()

    def _check_snapshots(self) -> None:
        """At least two snapshots must contain what was dropped."""
        first_seq = self.first_seq
        if first_seq > 1:
            containing = [snapshot.seq for snapshot in self.snapshots() if snapshot.seq >= first_seq - 1]
            enough = len(containing) >= self.snapshots_kept
            require(enough, f"history before {first_seq} was dropped, with snapshots only at {containing}")

    def _read_all(self) -> None:
        self.openings += 1
        before = self.in_force.items()
        lost, self.leases = self.leases, Counter()
        self.published, self.in_force, self.holders = {}, {}, {}
        self._ids, self._results = {}, {}
        self._check_snapshots()
        for frame in self.all_frames():
            self._note(decoded(frame.body, frame.count), frame.first_seq)
        self.leases |= lost
        self.revived |= self.in_force.items() - before

    def _judge(self, at_us: int, event: ev.Event) -> None:
        """Report what is taken back before its time is over."""
        if isinstance(event, (ev.LeaseExpired, ev.Returned)) and event.number in self._ids:
            ident = self._ids[event.number]
            holder, until_us = self.holders.get(ident, ("", 0))
            if holder and isinstance(event, ev.LeaseExpired) and at_us < until_us:
                self.on_taken_back(ident, holder)
            elif not holder and (event.reason == UNKNOWN_START or getattr(event, "crashed", False)):
                self.on_orphan(ident, event.attempt)

    def _note(self, batches: Iterable[tuple[int, list[Any]]], seq: int) -> None:
        for _, events in batches:
            for event in events:
                if isinstance(event, ev.Published):
                    self.published[event.id] = seq
                    self._ids[event.number] = event.id
                elif isinstance(event, ev.Leased):
                    ident = self._ids[event.number]
                    self.in_force[ident] = event.attempt
                    self.revived.discard((ident, event.attempt))
                    self.leases[ident, event.attempt] += 1
                    if event.holder:
                        self.holders[ident] = (event.holder, event.until_us)
                elif isinstance(event, LEASE_ENDS):
                    ident = self._ids[event.number]
                    attempt = self.in_force.pop(ident, 0)
                    self.holders.pop(ident, None)
                    self.ended.add((ident, attempt))
                elif isinstance(event, (ev.LeaseExtended, ev.Progressed)):
                    ident = self._ids[event.number]
                    if ident in self.holders:
                        self.holders[ident] = (self.holders[ident][0], event.until_us)
                elif isinstance(event, ev.ResultKept):
                    self._results[event.id] = seq
                seq += 1
