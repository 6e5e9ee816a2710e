"""Context variables: each message runs in a context of its own, in every kind of worker, with its middleware round it.

What start hooks set is seen by all; that is in `test_hooks`.
"""

from __future__ import annotations

import asyncio
import contextvars
import decimal
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.host.conftest import Collected

TENANT: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="nobody")


@attrs.frozen
class Job:
    """A message."""

    number: int


def _look(job: Job) -> str:
    before = TENANT.get()
    TENANT.set(f"tenant of {job.number}")
    decimal.getcontext().prec = 3
    return before


def _plain(job: Job, ctx: Any) -> str:
    return _look(job)


async def _coroutine(job: Job, ctx: Any) -> str:
    before = _look(job)
    await asyncio.sleep(0)
    assert TENANT.get() == f"tenant of {job.number}"
    return before


HANDLERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "thread": (_plain, {}),
    "thread with timeout": (_plain, {"timeout": 30.0}),
    "coroutine": (_coroutine, {}),
    "gives a coroutine": (lambda job: _coroutine(job, None), {}),
    "process": (_plain, {"isolation": "process"}),
}


@pytest.mark.parametrize("kind", HANDLERS)
def test_variable_of_one_message_is_not_seen_by_the_next(folder: Path, kind: str) -> None:
    handler, options = HANDLERS[kind]
    system = perdure.System(folder)
    system.handler(Job, **options)(handler)
    with system:
        assert {system.call(Job(number), timeout=30.0) for number in range(4)} == {"nobody"}
    assert TENANT.get() == "nobody"


def test_short_handlers_have_contexts_of_their_own_too(folder: Path) -> None:
    """Plain messages of a short handler take a way of their own through the worker."""
    seen: list[str] = []
    system = perdure.System(folder)
    system.handler(Job)(lambda job: seen.append(_look(job)))
    with system:
        system.publish_many([Job(number) for number in range(500)])
        system.drain(timeout=20.0)
    assert (len(seen), set(seen)) == (500, {"nobody"})


def test_batches_have_contexts_of_their_own(folder: Path, collected: Collected) -> None:
    def note(batch: perdure.Batch[Any]) -> None:
        collected.add(_look(batch.messages[0]))

    system = perdure.System(folder)
    system.batch_handler(Job, size=2)(note)
    with system:
        system.publish_many([Job(number) for number in range(10)])
        assert set(collected.wait_for(5)) == {"nobody"}


def test_handlers_see_the_variables_of_the_starting_thread(folder: Path) -> None:
    """As a thread of Python 3.14 would: what was set before the start, a logger's name for the process, say, holds in handlers."""
    system = perdure.System(folder)
    system.handler(Job)(_plain)

    def run() -> None:
        TENANT.set("who started")
        with system:
            TENANT.set("set later")
            assert [system.call(Job(number), timeout=20.0) for number in (1, 2)] == ["who started"] * 2

    contextvars.Context().run(run)


class Setting(perdure.Middleware):
    """Sets a variable round each handler, and looks at it afterwards."""

    def __init__(self) -> None:
        self.after: list[str] = []

    def handle(self, message: Any, context: perdure.Context, call_next: Callable[[Any, Any], Any]) -> Any:
        assert TENANT.get() == "nobody"
        TENANT.set("middleware")
        try:
            return call_next(message, context)
        finally:
            self.after.append(TENANT.get())

    async def ahandle(self, message: Any, context: perdure.Context, call_next: Callable[[Any, Any], Any]) -> Any:
        assert TENANT.get() == "nobody"
        TENANT.set("middleware")
        try:
            return await call_next(message, context)
        finally:
            self.after.append(TENANT.get())


@pytest.mark.parametrize("handler", [_plain, _coroutine])
def test_middleware_shares_the_handlers_context(folder: Path, handler: Any) -> None:
    middleware = Setting()
    system = perdure.System(folder, middleware=[middleware])
    system.handler(Job)(handler)
    with system:
        assert [system.call(Job(number), timeout=20.0) for number in (1, 2)] == ["middleware"] * 2
    assert middleware.after == ["tenant of 1", "tenant of 2"]


def test_context_of_a_coroutine_given_by_a_plain_handler_has_what_middleware_set(folder: Path) -> None:
    system = perdure.System(folder, middleware=[Setting()])
    system.handler(Job)(lambda job: _coroutine(job, None))
    with system:
        assert [system.call(Job(number), timeout=20.0) for number in (1, 2)] == ["middleware"] * 2
