"""What the queue tells of itself for the metrics. It reads the queue's state, and changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.events.queue.state import QueueState, TypeCounts

__all__ = ["QueueFigures", "QueueReport", "report_of"]


@attrs.define(eq=False)
class QueueFigures:
    """What the metrics read of the queue without asking it; it outlives the queue actor."""

    has_begun: bool = False
    """A queue has taken up its state in this run."""
    ended_before: dict[str, TypeCounts] = attrs.field(factory=dict)
    """By type: what had become of all messages when this run began."""
    spilled_bytes: int = 0
    """Bytes of payload that the queue keeps on the disk instead of in memory."""


@attrs.frozen
class QueueReport:
    """What the queue knows at sequence number `seq`, for the metrics."""

    seq: int
    at_us: int
    by_type: dict[str, TypeCounts]
    dead: int
    late_results: int
    payload_bytes: int
    keys_held: int
    results_kept: int
    progress: dict[str, tuple[str, float, str]]
    """Id to (type, percent, note) of what is running and has told."""
    ids_remembered: int
    """Ended messages whose ids are known."""
    ids_forgotten_ms: int
    """When the newest of perdure's ids that are known no more had been made; 0: none."""
    ids_forgotten: int
    """Ids that are known no more, the host's too."""


def report_of(state: QueueState, now_us: int) -> Callable[[int], QueueReport]:
    """Take down what the queue holds now; the sequence number is known once the facts up to here are on record."""
    by_type = {name: attrs.evolve(counts) for name, counts in state.by_type.items()}
    telling = [state.messages[number] for number in sorted(state.reporting)]
    progress = {m.published.id: (m.published.type, m.percent, m.note) for m in telling if m.percent is not None}
    dead, late, size = len(state.dead), state.late_results, state.payload_bytes
    keys, results = len(state.held_keys), len(state.results)
    forgotten, forgotten_ms = state.past.forgotten, state.past.forgotten_ms
    ids = state.next_number - 1 - state.live - forgotten
    return lambda seq: QueueReport(seq, now_us, by_type, dead, late, size, keys, results, progress, ids, forgotten_ms, forgotten)
