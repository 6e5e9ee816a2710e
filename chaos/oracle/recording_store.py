"""A store that watches what is written, so that a promise can be held against the disk in the moment in which it is given.

It is the real store in every other respect. What the whole history must look like in the end is in `checker`.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from perdure.chaos.oracle.recorded_events import facts_of
from perdure.chaos.oracle.reference_model import demand
from perdure.events import vocabulary as ev
from perdure.store import SegmentStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from perdure.store import Frame, Recovered

__all__ = ["RecordingStore"]

LEASE_ENDS = (ev.Completed, ev.AttemptFailed, ev.LeaseExpired, ev.Returned, ev.Cancelled)


class RecordingStore(SegmentStore):
    """Knows, at any moment, which messages and which leases are on record."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.published: dict[str, int] = {}
        """Id to the sequence number of its `Published`."""
        self.in_force: dict[str, int] = {}
        """Id to the attempt of a lease that is in force as far as anybody has written."""
        self.leases: Counter[tuple[str, int]] = Counter()
        """How often a lease (id, attempt) was written, counting those whose frame was lost afterwards."""
        self.ended: set[tuple[str, int]] = set()
        """Leases (id, attempt) whose end this process has written, those included whose frame was lost in a sync that failed."""
        self.revived: set[tuple[str, int]] = set()
        """Leases (id, attempt) that are in force again because their end was lost in a sync that failed."""
        self.dropped: list[Frame] = []
        """Frames whose segments it has removed, as history is dropped; it outlives the process."""
        self._results: dict[str, int] = {}
        self.openings = 0
        """How often the log was opened; it only grows in between."""
        self._ids: dict[int, str] = {}

    def open(self) -> Recovered:
        """See `EventStore.open`."""
        recovered = super().open()
        self.leases, self.ended, self.in_force = Counter(), set(), {}
        self._look_again()
        self.revived = set()
        return recovered

    def reopen(self, *, void_after: int | None = None) -> Recovered:
        """See `EventStore.reopen`."""
        recovered = super().reopen(void_after=void_after)
        self._look_again()
        return recovered

    def append(self, body: bytes, count: int, *, expected_seq: int) -> None:
        """See `EventStore.append`."""
        super().append(body, count, expected_seq=expected_seq)  # unless it raises, or its writer dies in it
        self._see(facts_of(body, count), expected_seq)

    def is_durable(self, ident: str) -> bool:
        """Tell whether a message is on record, and synced."""
        seq = self.published.get(ident)
        return seq is not None and seq <= self.synced_seq

    def is_result_durable(self, ident: str) -> bool:
        """Tell whether a result is on record, and synced."""
        seq = self._results.get(ident)
        return seq is not None and seq <= self.synced_seq

    def all_frames(self, after: int = 0, until: int | None = None) -> Iterator[Frame]:
        """Give the frames of the whole log, those included that were dropped."""
        first_seq = self.first_seq
        for frame in self.dropped:
            if after < frame.last_seq < first_seq and (until is None or frame.first_seq <= until):
                yield frame
        yield from self.frames(after, until)

    def retire_history(self) -> int:
        """See `EventStore.retire_history`; what is dropped is kept here."""
        before = [] if self.history.kind == "keep" else list(self.frames())
        known_seq = self.dropped[-1].last_seq if self.dropped else 0
        try:
            return super().retire_history()
        finally:  # also if the process dies in the middle: a power cut may then bring back what is kept here already
            first_seq = self.first_seq
            self.dropped += [frame for frame in before if known_seq < frame.last_seq < first_seq]
            self._check_reach()

    def _check_reach(self) -> None:
        """What was dropped is held by two snapshots at least."""
        first_seq = self.first_seq
        if first_seq > 1:
            reach = [snapshot.seq for snapshot in self.snapshots() if snapshot.seq >= first_seq - 1]
            demand(len(reach) >= self.snapshots_kept, f"history before {first_seq} is gone, with snapshots at {reach} only")

    def _look_again(self) -> None:
        self.openings += 1
        before = self.in_force.items()
        lost, self.leases = self.leases, Counter()
        self.published, self.in_force = {}, {}
        self._ids, self._results = {}, {}
        self._check_reach()
        for frame in self.all_frames():
            self._see(facts_of(frame.body, frame.count), frame.first_seq)
        self.leases |= lost
        self.revived |= self.in_force.items() - before

    def _see(self, batches: Iterable[tuple[int, list[Any]]], seq: int) -> None:
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
                elif isinstance(event, LEASE_ENDS):
                    ident = self._ids[event.number]
                    attempt = self.in_force.pop(ident, 0)
                    self.ended.add((ident, attempt))
                elif isinstance(event, ev.ResultKept):
                    self._results[event.id] = seq
                seq += 1
