"""`Recovery`: the report of what a start recovered. Not here: recovery itself (`perdure.actors.journal.log_fold`)."""

from __future__ import annotations

from typing import Any

import attrs

from perdure.events.public_names import public

__all__ = ["Recovery"]


@public
@attrs.frozen(kw_only=True)
class Recovery:
    """A report of one start: where recovery began, what it replayed and cut, and what it took back from the process before."""

    last_seq: int
    """The sequence number of the log's last event."""
    snapshot_seq: int
    """The snapshot that recovery began with; 0 where it began with the first event, or with what a deputy had folded."""
    events_replayed: int
    """Events after the snapshot, which were read and folded."""
    cut_bytes: int
    """Bytes of a torn end that were cut off, as a crash or power cut leaves them."""
    cut_from_seq: int | None
    """The sequence number at which the cut bytes began; None where nothing was cut."""
    in_flight_taken_back: int
    """Deliveries whose process died; their messages wait again or are dead letters."""
    dead_lettered: int
    """How many of those were at their last attempt."""
    waiting: int
    """Messages that wait, before the first delivery."""
    dead_letters: int
    """Dead letters that are kept."""
    deputy_seq: int = 0
    """Up to which event this process, as deputy, had folded the log before; 0 where it had not."""
    contradictions: tuple[str, ...] = ()
    """Invariants that the recovered state breaks, in words; empty where all hold. A broken one is a bug of perdure."""

    def plain(self) -> dict[str, Any]:
        """Return the report as plain values, for the log."""
        return {**attrs.asdict(self), "contradictions": list(self.contradictions)}

    def __str__(self) -> str:
        """Return the report in one line."""
        cut = f", cut {self.cut_bytes} torn bytes after {self.last_seq}" if self.cut_bytes else ""
        start = f"snapshot {self.snapshot_seq}" if self.snapshot_seq else "the first event"
        start = f"what it had folded up to {self.deputy_seq} as deputy" if self.deputy_seq else start
        holds = "all invariants hold" if not self.contradictions else f"BROKEN invariants: {'; '.join(self.contradictions)}"
        return (
            f"recovered from {start} and {self.events_replayed} events{cut}: {self.waiting} waiting, {self.dead_letters} dead "
            f"letters; {self.in_flight_taken_back} deliveries taken back, {self.dead_lettered} of them dead-lettered; {holds}"
        )
