"""Which pool takes which delivery, where a type is handled in several processes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.events.commands import Subscription
from perdure.events.handlers.sharing import Share, capped, divide, summed


@pytest.mark.parametrize(
    ("count", "shares", "expected"),
    [
        (1, [Share(1, 1)], [(0, 1)]),
        (2, [Share(1, 1), Share(1, 1)], [(0, 1), (1, 1)]),
        (2, [Share(2, 2), Share(0, 0)], [(0, 2)]),
        (3, [Share(4, 4), Share(1, 1)], [(0, 3)]),  # the idler one first
        (3, [Share(1, 9), Share(2, 2)], [(0, 1), (1, 2)]),  # free slots before any waits
        (6, [Share(1, 9), Share(2, 2)], [(0, 1), (1, 2), (0, 3)]),  # then what waits behind them
        (4, [Share(0, 4), Share(0, 4)], [(0, 2), (1, 2)]),
        (6, [Share(2, 8), Share(2, 4)], [(0, 2), (1, 2), (0, 2)]),  # where there is more room, until it is even
    ],
)
def test_table(count: int, shares: list[Share], expected: list[tuple[int, int]]) -> None:
    assert divide(count, shares, 0) == expected


def test_ties_go_round() -> None:
    idle = [Share(1, 1), Share(1, 1), Share(1, 1)]
    assert [divide(1, idle, turn)[0][0] for turn in range(4)] == [0, 1, 2, 0]


some_shares = st.lists(
    st.tuples(st.integers(0, 8), st.integers(0, 40)).map(lambda t: Share(t[0], t[0] + t[1])), min_size=1, max_size=5
)


@given(some_shares, st.integers(0, 200), st.integers(0, 1 << 40))
def test_no_pool_gets_more_than_it_has_room_for(shares: list[Share], count: int, turn: int) -> None:
    count = min(count, sum(share.room for share in shares))
    stretches = divide(count, shares, turn)
    taken = [sum(n for i, n in stretches if i == pool) for pool in range(len(shares))]
    assert sum(taken) == count
    assert all(0 <= n <= share.room for n, share in zip(taken, shares, strict=True))
    if any(n > share.free for n, share in zip(taken, shares, strict=True)):  # none waits while a slot is free
        assert all(n >= share.free for n, share in zip(taken, shares, strict=True))
    first = min(count, sum(share.free for share in shares))
    started = 0
    for i, n in stretches:  # the first ones are those that start at once
        if started < first:
            assert n <= shares[i].free
            started += n


def test_no_more_is_out_than_may_run_whatever_could_run_now() -> None:
    """More workers may come, here or in a process that joins; what is out already would begin with them."""
    subscriptions = [Subscription("T", 20, slots, 5, 0, limit=4) for slots in (1, 3)]
    within = summed(subscriptions, [Share(1, 20), Share(3, 20)], 0)
    assert (within.window, within.parallelism) == (4, 4)


@given(some_shares, st.integers(0, 300), st.integers(0, 20))
def test_all_pools_together_keep_within_the_limit(shares: list[Share], out: int, limit: int) -> None:
    subscriptions = [Subscription("T", share.room, share.free, 5, 0, limit=limit) for share in shares]
    whole = summed(subscriptions, shares, out)
    slots = sum(share.free for share in shares)
    if limit:
        assert whole.window == min(limit, out + sum(share.room for share in shares))
        assert whole.parallelism == min(limit, out + slots)
    else:
        assert whole.window - out == sum(share.room for share in shares)
        assert whole.parallelism - out == slots


@pytest.mark.parametrize(
    ("window", "slots", "limit", "expected"),
    [(40, 4, 0, (40, 4)), (40, 4, 4, (4, 4)), (40, 4, 3, (3, 3)), (40, 1, 3, (3, 1)), (0, 4, 3, (0, 3))],
)
def test_one_pool_within_its_limit(window: int, slots: int, limit: int, expected: tuple[int, int]) -> None:
    within = capped(Subscription("T", window, slots, 5, 0, limit=limit))
    assert (within.window, within.parallelism) == expected
