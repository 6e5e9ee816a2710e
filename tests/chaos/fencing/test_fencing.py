"""The rules that fence off a stale owner of a partition hold in random histories, and each rule that is left out is missed."""

from __future__ import annotations

import pytest

from perdure.chaos.fencing.database import Rules
from perdure.chaos.fencing.random_histories import broken_promises


@pytest.mark.parametrize("seed", range(60))
def test_a_random_history_keeps_all_promises(seed: int) -> None:
    assert broken_promises(seed) == []


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param(Rules(locks=False), id="an append holds no lock"),
        pytest.param(Rules(checks_epoch=False), id="an append checks no epoch"),
        pytest.param(Rules(settles=False), id="a doubt is not settled"),
        pytest.param(Rules(takes_in_append=False), id="rows are removed after the append"),
        pytest.param(Rules(counts_from_question=False), id="a lease counts from the answer"),
    ],
)
def test_a_rule_that_is_left_out_is_missed(rules: Rules) -> None:
    assert any(broken_promises(seed, rules) for seed in range(100))
