"""How long the journal lets a frame wait for more requests: only for a slow store, and only for as many as are known to come."""

from __future__ import annotations

import pytest

from perdure.actors.journal.gathering import SHARE, SLOW_S, Gathering

SLOW = 8 * SLOW_S


def test_nothing_waits_where_the_store_is_quick_or_nothing_was_committed() -> None:
    gathering = Gathering()
    assert not gathering.is_worth_it
    gathering.committed(SLOW_S / 2, 8, more_came=True)
    assert not gathering.is_worth_it


def test_a_single_publisher_never_waits() -> None:
    gathering = Gathering()
    for _ in range(3):
        gathering.committed(SLOW, 1, more_came=False)
        assert gathering.is_worth_it
        assert gathering.wait_s(1, 10.0) == 0.0


def test_those_that_were_answered_together_are_waited_for_until_all_are_back() -> None:
    gathering = Gathering()
    gathering.committed(SLOW, 8, more_came=False)
    assert gathering.wait_s(1, 10.0) == pytest.approx(SHARE * SLOW)
    assert 0 < gathering.wait_s(7, 10.0 + SLOW / 8) < SHARE * SLOW
    assert gathering.wait_s(8, 10.0 + SLOW / 8) == 0.0


def test_bookkeeping_waits_where_the_store_takes_as_long_for_it_until_those_answered_last_are_back() -> None:
    gathering = Gathering()
    gathering.committed(SLOW, 1, more_came=False)
    gathering.kept(SLOW_S / 2)
    assert not gathering.holds_bookkeeping
    gathering.kept(SLOW_S)
    assert gathering.holds_bookkeeping
    assert gathering.wait_s(0, 10.0) == pytest.approx(SHARE * SLOW)
    assert gathering.wait_s(1, 10.0 + SLOW / 8) == 0.0
    gathering.committed(SLOW, 1, more_came=False)
    assert gathering.wait_s(0, 20.0) > 0.0
    assert gathering.wait_s(0, 20.0 + SLOW) == 0.0, "no publisher comes back"
    gathering.kept(SLOW)
    assert gathering.wait_s(0, 20.0 + 2 * SLOW) == 0.0, "and what follows does not wait again"
    assert gathering.wait_s(1, 20.0 + 3 * SLOW) == 0.0, "nor does a publisher that comes after all"
    gathering.committed(SLOW, 1, more_came=True)
    assert gathering.wait_s(2, 30.0) > 0.0, "those that came behind it wait for it"
    assert gathering.wait_s(3, 30.0) == 0.0


def test_two_halves_that_took_turns_become_one() -> None:
    gathering = Gathering()
    gathering.committed(SLOW, 4, more_came=True)
    assert gathering.wait_s(4, 10.0) > 0.0
    assert gathering.wait_s(7, 10.0) > 0.0
    assert gathering.wait_s(8, 10.0) == 0.0


def test_the_wait_ends_although_some_never_come_back_and_the_next_expects_fewer() -> None:
    gathering = Gathering()
    gathering.committed(SLOW, 8, more_came=False)
    gathering.wait_s(1, 10.0)
    assert gathering.wait_s(2, 10.0 + SLOW) == 0.0
    gathering.committed(SLOW, 2, more_came=False)
    assert gathering.wait_s(2, 20.0) == 0.0
