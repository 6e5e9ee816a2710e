"""How many messages may lie ready for a worker: as much work as is asked for, beside what it has."""

from __future__ import annotations

import pytest

from perdure.events.handlers.registry import prefetch


@pytest.mark.parametrize(
    ("run_us", "messages"),
    [
        (0.0, 0),  # nobody knows how long it takes
        (1_000_000.0, 0),
        (10_001.0, 0),
        (10_000.0, 1),
        (5_300.0, 1),  # one beside the one it has: for a time it was none, and such handlers waited for each
        (1_000.0, 10),
        (10.0, 256),  # at most
    ],
)
def test_ten_milliseconds_of_work_lie_ready(run_us: float, messages: int) -> None:
    assert prefetch(run_us, 10_000.0, 256) == messages


def test_nothing_lies_ready_where_nothing_is_asked_for() -> None:
    assert prefetch(10.0, 0.0, 256) == 0
