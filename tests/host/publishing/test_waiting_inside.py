"""A call that waits in a thread that its answer needs is refused at once, before anything is done. Handlers may wait."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PATIENCE_S = 60.0


@attrs.frozen
class Job:
    n: int


@attrs.frozen
class Other:
    n: int


@pytest.fixture
def system(folder: Path) -> Iterator[perdure.System]:
    system = perdure.System(folder)
    system.handler(Other)(lambda other: other.n)
    with system:
        yield system


def in_a_callback(system: perdure.System, call: Callable[[], Any]) -> Any:
    """Return what a call returns or raises in the callback of a future, which runs in a thread of the system."""
    output: list[Any] = []
    called = threading.Event()
    caller = threading.get_ident()

    def back(_: object) -> None:
        try:
            output.append((threading.get_ident(), call()))
        except BaseException as error:  # noqa: BLE001 - returned to the test
            output.append((threading.get_ident(), error))
        called.set()

    while True:
        future = system.submit(Job(0), key="k", dedup="append")
        future.add_done_callback(back)
        assert called.wait(PATIENCE_S)
        where, answer = output.pop()
        if where != caller:
            return answer
        called.clear()  # it was answered before the callback was there


async def _awaited(call: Any) -> Any:
    return await (await call)


CALLS: dict[str, Callable[[perdure.System], Any]] = {
    "publish": lambda system: system.publish(Job(1)),
    "publish_many": lambda system: system.publish_many([Job(1)]),
    "call": lambda system: system.call(Other(1)),
    "result": lambda system: system.result("an-id"),
    "cancel": lambda system: system.cancel("an-id"),
    "checkout": lambda system: system.checkout(Job),
    "drain": lambda system: system.drain(),
    "metrics": lambda system: system.admin.metrics(),
    "scale": lambda system: system.admin.scale(Other, 2),
    "snapshot": lambda system: system.admin.snapshot(),
    "dead letters": lambda system: system.dead_letters.list(),
    "the future of another": lambda system: system.submit(Job(5)).result(),
    "the exception of another": lambda system: system.submit(Job(5)).exception(),
    "apublish": lambda system: asyncio.run(system.apublish(Job(1))),
    "asubmit": lambda system: asyncio.run(_awaited(system.asubmit(Job(1)))),
    "acall": lambda system: asyncio.run(system.acall(Other(1))),
    "astate": lambda system: asyncio.run(system.astate("an-id")),
    "adrain": lambda system: asyncio.run(system.adrain()),
    "register": lambda system: system.handler(Job)(lambda job: None),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_callback_that_would_wait_raises_at_once(system: perdure.System, name: str) -> None:
    answer = in_a_callback(system, lambda: CALLS[name](system))
    assert isinstance(answer, perdure.WouldDeadlock), answer
    assert "submit" in str(answer)
    assert system.publish(Job(2))  # nothing is held up
    assert system.admin.metrics().runtime_counters.get("actor_deaths", 0) == 0


def test_what_does_not_wait_is_allowed_in_a_callback(system: perdure.System) -> None:
    future = in_a_callback(system, lambda: system.submit(Job(1)))
    assert future.result(PATIENCE_S)
    assert in_a_callback(system, lambda: system.running) is True


def test_submit_at_its_bound_is_refused_in_a_callback(folder: Path) -> None:
    system = perdure.System(folder, options=perdure.Options(pipeline_max=1))
    with system:

        def twice() -> None:
            system.submit(Job(1))
            system.submit(Job(2))
            system.submit(Job(3))

        assert isinstance(in_a_callback(system, twice), perdure.WouldDeadlock)
        assert system.publish(Job(4))


@pytest.mark.parametrize("is_async", [False, True])
def test_a_handler_may_publish_and_ask_but_not_drain(folder: Path, *, is_async: bool) -> None:
    system = perdure.System(folder)
    answers: list[Any] = []
    done = threading.Event()

    def work() -> None:
        try:
            answers.append(system.publish(Other(1)))
            answers.append(system.admin.metrics().published)
            try:
                system.drain()
            except perdure.WouldDeadlock as error:
                answers.append(error)
        finally:
            done.set()

    async def coroutine(job: Job) -> None:
        work()

    system.handler(Job)(coroutine if is_async else lambda job: work())
    with system:
        system.publish(Job(1))
        assert done.wait(PATIENCE_S)
    assert len(answers) == 3
    assert isinstance(answers[2], perdure.WouldDeadlock)
    assert "ctx.publish" in str(answers[2])
