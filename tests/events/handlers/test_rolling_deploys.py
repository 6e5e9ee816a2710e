"""Which process's options count, where two that share a folder have the same handler with other ones."""

from __future__ import annotations

from perdure.events.handlers import registry as rules
from perdure.events.vocabulary import HandlerRegistered


def registered(started_us: int, retries: int = 5, parallelism: int = 1, **more: object) -> HandlerRegistered:
    return HandlerRegistered("T", parallelism, retries, 0, 0, "replace", "b", 0, more or None, started_us)


def after(*events: HandlerRegistered) -> rules.HandlersState:
    state = rules.HandlersState()
    for event in events:
        for decided in rules.decide(state, rules.Register(event)):
            rules.evolve(state, decided)
    return state


def test_the_process_that_started_last_counts_in_whatever_order_they_register() -> None:
    old, new = registered(1, limit=4), registered(2, limit=1)
    for order in ([old, new], [new, old], [old, new, old], [new, old, new, old]):
        assert after(*order).handlers["T"].registered == new


def test_an_old_process_that_connects_anew_is_told_what_counts() -> None:
    new = registered(2, retries=3, rate_per_s=5.0)
    assert rules.outvoted(new, registered(1)) == {"retries": (5, 3), "rate_per_s": (None, 5.0)}
    assert rules.outvoted(registered(1), new) == {}, "the newer one is told nothing"


def test_workers_and_backoff_are_each_processs_own() -> None:
    assert rules.outvoted(registered(2, parallelism=8), registered(1, parallelism=2)) == {}


def test_a_process_by_itself_registers_once() -> None:
    state = after(registered(0), registered(0))
    assert rules.decide(state, rules.Register(registered(0))) == []
    assert rules.decide(state, rules.Register(registered(0, retries=1))) != []


def test_what_an_operator_set_outlives_the_registration_of_another_process() -> None:
    state = after(registered(1))
    for event in rules.decide(state, rules.Scale("T", 8)):
        rules.evolve(state, event)
    for event in rules.decide(state, rules.Register(registered(2))):
        rules.evolve(state, event)
    assert state.handlers["T"].own_parallelism == 8
