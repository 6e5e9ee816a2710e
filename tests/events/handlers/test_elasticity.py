"""How many workers an elastic handler gets, and when: it follows the backlog, between its bounds."""

from __future__ import annotations

import pytest

from perdure.events import vocabulary as ev
from perdure.events.commands import Draft, Publish, Subscription
from perdure.events.handlers import registry as rules
from perdure.events.handlers.elasticity import QUIET_US, QuietTime, grown, is_underused, shrunk
from perdure.events.limits import Limits
from perdure.events.queue.decisions import decide
from perdure.events.queue.folding.folds import evolve, evolve_all
from perdure.events.queue.leasing import deliver
from perdure.events.queue.leasing import pressing as pressed_by
from perdure.events.queue.state import QueueState


def elastic(low: int, high: int) -> rules.HandlersState:
    state = rules.HandlersState()
    rules.evolve(state, ev.HandlerRegistered("t", low, 5, 0, 0, "replace", "b", high))
    return state


def adapt(state: rules.HandlersState, workers: int) -> int:
    for event in rules.decide(state, rules.Adapt("t", workers)):
        rules.evolve(state, event)
    return state.handlers["t"].parallelism


def grow(state: rules.HandlersState, ready: int) -> int:
    return adapt(state, grown(state.handlers["t"].parallelism, ready))


@pytest.mark.parametrize(
    ("workers", "ready", "wanted"),
    [(1, 100, 2), (2, 100, 4), (4, 1, 5), (4, 4, 8), (4, 0, 4), (0, 7, 1)],
    ids=["twice as many", "twice again", "no more than there are messages", "as many", "none wait", "the first of all"],
)
def test_growth(workers: int, ready: int, wanted: int) -> None:
    assert grown(workers, ready) == wanted


def test_growth_ends_at_the_maximum() -> None:
    state = elastic(1, 10)
    assert [grow(state, 100) for _ in range(5)] == [2, 4, 8, 10, 10]


def test_handler_is_pressed_while_more_is_ready_than_its_workers_can_take() -> None:
    queue = QueueState()
    subscription = Subscription("t", window=1, parallelism=1, retries=5, lease_us=0, elastic=True)

    def pressing() -> int:
        return pressed_by(queue, subscription)

    assert pressing() == 0, "there is nothing"
    for event in decide(queue, Publish([Draft(f"m{n}", "t", b"", priority=1) for n in range(3)]), 1, Limits()):
        evolve(queue, event)
    assert pressing() == 0, "it has room"
    evolve_all(queue, deliver(queue, [subscription], 1))
    assert pressing() == 2
    assert pressed_by(queue, Subscription("t", 1, 1, 5, 0)) == 0, "it cannot grow"


def test_shrinking_halves_what_is_above_the_minimum() -> None:
    state = elastic(2, 10)
    handler = state.handlers["t"]
    adapt(state, 10)
    sizes = []
    while handler.has_grown:
        sizes.append(adapt(state, shrunk(handler.parallelism, 2)))
    assert sizes == [6, 4, 3, 2]


@pytest.mark.parametrize(("workers", "out", "underused"), [(4, 3, True), (4, 4, False), (4, 9, False), (0, 0, False)])
def test_handler_is_underused_while_fewer_deliveries_are_out_than_it_has_workers(workers: int, out: int, underused: bool) -> None:
    assert is_underused(workers, out) == underused


def test_quiet_time_begins_again_with_each_restart() -> None:
    quiet_time = QuietTime()
    assert quiet_time.is_over(QUIET_US), "from the start"
    quiet_time.restart(5 * QUIET_US)
    assert quiet_time.over_us == 6 * QUIET_US
    assert not quiet_time.is_over(6 * QUIET_US - 1)
    assert quiet_time.is_over(6 * QUIET_US)


def test_number_that_an_operator_set_stays() -> None:
    state = elastic(1, 10)
    rules.evolve(state, ev.Scaled("t", 5))
    assert not state.handlers["t"].has_grown
    assert grow(state, 100) == 5


def test_handler_of_a_fixed_size_never_grows() -> None:
    state = elastic(3, 0)
    assert not state.handlers["t"].has_grown
    assert grow(state, 100) == 3
