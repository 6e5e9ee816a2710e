"""Whether a manual consumer's report counts, or comes after its lease was lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from perdure.events.commands import CheckOut, Done, Draft, ExpireLease, Fail, Publish, Release
from perdure.events.limits import Limits
from perdure.events.queue.consumer_reports import WAIT_US, is_refused, left_us
from perdure.events.queue.decisions import decide
from perdure.events.queue.folding.folds import evolve_all
from perdure.events.queue.state import QueueState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perdure.events import vocabulary as ev

DONE = Done(1, "m", 1)
FAIL = Fail(1, "m", 1, "E", "broke", "", 0)
RELEASE = Release(1, "m", 1, "not now")
LOST = ExpireLease(1, "m", 1, "silent")


def after(*commands: Any) -> tuple[QueueState, Sequence[ev.Event]]:
    """Check a message out, decide and fold the commands; return the state and what followed from the last."""
    state, events = QueueState(), []
    for command in (Publish([Draft("m", "t", b"")]), CheckOut("t", "holder", 1_000, 5), *commands):
        events = decide(state, command, 1, Limits())
        evolve_all(state, events)
    return state, events


@pytest.mark.parametrize(
    ("commands", "sent_again", "refused"),
    [
        ((DONE,), False, False),
        ((FAIL,), False, False),
        ((RELEASE,), False, False),
        ((DONE, DONE), True, False),
        ((FAIL, FAIL), True, False),
        ((RELEASE, RELEASE), True, False),
        ((DONE, DONE), False, True),
        ((LOST, DONE), False, True),
        ((LOST, DONE), True, True),
        ((LOST, FAIL), False, True),
        ((FAIL, DONE), True, True),
    ],
    ids=[
        "a completion",
        "a failure",
        "given back",
        "a completion sent again",
        "a failure sent again",
        "given back, sent again",
        "a second completion",
        "a completion after the lease was lost",
        "the same, sent again",
        "a failure after the lease was lost",
        "a completion sent again, after a failure",
    ],
)
def test_report(commands: Sequence[Any], sent_again: bool, refused: bool) -> None:
    state, events = after(*commands)
    assert is_refused(state, commands[-1], events, sent_again=sent_again) == refused


def test_a_lease_counts_from_the_answer_and_does_not_end_before_it() -> None:
    assert left_us(0, 5_000_000, 100) == 5_000_000, "its consumer waits"
    assert left_us(0, 10, 100) == WAIT_US, "no event each ten microseconds while the disk is stuck"
    assert left_us(100, 50, 120) == 30
    assert left_us(100, 50, 150) == 0
    assert left_us(100, 50, 9_000) == 0
