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
    ReassertLease,
    Release,
    Replay,
    ReplayItem,
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


def out(*, plain: bool = False, subscription: Subscription = SUBSCRIPTION) -> QueueState:
    state = QueueState()
    drafts = DraftRun("t", ["a"], [b""]) if plain else [Draft("a", "t", b"", priority=1)]
    do(state, Publish(drafts, fresh=plain))
    hand_out(state, subscription)
    return state


def hand_out(state: QueueState, subscription: Subscription = SUBSCRIPTION) -> int:
    """Lease the message; return the attempt."""
    evolve_all(state, [*leasing.deliver(state, [subscription], 1)])
    message = state.look(1)
    assert message is not None
    assert message.lease is not None
    return message.lease.attempt


@pytest.mark.parametrize("plain", [True, False])
def test_what_was_given_back_and_may_begin_all_the_same_gets_another_number(plain: bool) -> None:
    state = out(plain=plain)
    assert do(state, Release(1, "a", 1, "its connection broke")) == [ev.Returned(1, 1, "its connection broke", spent=True)]
    assert hand_out(state) == 2
    assert names(do(state, Done(1, "a", 1))) == ["LateResultRefused"]
    assert do(state, Release(1, "a", 1, "told again")) == []
    assert names(do(state, Done(1, "a", 2))) == ["Completed"]


def test_a_report_that_gives_back_and_is_sent_again_takes_the_message_from_no_next_holder() -> None:
    """Found by the simulation: the stop of an owner gave a delivery back twice, and a member had begun it in between."""
    state = out()
    release = Release(1, "a", 1, "not started when its handler was stopped")
    do(state, release)
    hand_out(state)
    assert do(state, release) == []
    assert names(do(state, Done(1, "a", 2))) == ["Completed"]


def test_a_handler_sees_how_many_attempts_count() -> None:
    state = out()
    do(state, Release(1, "a", 1, "its connection broke"))
    hand_out(state)
    message = state.messages[1]
    assert message.lease is not None
    assert (message.lease.attempt, message.lease.uncounted) == (2, 1)
    assert look_up(state, "a").attempts == 1
    do(state, Done(1, "a", 2))
    assert look_up(load_queue(dump_queue(state)), "a").attempts == 1


@pytest.mark.parametrize("checked_out", [True, False])
def test_a_number_that_is_spent_costs_no_retry(checked_out: bool) -> None:
    """One retry: two attempts count, whatever their numbers are."""
    state = out()
    do(state, Release(1, "a", 1, "its connection broke"))
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
    do(state, Orphan(1, started=False))
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


def test_a_number_is_spent_without_cost_where_the_log_has_lost_that_the_one_before_was_given_back() -> None:
    """A process was taken attempt 2, its only one: the message was a dead letter of attempt 1, which never ran."""
    subscription = Subscription("t", 10, 10, 0, 0)
    state = out(subscription=subscription)
    assert names(do(state, Spend(1, "a", 2, 1, uncounted=1))) == ["Returned", "Leased", "Returned"]
    assert hand_out(state, subscription) == 3
    assert names(do(state, Done(1, "a", 3))) == ["Completed"]


def test_a_number_is_spent_as_the_log_counts() -> None:
    state = out()
    do(state, Release(1, "a", 1, "its connection broke"))
    assert names(do(state, Spend(1, "a", 3, RETRIES))) == ["Leased", "Returned"]
    assert hand_out(state) == 4


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


def dead(*, retries: int = RETRIES) -> QueueState:
    """The message has failed for good, after `retries` + 1 attempts."""
    state = out()
    for attempt in range(1, retries + 2):
        do(state, Fail(1, "a", attempt, "E", "m", "", 0, None if attempt <= retries else "never again"))
        if attempt <= retries:
            evolve_all(state, [ev.Awakened(1)])
            hand_out(state)
    assert 1 in state.dead
    return state


def replay(state: QueueState, attempts: int) -> ev.Replayed:
    death, published = state.dead[1].death, ev.Published(1, "a", "t", b"", priority=1)
    assert death is not None
    (event,) = do(state, Replay([ReplayItem(death, published, attempts, [])]))
    assert isinstance(event, ev.Replayed)
    return event


