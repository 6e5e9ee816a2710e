"""When a snapshot is due, and whether what a start has folded is saved as one. Pure.

Not here: how it is taken and saved (`actors/journal/snapshotter`), and the last one of a run (`host/runtime/final_snapshot`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from perdure.events.queue.state import QueueState

__all__ = ["is_small", "saves_what_was_folded"]

SMALL = 10_000
"""Live messages and dead letters of a state that is encoded in a few hundredths of a second, or a tenth where all have keys."""
SMALL_BYTES = 8 << 20
"""The bytes of their payloads and of kept results, which encoding copies."""
FOLDED_TIMES = 4
"""How many events must have been folded for each of these messages: then encoding takes a small part of the time of the fold."""


def is_small(queue: QueueState) -> bool:
    """Return whether a state is encoded quickly enough for others to wait for it."""
    return queue.live + len(queue.dead) <= SMALL


def saves_what_was_folded(queue: QueueState, folded: int, behind: int, snapshot_events: int) -> bool:
    """Return whether a start saves the state that it has folded as a snapshot, before its actors change it.

    Otherwise the first snapshot of a run folds the same events again. Where each run is shorter than that takes, none is ever
    taken, and each start folds more than the last.

    Args:
        queue: what was folded.
        folded: how many events this start has folded.
        behind: how many events lie behind the newest snapshot.
        snapshot_events: after how many a snapshot is due.
    """
    if behind < snapshot_events or queue.spilled_bytes or not is_small(queue):
        return False
    if queue.payload_bytes + queue.dead_bytes + queue.results_bytes > SMALL_BYTES:
        return False
    return folded >= FOLDED_TIMES * (queue.live + len(queue.dead))
