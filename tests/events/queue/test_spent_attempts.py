"""Two runs never have one number: what may still run is not begun again under it. And a report that comes too late is on record."""

from __future__ import annotations

import pytest

from perdure.events import vocabulary as ev
from perdure.events.codec.queue_snapshot import dump_queue, load_queue
from perdure.events.commands import (
    CheckOut,
    Done,
    Draft,
    DraftRun,
    ExpireLease,
    Fail,
    Orphan,
    Publish,
    Release,
    Spend,
    Subscription,
)
from perdure.events.queue import decisions as rules
from perdure.events.queue import leasing
from perdure.events.queue.folding.folds import evolve_all
from perdure.events.queue.lookup import look_up
from perdure.events.queue.state import QueueState

LIMITS = rules.Limits()
RETRIES = 1
SUBSCRIPTION = Subscription("t", 10, 10, RETRIES, 0)


def do(state: QueueState, command: object) -> list[ev.Event]:
    events = rules.decide(state, command, 1, LIMITS)
    evolve_all(state, events)
    return events


def names(events: list[ev.Event]) -> list[str]:
    return [type(event).__name__ for event in events]


def out(*, plain: bool = False) -> QueueState:
    state = QueueState()
    drafts = DraftRun("t", ["a"], [b""]) if plain else [Draft("a", "t", b"", priority=1)]
    do(state, Publish(drafts, fresh=plain))
    hand_out(state)
    return state


def hand_out(state: QueueState) -> int:
    """Lease the message; return the attempt."""
    evolve_all(state, [*leasing.deliver(state, [SUBSCRIPTION], 1)])
    message = state.look(1)
    assert message is not None
    assert message.lease is not None
    return message.lease.attempt


@pytest.mark.parametrize("plain", [True, False])
def test_what_was_given_back_and_may_begin_all_the_same_gets_another_number(plain: bool) -> None:
    state = out(plain=plain)
    assert do(state, Release(1, "a", 1, "its connection broke", spends=True)) == [
        ev.Returned(1, 1, "its connection broke", spent=True)
    ]
    assert hand_out(state) == 2
    assert names(do(state, Done(1, "a", 1))) == ["LateResultRefused"]
    assert do(state, Release(1, "a", 1, "told again", spends=True)) == []
    assert names(do(state, Done(1, "a", 2))) == ["Completed"]


def test_what_was_given_back_to_be_begun_by_nothing_keeps_its_number() -> None:
    state = out()
    do(state, Release(1, "a", 1, "not started when its handler was stopped"))
    assert hand_out(state) == 1


@pytest.mark.parametrize("checked_out", [True, False])
def test_a_number_that_is_spent_costs_no_retry(checked_out: bool) -> None:
    """One retry: two attempts count, whatever their numbers are."""
    state = out()
    do(state, Release(1, "a", 1, "its connection broke", spends=True))
    state = load_queue(dump_queue(state))
    if checked_out:
        do(state, CheckOut("t", "holder", 60, RETRIES))
    else:
        hand_out(state)
    assert names(do(state, Fail(1, "a", 2, "E", "m", "", 0))) == ["AttemptFailed"]
    evolve_all(state, [ev.Awakened(1)])
    assert hand_out(state) == 3
    failed = do(state, Fail(1, "a", 3, "E", "m", "", 0))
    assert names(failed) == ["AttemptFailed", "DeadLettered"]
    assert isinstance(failed[1], ev.DeadLettered)
    assert failed[1].reason == "failed 2 times: E"


def test_what_a_process_that_may_only_hang_has_not_claimed_gets_another_number() -> None:
    state = out()
    do(state, Orphan(1, started=False, spends=True))
    assert hand_out(state) == 2


@pytest.mark.parametrize("plain", [True, False])
def test_the_number_of_a_run_that_the_log_has_forgotten_is_spent(plain: bool) -> None:
    state = QueueState()
    drafts = DraftRun("t", ["a"], [b""]) if plain else [Draft("a", "t", b"", priority=1)]
    do(state, Publish(drafts, fresh=plain))
    spend = Spend(1, "a", 2, RETRIES)
    assert names(do(state, spend)) == ["Leased", "Returned"]
    assert do(state, spend) == []
    assert hand_out(state) == 3
    assert do(state, spend) == [], "a later one is out"


def test_nothing_is_spent_for_a_message_that_has_ended() -> None:
    state = out()
    do(state, Done(1, "a", 1))
    assert do(state, Spend(1, "a", 2, RETRIES)) == []


@pytest.mark.parametrize("ends", ["while the next attempt waits", "while the next attempt runs", "after it is a dead letter"])
@pytest.mark.parametrize("plain", [True, False])
def test_a_result_that_comes_after_its_lease_was_lost_is_refused_on_record(ends: str, plain: bool) -> None:
    state = out(plain=plain)
    do(state, ExpireLease(1, "a", 1, "silent"))
    late, attempts = Done(1, "a", 1), 1
    if ends != "while the next attempt waits":
        hand_out(state)
    if ends == "after it is a dead letter":
        do(state, ExpireLease(1, "a", 2, "silent again"))
        assert 1 in state.dead
        late, attempts = Done(1, "a", 2), 2
    assert names(do(state, late)) == ["LateResultRefused"]
    assert look_up(state, "a").attempts >= attempts


@pytest.mark.parametrize("failed", [True, False])
def test_a_report_that_was_taken_and_comes_again_is_no_late_one(failed: bool) -> None:
    state = out()
    report = Fail(1, "a", 1, "E", "m", "", 0) if failed else Done(1, "a", 1)
    do(state, report)
    assert do(state, report) == []


def test_a_failure_that_made_a_dead_letter_and_comes_again_is_no_late_one() -> None:
    state = out()
    report = Fail(1, "a", 1, "E", "m", "", 0, "never again")
    assert names(do(state, report)) == ["AttemptFailed", "DeadLettered"]
    assert do(state, report) == []
