"""What every journal and every decider of one run shares about the log: the store, terms, what a failed sync has voided.

It outlives them all. How the log is written is in `journal`, how a state is folded in `log_fold`.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from perdure.actors.journal.log_fold import fold_log
from perdure.events.codec.snapshot import ALL_PARTS

if TYPE_CHECKING:
    from perdure.actors.core.tuning import Tuning
    from perdure.actors.requests.request import Request
    from perdure.events.codec.snapshot import States
    from perdure.store import EventStore, Snapshot

__all__ = ["LogState"]


class LogState:
    """The log of one run, as its actors know it."""

    def __init__(self, store: EventStore, tuning: Tuning) -> None:
        self.store = store
        self._tuning = tuning
        self.fsyncs = tuning.durability == "fsync"
        """A publish is answered after the sync, not after the write."""
        self.start_states: dict[str, States] = {}
        """By decider: its part of the states as folded at the start, so that three deciders do not fold the log three times."""
        self.snapshot_due = tuning.snapshot_events
        """The sequence number at which the next snapshot is taken."""
        self.start_snapshot: Snapshot | None = None
        """The state that the start has folded, where it is to be saved when the first snapshot is due."""
        self.void_after: int | None = None
        """Set when a sync failed: what was written after this sequence number must not come back."""
        self.to_void: list[Request] = []
        """The requests whose events were written after it."""
        self._terms: dict[str, int] = {}
        self._lock = threading.Lock()

    def fold(self, until: int | None, parts: frozenset[str] = ALL_PARTS) -> tuple[States, int]:
        """Fold the log up to a sequence number, within the bounds of this run; see `fold_log`."""
        tuning = self._tuning
        return fold_log(
            self.store,
            until,
            finished_max=tuning.finished_max,
            parts=parts,
            spill=self.store.spill(),
            resident_max=tuning.resident_payload_bytes,
        )

    def take_start_states(self, name: str) -> States | None:
        """Return, once, a decider's part of the states as folded at the start."""
        return self.start_states.pop(name, None)

    def next_term(self, name: str) -> int:
        """Begin and return a decider's next term."""
        with self._lock:
            self._terms[name] = self._terms.get(name, 0) + 1
            return self._terms[name]

    def terms(self) -> dict[str, int]:
        """Return the newest term of each decider that has one."""
        with self._lock:
            return dict(self._terms)

    def is_snapshot_due(self) -> bool:
        """Return whether the log has grown enough for a snapshot, and set when the next one is due. For the journal's thread."""
        seq = self.store.last_seq
        if seq < self.snapshot_due:
            return False
        self.snapshot_due = seq + self._tuning.snapshot_events
        return True
