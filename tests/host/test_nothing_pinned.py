"""Law 7: an actor that died leaves nothing behind; an actor that waits holds none of what it was told last."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure
from perdure.events.dead_letters import DeadLettersState
from perdure.events.handlers import HandlersState
from perdure.events.queue_state import QueueState

if TYPE_CHECKING:
    from collections.abc import Callable


STATES = (QueueState, HandlersState, DeadLettersState)


@perdure.message(name="tests.pinned")
@attrs.frozen
class Pinned:
    n: int


class Weak(Exception):
    """An error that can be watched."""


def _states_of(system: perdure.System) -> list[Any]:
    gc.collect()
    mine = {id(actor.state) for actor in system.stage.actors.values() if hasattr(actor, "state")}
    return [thing for thing in gc.get_objects() if isinstance(thing, STATES) and id(thing) not in mine]


@pytest.mark.parametrize("name", ["queue", "dispatcher", "dead_letters", "journal", "supervisor", "timer", "snapshotter"])
def test_the_state_of_an_actor_that_died_is_gone(name: str, until: Callable[[Callable[[], object]], None]) -> None:
    gc.collect()
    before = {id(thing) for thing in gc.get_objects() if isinstance(thing, STATES)}
    system = perdure.System(store=perdure.MemoryStore())
    with system:
        for n in range(10):
            system.publish(Pinned(n))
        for round_ in range(3):
            generation = system.stage.actors[name].generation
            system.actors.kill(name)
            until(lambda generation=generation: system.stage.actors[name].generation > generation)  # type: ignore[misc]
            system.publish(Pinned(round_))
            assert system.admin.metrics().ready == 11 + round_
        until(lambda: not [thing for thing in _states_of(system) if id(thing) not in before])
