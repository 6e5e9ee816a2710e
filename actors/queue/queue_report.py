"""The queue's figures for the metrics, and what else outlives a queue actor. They are read from its state; nothing is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.actors.queue.consumers import LeaseAnswer
    from perdure.events.queue.state import QueueState, TypeCounts

__all__ = ["QueueFigures", "QueueReport", "report_of"]


@attrs.define(eq=False)
class QueueFigures:
    """What the metrics read of the queue without asking it, and the answers to manual consumers. It outlives the queue actor."""

    has_begun: bool = False
    """A queue has taken up its state in this run."""
    ended_before: dict[str, TypeCounts] = attrs.field(factory=dict)
    """By type: what had become of all messages when this run began."""
    spilled_bytes: int = 0
    """Bytes of payload that the queue keeps on the disk instead of in memory."""
    lease_answers: dict[int, LeaseAnswer] = attrs.field(factory=dict)
    """By number of a message: the last answer to the manual consumer that holds it; some of messages that none holds any more."""


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
    """Id to (type, percent, note) of the messages whose handlers have sent a heartbeat."""
    ids_remembered: int
    """Ended messages whose ids are known."""
    ids_forgotten_ms: int
    """When the newest of perdure's ids that are known no more had been made; 0: none."""
    ids_forgotten: int
    """Ids that are known no more, the host's too."""
    first_ready: dict[str, tuple[str, int]] = attrs.field(factory=dict)
    """By type: the id of the ready message that was published first, and when it was due in microseconds (0: at once)."""


def report_of(state: QueueState, now_us: int) -> Callable[[int], QueueReport]:
    """Return a function from the sequence number, known once this is written, to the report of the queue as it is now."""
    by_type = {name: attrs.evolve(counts) for name, counts in state.by_type.items()}
    telling = [state.messages[number] for number in sorted(state.reporting)]
    progress = {m.published.id: (m.published.type, m.percent, m.note) for m in telling if m.percent is not None}
    dead, late, size = len(state.dead), state.late_results, state.payload_bytes
    keys, results = len(state.held_keys), len(state.results)
    forgotten, forgotten_ms = state.past.forgotten, state.past.forgotten_ms
    ids = state.next_number - 1 - state.live - forgotten
    first = {name: oldest for name in by_type if (oldest := _first_ready(state, name)) is not None}
    return lambda seq: QueueReport(
        seq, now_us, by_type, dead, late, size, keys, results, progress, ids, forgotten_ms, forgotten, first
    )


def _first_ready(state: QueueState, type_name: str) -> tuple[str, int] | None:
    """Return the id and the due time of the ready message that was published first; of each priority the first is looked at."""
    ready = state.ready_queues.get(type_name)
    found: tuple[int, str, int] | None = None
    for level in () if ready is None else ready.levels.values():
        for turn in level.first(1):
            number = turn.start if isinstance(turn, range) else turn.number
            message = state.look(number)
            if message is not None and (found is None or number < found[0]):
                found = (number, message.published.id, message.published.due_us)
    return None if found is None else found[1:]
