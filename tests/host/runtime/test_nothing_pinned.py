"""Law 7: a dead actor leaves no reference behind, and a waiting actor holds none to its last message."""

from __future__ import annotations

import gc
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure
from perdure.events.handlers.registry import HandlersState
from perdure.events.queue.dead_letters import DeadLettersState
from perdure.events.queue.state import QueueState

if TYPE_CHECKING:
    from collections.abc import Callable

    Until = Callable[[Callable[[], object]], None]


PATIENCE_S = 60.0
STATES = (QueueState, HandlersState, DeadLettersState)


@perdure.message(name="tests.pinned")
@attrs.frozen
class Pinned:
    n: int


class Weak(Exception):
    """An error that a weak reference can watch."""


def _states_of(system: perdure.System) -> list[Any]:
    gc.collect()
    mine = {id(actor.state) for actor in system.runtime.directory.actors.values() if hasattr(actor, "state")}
    return [thing for thing in gc.get_objects() if issubclass(type(thing), STATES) and id(thing) not in mine]


def _is_newer_than(system: perdure.System, name: str, generation: int) -> bool:
    return system.runtime.directory.actors[name].generation > generation


@pytest.mark.parametrize("name", ["queue", "dispatcher", "dead_letters", "journal", "supervisor", "timer", "snapshotter"])
def test_the_state_of_an_actor_that_died_is_gone(name: str, until: Until) -> None:
    gc.collect()
    # By their types: `isinstance` asks an object for its class, and a lazy one of another library then does what it put off.
    before = {id(thing) for thing in gc.get_objects() if issubclass(type(thing), STATES)}
    system = perdure.System(store=perdure.MemoryStore())
    with system:
        for n in range(10):
            system.publish(Pinned(n))
        for round_ in range(3):
            generation = system.runtime.directory.actors[name].generation
            system.actors.kill(name)
            until(partial(_is_newer_than, system, name, generation))
            system.publish(Pinned(round_))
            assert system.admin.metrics().ready == 11 + round_
        until(lambda: not [thing for thing in _states_of(system) if id(thing) not in before])


class Large:
    """An object in a local variable of a handler that fails."""


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_an_exception_kept_for_its_waiter_holds_no_variables(kind: str, until: Until) -> None:
    system = perdure.System(store=perdure.MemoryStore())
    held: list[weakref.ref[Any]] = []

    def fail() -> None:
        large = Large()
        held.append(weakref.ref(large))
        msg = "in vain"
        raise ValueError(msg)

    async def fail_later(_: Pinned) -> None:
        fail()

    def fail_now(_: Pinned) -> None:
        fail()

    system.handler(Pinned, retries=0)(fail_now if kind == "plain" else fail_later)
    with system:
        ident = system.publish(Pinned(1), keep_result=3600.0)
        until(lambda: system.admin.metrics().dead_letters)
        gc.collect()
        assert held[0]() is None
        with pytest.raises(ValueError, match="in vain") as caught:
            system.result(ident, timeout=PATIENCE_S)
        assert "fail" in [entry.name for entry in caught.traceback], "the traceback still shows where it failed"
        del caught


def test_an_exception_goes_with_the_result_that_is_kept(until: Until, clock: perdure.ManualClock) -> None:
    system = perdure.System(store=perdure.MemoryStore(), clock=clock)

    @system.handler(Pinned, retries=1, backoff=perdure.Fixed(5.0))
    def fail(message: Pinned, ctx: perdure.Context) -> None:
        if message.n or ctx.attempt == 1:
            raise ValueError(message.n)

    with system:
        for n in (0, 1):
            system.publish(Pinned(n), keep_result=60.0)
        until(lambda: system.admin.metrics().delayed == 2)
        assert not len(system.runtime.raised), "what is tried again has not ended"
        clock.advance(5.0)
        until(lambda: system.admin.metrics().dead_letters == 1)
        until(lambda: system.admin.metrics().completed == 1)
        assert len(system.runtime.raised) == 1
        clock.advance(61.0)
        until(lambda: not len(system.runtime.raised))


def test_caller_that_stopped_waiting_for_an_idle_queue_is_forgotten() -> None:
    with perdure.System(store=perdure.MemoryStore()) as system:
        system.publish(Pinned(1))
        for _ in range(20):
            with pytest.raises(TimeoutError):
                system.drain(timeout=0.001)
        queue: Any = system.runtime.directory.actors["queue"]
        system.admin.metrics()  # the queue has seen all that was asked before
        assert len(queue.idle_waiters) <= 2
