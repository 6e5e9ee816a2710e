"""A delivery that runs while the log has lost its lease: the lease goes on record again, with what was lost before it."""

from __future__ import annotations

import pytest

from perdure.events import vocabulary as ev
from perdure.events.commands import Done, Draft, DraftRun, ExpireLease, Publish, ReassertLease, Release, Subscription
from perdure.events.queue import decisions as rules
from perdure.events.queue import leasing
from perdure.events.queue.folding.folds import evolve, evolve_all
from perdure.events.queue.state import QueueState

LIMITS = rules.Limits()
RETRIES = 2


def do(state: QueueState, command: object) -> list[ev.Event]:
    events = rules.decide(state, command, 1, LIMITS)
    for event in events:
        evolve(state, event)
    return events


def waiting(*, plain: bool) -> QueueState:
    state = QueueState()
    drafts = DraftRun("t", ["a"], [b""]) if plain else [Draft("a", "t", b"", priority=1)]
    do(state, Publish(drafts, fresh=plain))
    return state


def lease(attempt: int) -> ev.Leased:
    return ev.Leased(1, attempt, 0, RETRIES)


def hand_out(state: QueueState) -> None:
    evolve_all(state, [*leasing.deliver(state, [Subscription("t", 10, 10, RETRIES, 0)], 1)])
    assert list(state.leased) == [1]


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("attempt", [1, 2])
def test_lease_is_on_record_again(plain: bool, attempt: int) -> None:
    state = waiting(plain=plain)
    assert do(state, ReassertLease(1, "a", lease(attempt))) == [lease(attempt)]
    assert do(state, ReassertLease(1, "a", lease(attempt))) == []
    assert [type(event) for event in do(state, Done(1, "a", attempt))] == [ev.Completed]


@pytest.mark.parametrize("plain", [True, False])
def test_end_of_the_lease_before_is_made_up_for(plain: bool) -> None:
    """Found by the simulation: the first lease stayed on record for ever, as no worker had it any more."""
    state = waiting(plain=plain)
    hand_out(state)
    events = do(state, ReassertLease(1, "a", lease(2)))
    assert [type(event) for event in events] == [ev.LeaseExpired, ev.Leased]
    assert [type(event) for event in do(state, Done(1, "a", 1))] == [ev.LateResultRefused], "what it reports now is lost"
    assert [type(event) for event in do(state, Done(1, "a", 2))] == [ev.Completed]
    assert not state.live


def test_last_attempt_that_was_lost_is_a_dead_letter() -> None:
    state = waiting(plain=False)
    evolve(state, ev.Leased(1, 3, 0, RETRIES))
    events = do(state, ReassertLease(1, "a", lease(4)))
    assert [type(event) for event in events] == [ev.LeaseExpired, ev.DeadLettered]


@pytest.mark.parametrize("attempt", [1, 2])
def test_nothing_follows_where_the_log_is_ahead(attempt: int) -> None:
    state = waiting(plain=False)
    hand_out(state)
    do(state, ExpireLease(1, "a", 1, "lost"))
    hand_out(state)
    assert do(state, ReassertLease(1, "a", lease(attempt))) == []
    do(state, Release(1, "a", 2, "not started"))
    assert do(state, ReassertLease(1, "a", lease(1))) == [], "that attempt has been counted"
    assert do(state, ReassertLease(1, "a", lease(2))) == [], "that one was given back"
    hand_out(state)
    do(state, Done(1, "a", 3))
    assert do(state, ReassertLease(1, "a", lease(4))) == [], "it has ended"
    assert do(state, ReassertLease(1, "b", lease(4))) == [], "another message"
