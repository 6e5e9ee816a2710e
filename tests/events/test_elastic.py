"""How many workers an elastic handler should have: it follows what waits, between its bounds."""

from __future__ import annotations

from perdure.events import vocabulary as ev
from perdure.events.commands import Draft, Publish, Subscription
from perdure.events.handlers import registry as rules
from perdure.events.queue.decisions import Limits, decide, deliver
from perdure.events.queue.decisions import pressing as pressed_by
from perdure.events.queue.folds import evolve, evolve_all
from perdure.events.queue.state import QueueState


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


def test_it_is_pressed_while_more_is_ready_than_its_workers_can_take() -> None:
    queue = QueueState()
    flow = Subscription("t", window=1, parallelism=1, retries=5, lease_us=0, elastic=True)

    def pressing() -> int:
        return pressed_by(queue, flow)

    assert pressing() == 0, "there is nothing"
    for event in decide(queue, Publish([Draft(f"m{n}", "t", b"", priority=1) for n in range(3)]), 1, Limits()):
        evolve(queue, event)
    assert pressing() == 0, "it has room"
    evolve_all(queue, deliver(queue, [flow], 1))
    assert pressing() == 2
    assert pressed_by(queue, Subscription("t", 1, 1, 5, 0)) == 0, "it cannot grow"


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
