"""When an actor that died starts again, and when its deaths are too many."""

from __future__ import annotations

import pytest

from perdure.events.supervision.restart_policy import after_death

BUDGET, WINDOW_S = 3, 60.0


@pytest.mark.parametrize(
    ("deaths_s", "now_s", "kept", "pause_s", "exhausted"),
    [
        ([], 5.0, [5.0], 0.0, False),
        ([5.0], 6.0, [5.0, 6.0], 0.01, False),
        ([5.0, 6.0], 7.0, [5.0, 6.0, 7.0], 0.02, False),
        ([5.0, 6.0, 7.0], 8.0, [5.0, 6.0, 7.0, 8.0], 0.04, True),
        ([5.0, 6.0, 7.0], 64.9, [5.0, 6.0, 7.0, 64.9], 0.04, True),
        ([5.0, 6.0, 7.0], 65.0, [6.0, 7.0, 65.0], 0.02, False),
        ([5.0, 6.0, 7.0], 1_000.0, [1_000.0], 0.0, False),
    ],
    ids=["first", "second", "at the budget", "beyond the budget", "just within the window", "just out of it", "all out of it"],
)
def test_restart(deaths_s: list[float], now_s: float, kept: list[float], pause_s: float, exhausted: bool) -> None:
    decision = after_death(deaths_s, now_s, budget=BUDGET, window_s=WINDOW_S)
    assert (decision.deaths_s, decision.exhausted) == (kept, exhausted)
    assert decision.pause_s == pytest.approx(pause_s)


@pytest.mark.parametrize("n", [9, 12, 5_000])
def test_pause_has_a_bound(n: int) -> None:
    assert after_death([0.0] * (n - 1), 1.0, budget=n, window_s=WINDOW_S).pause_s == 1.0


def test_budget_of_none_ends_with_the_first_death() -> None:
    assert after_death([], 1.0, budget=0, window_s=WINDOW_S).exhausted
    assert not after_death([], 1.0, budget=1, window_s=WINDOW_S).exhausted
