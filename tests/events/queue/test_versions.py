"""A message of a newer version of its type than a process knows waits for one that knows it, and holds up no other."""

from __future__ import annotations

import pytest

from perdure.events.commands import Cancel, Draft, DraftRun, Publish, Release, Subscription
from perdure.events.limits import Limits
from perdure.events.queue import decisions, leasing
from perdure.events.queue.folding.folds import evolve_all
from perdure.events.queue.state import QueueState
from perdure.events.runs import expand
from perdure.events.vocabulary import Extras, Leased


def published(*versions: int) -> QueueState:
    """Return a state with a message of each version, numbered from 1; several of version 0 in a row are plain ones."""
    state = QueueState()
    for number, version in enumerate(versions, 1):
        drafts = DraftRun("T", [f"m{number}"], [b""]) if not version else [Draft(f"m{number}", "T", b"", extras=Extras(version))]
        evolve_all(state, decisions.decide(state, Publish(drafts), 1, Limits()))
    return state


def leased(state: QueueState, window: int, version: int) -> list[int]:
    leases = leasing.deliver(state, [Subscription("T", window, window, 5, 0, version=version)], 2)
    evolve_all(state, [*leases])
    return [event.number for event in expand(leases) if isinstance(event, Leased)]


@pytest.mark.parametrize(
    ("versions", "window", "known", "out"),
    [
        ((1, 2, 1), 3, 2, [1, 2, 3]),
        ((1, 2, 1), 3, 1, [1, 3]),
        ((2, 2, 2, 1), 1, 1, [4]),  # it is not held up, however few may be out
        ((2, 0, 0, 0, 2, 0), 3, 1, [2, 3, 4]),
        ((2, 0, 0, 0, 2, 0), 9, 1, [2, 3, 4, 6]),
        ((2, 2), 5, 1, []),
        ((2, 1), 5, 0, [1, 2]),  # there is no other process that it could wait for
    ],
)
def test_table(versions: tuple[int, ...], window: int, known: int, out: list[int]) -> None:
    assert leased(published(*versions), window, known) == out


def test_it_is_not_lost() -> None:
    state = published(2, 1, 2)
    assert leased(state, 5, 1) == [2]
    assert leased(state, 5, 2) == [1, 3]


def test_however_many_no_process_knows_they_hold_up_no_other() -> None:
    state = published(*[2] * 1_500, 1, *[2] * 1_500, 3, 0)
    assert leased(state, 2, 1) == [1_501, 3_003]
    assert leased(state, 3, 3) == [1]
    assert leased(state, 5, 2) == [2, 3], "five may be out, with those that are out already"


def test_a_message_of_a_newer_version_that_comes_back_is_in_its_place() -> None:
    state = published(2, 0, 0, 3, 0, 2)
    assert leased(state, 1, 2) == [1]
    evolve_all(state, decisions.decide(state, Release(1, "m1", 1, "its worker died"), 3, Limits()))
    assert leased(state, 9, 3) == [1, 2, 3, 4, 5, 6]


def test_one_that_is_cancelled_while_no_process_knows_it_is_gone() -> None:
    state = published(2, 2, 1)
    evolve_all(state, decisions.decide(state, Cancel("m1", "wanted no more"), 3, Limits()))
    assert leased(state, 9, 1) == [3]
    assert leased(state, 9, 2) == [2]
