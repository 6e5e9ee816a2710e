"""Ready messages: one that comes back, in whatever way, is in the ready queue once, and leaves it in order."""

from __future__ import annotations

from perdure.events import vocabulary as ev
from perdure.events.commands import CheckOut, Death, Draft, Fail, Publish, Release, Replay, ReplayItem, Subscription
from perdure.events.queue import decisions as rules
from perdure.events.queue import leasing
from perdure.events.queue.folding.folds import evolve
from perdure.events.queue.state import QueueState
from perdure.events.runs import expand

LIMITS = rules.Limits()


def do(state: QueueState, command: object) -> None:
    for event in rules.decide(state, command, 1, LIMITS):
        evolve(state, event)


def test_replayed_message_is_ready_once_though_its_former_entry_was_never_removed() -> None:
    """Found by the plain model: the message was counted as ready and never delivered, until the next start."""
    state = QueueState()
    do(state, Publish([Draft(name, "t", b"") for name in "abc"]))
    for holder in ("one", "two"):
        do(state, CheckOut("t", holder, 60, 5))
    do(state, Release(1, "a", 1, "came back, before c"))
    do(state, Release(2, "b", 1, "came back, behind a"))
    do(state, CheckOut("t", "three", 60, 5))  # a
    do(state, CheckOut("t", "four", 60, 5))  # b
    do(state, Release(1, "a", 2, "came back again"))
    replayed = state.messages[2].published
    do(state, Fail(2, "b", 2, "E", "m", "", 0, "never"))
    do(state, Replay([ReplayItem(Death(2, 1, 1), replayed, 0, [])]))
    leases = expand(leasing.deliver(state, [Subscription("t", 10, 10, 5, 0)], 1))
    assert [lease.number for lease in leases if isinstance(lease, ev.Leased)] == [1, 2, 3]
