"""An attempt whose lease has run out: more time, its timeout, or lost. Times in microseconds; it was delivered at 0."""

from __future__ import annotations

import pytest

from perdure.events.handlers.overdue_lease import Attempt, AttemptLimits, End, overdue

LEASED = AttemptLimits(timeout_us=0, lease_us=100)
TIMED = AttemptLimits(timeout_us=50, lease_us=0)
BOTH = AttemptLimits(timeout_us=250, lease_us=100)
RENEWED = AttemptLimits(timeout_us=0, lease_us=100, renews=True)
RENEWED_AND_TIMED = AttemptLimits(timeout_us=250, lease_us=100, renews=True)


def test_limit_is_the_shorter_of_timeout_and_lease() -> None:
    assert [p.limit_us for p in (LEASED, TIMED, BOTH, AttemptLimits(0, 0))] == [100, 50, 100, 0]


@pytest.mark.parametrize("patience", [LEASED, TIMED, BOTH, RENEWED, RENEWED_AND_TIMED])
def test_time_counts_from_the_start_of_the_handler(patience: AttemptLimits) -> None:
    """Its lease counted from when it was handed out, and a child may be slow to start."""
    ended = patience.limit_us
    assert overdue(Attempt(0, ended), patience, ended, ended) == ended, "it has not started"
    assert overdue(Attempt(30, ended), patience, ended, ended) == (100 if patience.renews else 30)


def test_without_a_sign_of_life_it_is_lost_and_past_its_timeout_it_has_failed() -> None:
    assert overdue(Attempt(30, 100), LEASED, 130, 130) is End.SILENT
    assert overdue(Attempt(30, 50), TIMED, 80, 80) is End.TIMED_OUT
    assert overdue(Attempt(30, 100), BOTH, 130, 130) is End.SILENT
    assert overdue(Attempt(30, 100), BOTH, 280, 280) is End.TIMED_OUT


def test_renewed_lease_lasts_as_long_as_the_handler_may_run() -> None:
    assert overdue(Attempt(30, 100), RENEWED, 9_000, 9_000) == 100
    assert overdue(Attempt(30, 100), RENEWED_AND_TIMED, 200, 200) == 80, "up to its timeout, and no longer"
    assert overdue(Attempt(30, 100), RENEWED_AND_TIMED, 280, 280) is End.TIMED_OUT


def test_handler_gets_no_more_time_than_it_asked_for() -> None:
    asked = Attempt(30, 100, asked_until_us=400)
    assert overdue(asked, LEASED, 100, 100) == 300, "the lease that ran out is the one from before"
    assert overdue(asked, LEASED, 400, 400) is End.SILENT
    assert overdue(Attempt(30, 100, asked_until_us=90), LEASED, 120, 120) is End.SILENT, "it asked for less than it had"


def test_the_time_for_which_a_heartbeat_waits_for_the_disk_is_no_silence() -> None:
    assert overdue(Attempt(30, 100, sign_us=500), LEASED, 300, 500) == 100, "it waits for its answer"
    assert overdue(Attempt(30, 100, sign_us=500), LEASED, 300, 590) == 10, "its lease counts from the answer"
    assert overdue(Attempt(30, 100, sign_us=500), LEASED, 600, 600) is End.SILENT
    assert overdue(Attempt(30, 100, sign_us=200), BOTH, 200, 200) == 80, "up to its timeout, and no longer"
    assert overdue(Attempt(30, 100, sign_us=280), BOTH, 280, 280) is End.TIMED_OUT
    assert overdue(Attempt(30, 100, asked_until_us=400, sign_us=290), BOTH, 300, 300) == 90, "or to what it asked for"
    assert overdue(Attempt(30, 50, sign_us=80), TIMED, 80, 80) is End.TIMED_OUT
