"""How many workers an elastic handler should have: it follows what waits, between its bounds."""

from __future__ import annotations

from perdure.events import handlers as rules
from perdure.events import vocabulary as ev


def elastic(low: int, high: int) -> rules.HandlersState:
    state = rules.HandlersState()
    rules.evolve(state, ev.HandlerRegistered("t", low, 5, 0, 0, "replace", "b", high))
    return state


def adapt(state: rules.HandlersState, workers: int) -> int:
    for event in rules.decide(state, rules.Adapt("t", workers)):
        rules.evolve(state, event)
    return state.handlers["t"].parallelism


def test_it_doubles_as_long_as_there_are_messages_for_all() -> None:
    state = elastic(1, 10)
    handler = state.handlers["t"]
    assert [adapt(state, handler.grown(100)) for _ in range(5)] == [2, 4, 8, 10, 10]
    state = elastic(4, 10)
    assert adapt(state, state.handlers["t"].grown(1)) == 5, "no more than there are messages"
    state = elastic(0, 10)
    assert adapt(state, state.handlers["t"].grown(7)) == 1, "the first of all"


def test_it_gives_up_half_of_what_it_has_beyond_its_minimum() -> None:
    state = elastic(2, 10)
    handler = state.handlers["t"]
    adapt(state, 10)
    sizes = []
    while handler.has_grown:
        sizes.append(adapt(state, handler.shrunk))
    assert sizes == [6, 4, 3, 2]


def test_what_an_operator_set_stays() -> None:
    state = elastic(1, 10)
    rules.evolve(state, ev.Scaled("t", 5))
    handler = state.handlers["t"]
    assert not handler.has_grown
    assert adapt(state, handler.grown(100)) == 5


def test_handler_of_a_fixed_size_never_grows() -> None:
    state = elastic(3, 0)
    assert not state.handlers["t"].has_grown
    assert adapt(state, state.handlers["t"].grown(100)) == 3
