"""A command for a dead letter means the death that its sender saw: one that was replayed and died again is another."""

from __future__ import annotations

import pytest

from perdure.events import vocabulary as ev
from perdure.events.codec.snapshot import States
from perdure.events.commands import CheckOut, Draft, Fail, Publish, Purge, Replay
from perdure.events.errors import UnknownMessage
from perdure.events.queue import decisions as rules
from perdure.events.queue import replay_and_purge
from perdure.events.queue.dead_letters import Letter, death, replay_item
from perdure.events.queue.dead_letters import evolve as evolve_letters
from perdure.events.queue.folding.folds import evolve
from perdure.events.queue.state import QueueState

LIMITS = rules.Limits()


def do(state: QueueState, command: object, now_us: int) -> list[ev.Event]:
    events = rules.decide(state, command, now_us, LIMITS)
    for event in events:
        evolve(state, event)
    return events


def die(state: QueueState, attempt: int, now_us: int) -> ev.DeadLettered:
    do(state, CheckOut("t", f"consumer {now_us}", 60, 5), now_us)
    *_, dead_letter = do(state, Fail(1, "a", attempt, "E", "m", "", 0, "never"), now_us)
    assert isinstance(dead_letter, ev.DeadLettered)
    return dead_letter


def twice_dead(*, reset_retries: bool) -> tuple[QueueState, Replay, ev.DeadLettered]:
    """Return a message that was replayed and died again, the replay that did it, and the second death."""
    state = QueueState()
    do(state, Publish([Draft("a", "t", b"")]), 1)
    replay = Replay([replay_item(Letter(die(state, 1, 2), 2), reset_retries=reset_retries)])
    do(state, replay, 3)
    return state, replay, die(state, 2, 4)


@pytest.mark.parametrize("reset_retries", [False, True])
def test_replay_that_is_delivered_twice_counts_once(reset_retries: bool) -> None:
    """Found by seed 3981605904950 of the simulation: the message had died again before the second came."""
    state, replay, _ = twice_dead(reset_retries=reset_retries)
    replay.again = True
    assert do(state, replay, 5) == []


def test_replay_of_a_letter_that_another_operator_has_replayed_is_refused() -> None:
    state, replay, second = twice_dead(reset_retries=False)
    with pytest.raises(UnknownMessage, match="not the dead letter that was meant"):
        do(state, replay, 5)
    item = replay_item(Letter(second, 4), reset_retries=False)
    assert [(type(e), e.attempts) for e in do(state, Replay([item]), 6) if isinstance(e, ev.Replayed)] == [(ev.Replayed, 2)]


def test_purge_leaves_a_letter_that_has_died_again() -> None:
    state, replay, second = twice_dead(reset_retries=True)
    assert do(state, Purge([replay.items[0].death], "old"), 5) == []
    assert do(state, Purge([death(second)], "old"), 5) == [ev.Purged(1, "old")]


def test_snapshot_keeps_the_identity_of_the_death() -> None:
    state, replay, second = twice_dead(reset_retries=True)
    states = States(state)
    evolve_letters(states.dead_letters, second, 4)
    again = States.decode(states.encode())
    assert again.queue.dead == state.dead
    assert do(again.queue, Purge([replay.items[0].death], "old"), 5) == []
    assert do(again.queue, Purge([death(second)], "old"), 5) == [ev.Purged(1, "old")]


def test_replay_sent_again_counts_what_the_first_brought_back_but_not_what_was_purged() -> None:
    state = QueueState()
    do(state, Publish([Draft("a", "t", b"")]), 1)
    replay = Replay([replay_item(Letter(die(state, 1, 2), 2), reset_retries=True)], skips=True)
    assert replay_and_purge.done_for(state, replay, do(state, replay, 3), again=False) == 1
    assert replay_and_purge.done_for(state, replay, do(state, replay, 3), again=True) == 1
    purge = Purge([death(die(state, 2, 4))], "old")
    assert replay_and_purge.done_for(state, purge, do(state, purge, 5), again=False) == 1
    assert replay_and_purge.done_for(state, purge, do(state, purge, 5), again=True) == 1
    assert replay_and_purge.done_for(state, replay, do(state, replay, 6), again=False) == 0
    assert replay_and_purge.done_for(state, replay, do(state, replay, 6), again=True) == 0
