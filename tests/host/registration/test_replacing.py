"""Registering again: a notebook cell that is run a second time, handlers registered in many threads while others look."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.host.conftest import Until

PATIENCE_S = 60.0


@attrs.frozen
class Job:
    n: int


def test_a_handler_is_replaced_where_that_is_asked_for(folder: Path) -> None:
    system = perdure.System(folder)
    told: list[tuple[str, int]] = []
    system.handler(Job)(lambda job: told.append(("first", job.n)))
    with pytest.raises(perdure.InvalidMessage, match="replace=True"):
        system.handler(Job)(lambda job: None)
    with system:
        system.publish(Job(1))
        system.drain(timeout=PATIENCE_S)
        with pytest.raises(perdure.InvalidMessage, match="replace=True"):
            system.handler(Job)(lambda job: None)
        system.handler(Job, replace=True, parallelism=2)(lambda job: told.append(("second", job.n)))
        system.publish(Job(2))
        system.drain(timeout=PATIENCE_S)
        assert told == [("first", 1), ("second", 2)]
        assert system.admin.handlers()[f"{__name__}.Job"].workers == 2


def first_in_a_child(job: Job, ctx: perdure.Context) -> str:
    return "first in a child"


def second_in_a_child(job: Job, ctx: perdure.Context) -> str:
    return "second in a child"


def test_a_handler_of_any_kind_takes_the_place_of_any_other(folder: Path) -> None:
    async def coroutine(job: Job) -> str:
        return "coroutine"

    def generation(job: Job) -> str:
        return "thread"

    system = perdure.System(folder)
    with system:
        for handler, options in (
            (generation, {}),
            (coroutine, {}),
            (first_in_a_child, {"isolation": "process"}),
            (second_in_a_child, {"isolation": "process"}),
            (generation, {}),
        ):
            given: Any = options
            system.handler(Job, replace=True, **given)(handler)
            expected = {"coroutine": "coroutine", "generation": "thread"}.get(handler.__name__, handler.__name__.replace("_", " "))
            assert system.call(Job(1), timeout=PATIENCE_S) == expected
        batches: list[int] = []
        system.batch_handler(Job, replace=True)(lambda batch: batches.append(len(batch)))
        system.publish(Job(2))
        system.drain(timeout=PATIENCE_S)
        assert batches == [1]


def test_the_class_of_a_cell_that_is_run_again_is_what_its_handler_gets(folder: Path) -> None:
    """In a notebook the class is made anew too, under the same name."""

    def cell(system: perdure.System, seen: list[Any]) -> type:
        @perdure.message(name="cell.Order")
        @attrs.frozen
        class Order:
            n: int

        system.handler(Order, replace=True)(seen.append)
        return Order

    system = perdure.System(folder)
    with system:
        seen: list[Any] = []
        for n in range(3):
            made = cell(system, seen)
            system.publish_many([made(n) for _ in range(50)])
            system.drain(timeout=PATIENCE_S)
            assert len(seen) == 50
            assert {type(message) for message in seen} == {made}
            seen.clear()


def test_schedules_are_replaced_too(folder: Path, clock: perdure.ManualClock, until: Until) -> None:
    system = perdure.System(folder, clock=clock)
    told: list[str] = []

    def tick(name: str) -> Callable[..., None]:
        return lambda tick: told.append(name)

    with system:
        system.every(60.0, name="t")(tick("first"))
        with pytest.raises(perdure.InvalidMessage, match="replace=True"):
            system.every(60.0, name="t")(tick("x"))
        system.every(10.0, name="t", replace=True)(tick("second"))
        until(lambda: list(system.audit.events(type="Ticked")))  # the schedule begins on record: its ticks count from there
        clock.advance(11.0)
        until(lambda: told)
        assert set(told) == {"second"}


def test_handlers_are_registered_while_others_look(folder: Path) -> None:
    """What threads share is never changed under a reader: `handlers()` and the dispatcher used to die of it."""
    types: list[Any] = [
        perdure.message(name=f"types.T{n}")(attrs.make_class(f"T{n}", {"n": attrs.field(type=int)})) for n in range(60)
    ]
    system = perdure.System(folder)
    failures: list[BaseException] = []
    over = threading.Event()

    def look() -> None:
        try:
            while not over.is_set():
                system.admin.handlers()
                dict(system.actors.items())
                system.admin.metrics()
        except BaseException as error:  # noqa: BLE001 - the test's verdict
            failures.append(error)

    def register(mine: list[type]) -> None:
        try:
            for cls in mine:
                system.handler(cls)(lambda message: None)
        except BaseException as error:  # noqa: BLE001 - as above
            failures.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with system:
            lookers = [threading.Thread(target=look) for _ in range(2)]
            makers = [threading.Thread(target=register, args=(types[n::3],)) for n in range(3)]
            for thread in (*lookers, *makers):
                thread.start()
            for thread in makers:
                thread.join(60.0)
            over.set()
            for thread in lookers:
                thread.join(60.0)
            assert failures == []
            assert len(system.admin.handlers()) == 60
            for cls in types:
                system.publish(cls(1))
            system.drain(timeout=60.0)
            assert system.admin.metrics().completed == 60
    finally:
        sys.setswitchinterval(interval)


def test_what_is_registered_while_it_starts_is_at_work(folder: Path) -> None:
    """A handler that another thread registers in the middle of a start is in this run, not only in the next one."""
    types: list[Any] = [
        perdure.message(name=f"late.T{n}")(attrs.make_class(f"T{n}", {"n": attrs.field(type=int)})) for n in range(30)
    ]
    system = perdure.System(folder)
    thread = threading.Thread(target=lambda: [system.handler(cls)(lambda message: None) for cls in types])
    thread.start()
    with system:
        thread.join(PATIENCE_S)
        for cls in types:
            system.publish(cls(1))
        system.drain(timeout=PATIENCE_S)
        assert system.admin.metrics().completed == 30
