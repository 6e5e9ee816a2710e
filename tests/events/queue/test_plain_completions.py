"""Plain messages of one block that end in any order: their payloads go, and those of the others stay."""

from __future__ import annotations

import pytest

from perdure.events.queue.folding.folds import evolve_all
from perdure.events.queue.state import QueueState
from perdure.events.runs import CompletedRun, LeasedRun, PublishedRun

PAYLOADS = [bytes([65 + i]) * (i + 1) for i in range(8)]
"""Each of another size."""


@pytest.mark.parametrize(
    "ended",
    [[1, 2, 3, 4], [4, 3, 2, 1], [1, 3, 2, 4], [1, 7, 2, 4], [2, 8, 3, 5], [5], [1, 2, 3, 4, 5, 6, 7, 8]],
    ids=lambda ended: ",".join(map(str, ended)),
)
def test_what_ends_loses_its_payload_and_nothing_else_does(ended: list[int]) -> None:
    state = QueueState()
    evolve_all(
        state,
        [
            PublishedRun(1, "t", [f"m{i}" for i in range(8)], list(PAYLOADS)),
            LeasedRun(range(1, 9), 0, 5, prefetched=False),
            CompletedRun(ended),
        ],
    )
    left = [number for number in range(1, 9) if number not in ended]
    assert sorted(state.leased) == left
    assert state.payload_bytes == sum(len(PAYLOADS[number - 1]) for number in left)
    messages = [state.look(number) for number in left]
    assert [message.published.payload for message in messages if message is not None] == [PAYLOADS[n - 1] for n in left]
