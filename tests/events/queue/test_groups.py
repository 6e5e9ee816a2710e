"""Groups after a replay: the message that is out comes first, the others in the order of their numbers, also after a snapshot."""

from __future__ import annotations

from perdure.events.codec.snapshot import States
from perdure.events.commands import CheckOut, Death, Draft, ExpireLease, Fail, Publish, Replay, ReplayItem
from perdure.events.queue import decisions as rules
from perdure.events.queue.folding.folds import evolve
from perdure.events.queue.state import QueueState

LIMITS = rules.Limits()


def do(state: QueueState, command: object) -> None:
    for event in rules.decide(state, command, 1, LIMITS):
        evolve(state, event)


def test_replayed_member_comes_first_once_the_one_that_is_out_is_back() -> None:
    """Found by seed 26383149 of the simulation."""
    state = QueueState()
    do(state, Publish([Draft("a", "t", b"", group="g"), Draft("b", "t", b"", group="g")]))
    do(state, CheckOut("t", "one", 60, 5))
    first = state.messages[1].published
    do(state, Fail(1, "a", 1, "E", "m", "", 0, "never"))
    do(state, CheckOut("t", "two", 60, 5))
    do(state, Replay([ReplayItem(Death(1, 1, 1), first, 0, [])]))
    assert list(state.groups["g"]) == [2, 1]
    do(state, ExpireLease(2, "b", 1, "gone"))
    assert list(state.groups["g"]) == [1, 2]
    statuses = {number: message.status for number, message in state.messages.items()}
    again = States.decode(States(state).encode()).queue
    assert {number: message.status for number, message in again.messages.items()} == statuses
    assert [*again.groups["g"]] == [*state.groups["g"]]
