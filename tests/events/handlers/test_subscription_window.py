"""How many deliveries of a handler may be out: a slot each, and some work prefetched for it."""

from __future__ import annotations

import pytest

from perdure.events.handlers.subscription_window import prefetch, window

PREFETCH_US = 10_000.0


@pytest.mark.parametrize(
    ("run_us", "messages"),
    [
        (0.0, 0),  # unknown
        (1_000_000.0, 0),
        (10_001.0, 0),
        (10_000.0, 1),
        (5_300.0, 1),
        (1_000.0, 10),
        (10.0, 256),  # at most
    ],
)
def test_ten_milliseconds_of_work_are_prefetched(run_us: float, messages: int) -> None:
    assert prefetch(run_us, PREFETCH_US, 256) == messages


def test_nothing_is_prefetched_where_nothing_is_asked_for() -> None:
    assert prefetch(10.0, 0.0, 256) == 0
    assert prefetch(10.0, PREFETCH_US, 0) == 0


@pytest.mark.parametrize(
    ("slots", "run_us", "rate_limited", "out"),
    [
        (0, 1_000.0, False, 0),
        (4, 0.0, False, 4),
        (4, 1_000.0, False, 44),
        (4, 1_000.0, True, 4),
        (100, 10.0, False, 25_700),
    ],
    ids=["no workers", "unknown run time", "ten prefetched for each slot", "a limited rate", "the bound of what is prefetched"],
)
def test_window(slots: int, run_us: float, rate_limited: bool, out: int) -> None:
    assert window(slots, run_us, rate_limited=rate_limited, prefetch_us=PREFETCH_US, prefetch_max=256) == out
