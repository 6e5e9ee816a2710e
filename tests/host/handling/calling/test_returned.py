"""Return values of every kind of handler: an awaitable is awaited, and a value whose code never ran fails the attempt.

How signatures are checked at registration is in `test_signatures`.
"""
# ruff: noqa: PLW0108 - what a lambda returns is the case here

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
import types
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path

    import svcs

    from perdure.handling.options.handler_options import Isolation
    from tests.host.conftest import Collected


@attrs.frozen
class Job:
    """A message."""

    number: int


async def _double(job: Job, ctx: Any) -> int:
    await asyncio.sleep(0)
    return job.number * 2


def _decorated(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def _undeclared(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda job, ctx: function(job, ctx)


class Called:
    async def __call__(self, job: Job, ctx: Any) -> int:
        return await _double(job, ctx)


class Plainly:
    def __call__(self, job: Job, ctx: Any) -> Awaitable[int]:
        return _double(job, ctx)


class Made:
    def handle(self, job: Job, ctx: Any) -> Awaitable[int]:
        return _double(job, ctx)


class MadeAsync:
    async def handle(self, job: Job, ctx: Any) -> int:
        return await _double(job, ctx)


class Own:
    """A class with `__await__`."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __await__(self) -> Any:
        yield from asyncio.sleep(0).__await__()
        return self.number


async def _nested(job: Job, ctx: Any) -> Any:
    return _double(job, ctx)


def _on_a_loop_of_its_own(job: Job, ctx: Any) -> Any:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    future = loop.create_future()
    loop.call_soon_threadsafe(future.set_result, job.number * 2)
    future.add_done_callback(lambda _: loop.call_later(0.5, loop.stop))
    return future


@types.coroutine
def _old_style(job: Job) -> Any:
    yield from asyncio.sleep(0).__await__()
    return job.number * 2


AWAITABLE: dict[str, Any] = {
    "types.coroutine": _old_style,
    "decorated": _decorated(_double),
    "decorated twice": _decorated(_decorated(_double)),
    "without wraps": _undeclared(_double),
    "partial": functools.partial(_double),
    "partial of decorated": functools.partial(_decorated(_double)),
    "object": Called(),
    "object that gives a coroutine": Plainly(),
    "class": Made,
    "class with async handle": MadeAsync,
    "lambda": lambda job: _double(job, None),
    "awaitable": lambda job: Own(job.number * 2),
    "nested": _nested,
    "executor": lambda job: ThreadPoolExecutor(1).submit(lambda: job.number * 2),
    "another loop's future": _on_a_loop_of_its_own,
}


@pytest.mark.parametrize("timeout", [None, 30.0])
@pytest.mark.parametrize("kind", AWAITABLE)
def test_what_can_be_awaited_is(folder: Path, kind: str, timeout: float | None) -> None:
    system = perdure.System(folder)
    system.handler(Job, timeout=timeout, retries=0)(AWAITABLE[kind])
    with system:
        assert [system.call(Job(number), timeout=20.0) for number in range(10)] == [2 * number for number in range(10)]


@pytest.mark.parametrize("kind", ["decorated", "lambda", "nested", "awaitable"])
def test_failure_of_what_is_awaited_is_the_handlers(folder: Path, kind: str) -> None:
    async def fail(job: Job, ctx: Any) -> None:
        await asyncio.sleep(0)
        raise LookupError(job.number)

    async def nested(job: Job, ctx: Any) -> Any:
        return fail(job, ctx)

    class Failing:
        def __await__(self) -> Any:
            yield from asyncio.sleep(0).__await__()
            raise LookupError

    handler: Any = {
        "decorated": _decorated(fail),
        "lambda": lambda job: fail(job, None),
        "nested": nested,
        "awaitable": lambda job: Failing(),
    }[kind]
    system = perdure.System(folder)
    system.handler(Job, retries=0)(handler)
    with system:
        for number in range(10):  # the short way through the worker too
            with pytest.raises(LookupError):
                system.call(Job(number), timeout=20.0)
        system.publish_many([Job(number) for number in range(100)])
        system.drain(timeout=20.0)
        assert system.dead_letters.stats().total == 110


def test_short_handlers_that_give_coroutines_run_each_one(folder: Path) -> None:
    """Plain messages of a short handler take a separate path through the worker."""
    seen: set[int] = set()

    async def note(job: Job) -> None:
        seen.add(job.number)

    system = perdure.System(folder)
    system.handler(Job)(lambda job: note(job))
    with system:
        for begin in (0, 500):
            system.publish_many([Job(number) for number in range(begin, begin + 500)])
            system.drain(timeout=20.0)
    assert seen == set(range(1000))


def _counts(job: Job) -> Iterator[int]:
    yield job.number


async def _counts_async(job: Job) -> AsyncIterator[int]:
    yield job.number


NEVER_RAN: dict[str, Callable[..., Any]] = {
    "generator": lambda job: _counts(job),
    "async generator": lambda job: _counts_async(job),
    "map": lambda job: map(print, [job]),
    "context manager": lambda job: contextlib.contextmanager(_counts)(job),
    "async context manager": lambda job: contextlib.asynccontextmanager(_counts_async)(job),
    "executor.map": lambda job: ThreadPoolExecutor(1).map(print, [job]),
}


@pytest.mark.parametrize(("kind", "isolation"), [*((kind, "thread") for kind in NEVER_RAN), ("generator", "process")])
def test_value_whose_code_never_ran_fails_the_attempt(folder: Path, kind: str, isolation: Isolation) -> None:
    system = perdure.System(folder)
    system.handler(Job, retries=0, isolation=isolation)(NEVER_RAN[kind])
    with system:
        system.publish(Job(1))
        system.drain(timeout=20.0)
        (letter,) = system.dead_letters.list()
        assert letter.exception == "TypeError"
        assert "has not run" in letter.error


async def _async_gives_generator(job: Job) -> Any:
    return _counts(job)


def test_coroutine_that_gives_a_generator_fails(folder: Path) -> None:
    system = perdure.System(folder)
    system.handler(Job, retries=0)(_async_gives_generator)
    with system, pytest.raises(TypeError, match="has not run"):
        system.call(Job(1), timeout=20.0)


@pytest.mark.parametrize("value", [None, 0, "text", [1, 2], {"a": 1}, True])
def test_values_are_values(folder: Path, value: Any) -> None:
    system = perdure.System(folder)
    system.handler(Job)(lambda job: value)
    with system:
        assert system.call(Job(1), timeout=20.0) == value


def test_iterator_that_did_its_work_completes(folder: Path) -> None:
    """A cursor or an open file is iterable, but the handler that returned it has run."""
    system = perdure.System(folder)
    system.handler(Job, retries=0)(lambda job: iter([job.number]))
    with system:
        system.publish(Job(1))
        system.drain(timeout=20.0)
        assert system.admin.metrics().completed == 1


def _given_by_a_process(job: Job) -> Any:
    return _double(job, None)


def test_process_handler_that_gives_a_coroutine(folder: Path) -> None:
    system = perdure.System(folder)
    system.handler(Job, isolation="process", retries=0)(_given_by_a_process)
    with system:
        assert [system.call(Job(number), timeout=30.0) for number in (1, 2)] == [2, 4]


def test_batch_handler_that_gives_a_coroutine(folder: Path, collected: Collected) -> None:
    async def note(batch: perdure.Batch[Any]) -> None:
        await asyncio.sleep(0)
        for job in batch.messages:
            collected.add(job.number)

    system = perdure.System(folder)
    system.batch_handler(Job, size=10)(lambda batch: note(batch))
    with system:
        system.publish_many([Job(number) for number in range(30)])
        assert sorted(collected.wait_for(30)) == list(range(30))


def test_batch_handler_that_gives_a_generator_fails(folder: Path) -> None:
    system = perdure.System(folder)
    system.batch_handler(Job, size=10, retries=0)(lambda batch: (item for item in batch))
    with system:
        system.publish_many([Job(number) for number in range(3)])
        system.drain(timeout=20.0)
        assert {letter.exception for letter in system.dead_letters.list()} == {"TypeError"}


def test_schedule_whose_handler_gives_a_coroutine(folder: Path, collected: Collected) -> None:
    async def note(tick: perdure.Tick) -> None:
        collected.add(tick.schedule)

    system = perdure.System(folder)
    system.every(0.01, name="often")(lambda tick: note(tick))
    with system:
        collected.wait_for(2)


def test_coroutine_of_a_plain_handler_is_cancelled_at_its_timeout(folder: Path, collected: Collected) -> None:
    begun: list[int] = []

    async def sleep(job: Job) -> None:
        begun.append(job.number)
        try:
            await asyncio.sleep(60.0)
        except asyncio.CancelledError:
            collected.add(job.number)
            raise

    system = perdure.System(folder)
    system.handler(Job, timeout=0.1, retries=0)(lambda job: sleep(job))
    published = 0
    with system:
        while not begun:  # on a busy machine the time may be over before the coroutine has begun
            published += bool(system.publish(Job(published)))
            system.drain(timeout=60.0)
            assert published < 100
        collected.wait_for(len(begun))  # the attempt fails first, then the coroutine is cancelled
        assert [letter.exception for letter in system.dead_letters.list()] == ["TimeoutError"] * published
    assert collected.items == begun


def test_coroutine_of_a_plain_handler_is_stopped_with_its_system(folder: Path, collected: Collected) -> None:
    async def sleep(job: Job) -> None:
        collected.add("begun")
        try:
            await asyncio.sleep(60.0)
        except asyncio.CancelledError:
            collected.add("cancelled")
            raise

    system = perdure.System(folder)
    system.handler(Job)(lambda job: sleep(job))
    system.start()
    system.publish(Job(1))
    collected.wait_for(1)
    system.stop(grace=0.1)
    assert collected.wait_for(2) == ["begun", "cancelled"]


class Timing(perdure.Middleware):
    """Records when a handler begins and ends."""

    def __init__(self, seen: list[str]) -> None:
        self.seen = seen

    def handle(self, message: Any, context: perdure.Context, call_next: Callable[[Any, Any], Any]) -> Any:
        self.seen.append("enter")
        try:
            return call_next(message, context)
        finally:
            self.seen.append("leave")


@pytest.mark.parametrize("batch", [False, True])
def test_middleware_leaves_after_the_coroutine_has_run(folder: Path, batch: bool) -> None:
    seen: list[str] = []

    async def work(_: Any) -> None:
        await asyncio.sleep(0)
        seen.append("work")

    system = perdure.System(folder, middleware=[Timing(seen)])
    (system.batch_handler if batch else system.handler)(Job)(lambda job: work(job))
    with system:
        system.publish(Job(1))
        system.drain(timeout=20.0)
    assert seen == ["enter", "work", "leave"]


class Forgetful(perdure.Middleware):
    """A handler that forgets to await."""

    def handle(self, message: Any, context: perdure.Context, call_next: Callable[[Any, Any], Any]) -> Any:
        return _double(message, context)

    async def ahandle(self, message: Any, context: perdure.Context, call_next: Callable[[Any, Any], Any]) -> Any:
        return call_next(message, context)


@pytest.mark.parametrize("handler", [lambda job: None, _double])
def test_what_a_middleware_returns_is_awaited_too(folder: Path, handler: Any) -> None:
    system = perdure.System(folder, middleware=[Forgetful()])
    system.handler(Job)(handler)
    with system:
        assert system.call(Job(4), timeout=20.0) == 8


class Wrong(perdure.Middleware):
    async def handle(self, message: Any, context: perdure.Context, call_next: Callable[[Any, Any], Any]) -> Any:
        return call_next(message, context)


class WrongPublish(perdure.Middleware):
    async def publish(self, message: Any, options: dict[str, Any], call_next: Callable[..., str]) -> str:  # type: ignore[override]  # a coroutine on purpose
        return call_next(message, options)


@pytest.mark.parametrize("middleware", [Wrong, WrongPublish])
def test_coroutine_where_middleware_is_plain_is_refused(folder: Path, middleware: Any) -> None:
    with pytest.raises(TypeError, match="async"):
        perdure.System(folder, middleware=[middleware()])


class Resource:
    opened: bool = False


def test_services_are_open_until_the_coroutine_has_run(folder: Path, registry: svcs.Registry) -> None:
    @contextlib.contextmanager
    def opened() -> Iterator[Resource]:
        resource = Resource()
        resource.opened = True
        yield resource
        resource.opened = False

    async def work(resource: Resource) -> bool:
        await asyncio.sleep(0)
        return resource.opened

    def handler(job: Job, ctx: perdure.Context, resource: Resource) -> Any:
        return work(resource)

    registry.register_factory(Resource, opened)
    system = perdure.System(folder, registry=registry)
    system.handler(Job)(handler)
    with system:
        assert system.call(Job(1), timeout=20.0) is True


def test_a_coroutine_function_that_nothing_called_is_an_error(folder: Path) -> None:
    async def work(job: Job) -> None: ...

    system = perdure.System(folder)
    system.handler(Job, retries=0)(lambda job: work)
    with system:
        with pytest.raises(TypeError, match=r"work and did not call it.*Return work\(\.\.\.\)"):
            system.call(Job(1), timeout=20.0)
        system.publish_many([Job(number) for number in range(10)])
        system.drain(timeout=20.0)
        assert system.dead_letters.stats().total == 11
