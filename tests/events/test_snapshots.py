"""Whether a start saves what it has folded as a snapshot: only where that takes a small part of what the fold took."""

from __future__ import annotations

from typing import Any

import pytest

from perdure.events.queue.state import QueueState
from perdure.events.supervision.snapshots import FOLDED_TIMES, SMALL, SMALL_BYTES, is_small, saves_what_was_folded


@pytest.mark.parametrize(
    ("behind", "folded", "kept", "saves"),
    [
        (1_000, 1_000, {}, True),
        (999, 999, {}, False),
        (1_000, 3, {}, True),
        (1_000, FOLDED_TIMES * 10, {"plain": 10}, True),
        (1_000, FOLDED_TIMES * 10 - 1, {"plain": 10}, False),
        (10**6, 10**6, {"plain": SMALL}, True),
        (10**6, 10**6, {"plain": SMALL + 1}, False),
        (10**6, 10**6, {"plain": 10, "spilled_bytes": 1}, False),
        (10**6, 10**6, {"payload_bytes": SMALL_BYTES}, True),
        (10**6, 10**6, {"payload_bytes": SMALL_BYTES, "results_bytes": 1}, False),
        (10**6, 10**6, {"dead_bytes": SMALL_BYTES + 1}, False),
    ],
)
def test_a_start_saves_a_small_state_that_much_was_folded_for(
    behind: int, folded: int, kept: dict[str, Any], *, saves: bool
) -> None:
    queue = QueueState()
    for name, value in kept.items():
        setattr(queue, name, value)
    assert saves_what_was_folded(queue, folded, behind, 1_000) is saves
    assert is_small(queue) is (queue.live <= SMALL)