@pytest.mark.parametrize("taken_out", ["by a worker", "by hand"])
def test_a_replay_that_counts_from_zero_goes_on_with_new_numbers(taken_out: str) -> None:
    state = dead()
    assert replay(state, 0) == ev.Replayed(1, ev.Published(1, "a", "t", b"", priority=1), 0, uncounted=2)
    assert look_up(state, "a").attempts == 0
    if taken_out == "by hand":
        do(state, CheckOut("t", "holder", 60, RETRIES))
    else:
        hand_out(state)
    message = state.messages[1]
    assert message.lease is not None
    assert (message.lease.attempt, message.lease.uncounted, message.lease.retries) == (3, 2, RETRIES + 2)
    assert names(do(state, Done(1, "a", 1))) == ["LateResultRefused"]
    assert names(do(state, Fail(1, "a", 2, "E", "m", "", 0))) == ["LateResultRefused"]
    assert look_up(state, "a").attempts == 1
    assert names(do(state, Done(1, "a", 3))) == ["Completed"]
    assert look_up(load_queue(dump_queue(state)), "a").attempts == 1


def test_it_has_all_of_its_retries_again_and_its_letter_says_how_often_it_was_tried() -> None:
    state = dead()
    replay(state, 0)
    state = load_queue(dump_queue(state))
    events: list[ev.Event] = []
    for attempt in (3, 4):
        assert hand_out(state) == attempt
        events = do(state, Fail(1, "a", attempt, "E", "m", "", 0))
        evolve_all(state, [ev.Awakened(1)] if len(events) == 1 else [])
    letter = events[-1]
    assert isinstance(letter, ev.DeadLettered)
    assert (letter.attempts, letter.uncounted, letter.reason) == (2, 2, "failed 2 times: E")
    assert replay(state, 0).uncounted == 4
    assert hand_out(state) == 5


def test_a_replay_that_counts_on_has_one_more_attempt() -> None:
    state = dead()
    assert replay(state, 2).uncounted == 0
    assert hand_out(state) == 3
    assert names(do(state, Fail(1, "a", 3, "E", "m", "", 0))) == ["AttemptFailed", "DeadLettered"]
    assert replay(state, 0).uncounted == 3


def test_a_lease_whose_replay_the_log_has_lost_too_is_on_record_and_so_is_what_the_replay_forgave() -> None:
    """A failed sync took back the death, the replay and the lease: attempt 1 is out again, and a worker runs attempt 2."""
    state = dead(retries=0)
    replay(state, 0)
    hand_out(state)
    lost = state.messages[1].lease
    assert lost is not None
    assert (lost.retries, lost.uncounted) == (RETRIES + 1, 1)
    state = out()
    events = do(state, ReassertLease(1, "a", lost))
    assert names(events) == ["Returned", "Leased"]
    assert events[1] == lost


def test_a_lease_is_counted_as_the_log_counts_where_it_lost_more_than_one_forgiven_attempt() -> None:
    """Attempts 2 and 3 were given back: the log has lost all of that, and never had a lease of 2."""
    state = out()
    lost = ev.Leased(1, 3, 0, RETRIES + 2, uncounted=2)
    assert do(state, ReassertLease(1, "a", lost))[1:] == [ev.Leased(1, 3, 0, RETRIES + 1, uncounted=1)]


@pytest.mark.parametrize("retries", [0, 1])
@pytest.mark.parametrize("plain", [True, False])
def test_an_attempt_whose_return_the_log_has_lost_costs_no_retry(retries: int, plain: bool) -> None:
    """A failed sync took back `Returned(1)` and `Leased(2)`. It was a dead letter while a worker ran its only attempt."""
    subscription = Subscription("t", 10, 10, retries, 0)
    state = out(plain=plain, subscription=subscription)
    do(state, Release(1, "a", 1, "not started when its handler was stopped"))
    hand_out(state, subscription)
    lost = state.messages[1].lease
    assert lost is not None
    state = out(plain=plain, subscription=subscription)
    events = do(state, ReassertLease(1, "a", lost))
    assert names(events) == ["Returned", "Leased"]
    assert events[1] == lost
    state = load_queue(dump_queue(state))
    failed = names(do(state, Fail(1, "a", 2, "E", "m", "", 0)))
    assert failed == (["AttemptFailed"] if retries else ["AttemptFailed", "DeadLettered"])


def test_an_attempt_that_counted_before_one_that_was_given_back_counts_still() -> None:
    """Attempt 1 was lost, 2 was given back, 3 runs: the log has 1 as out."""
    events = do(out(), ReassertLease(1, "a", ev.Leased(1, 3, 0, RETRIES + 1, uncounted=1)))
    assert names(events) == ["LeaseExpired", "Leased"]
