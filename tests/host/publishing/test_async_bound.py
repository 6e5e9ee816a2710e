"""Coroutines at the bound of pending publishes: they wait on their own loop, keep their context, and occupy no executor."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

REQUEST: contextvars.ContextVar[str] = contextvars.ContextVar("REQUEST", default="none")


@attrs.frozen
class Ping:
    number: int


class Tracing(perdure.Middleware):
    """Copies a context variable of the publisher into the headers, and records the thread."""

    def __init__(self) -> None:
        self.threads: set[threading.Thread] = set()

    def publish(self, message: Any, options: dict[str, Any], call_next: Callable[[Any, dict[str, Any]], str]) -> str:
        self.threads.add(threading.current_thread())
        return call_next(message, {**options, "headers": {"request": REQUEST.get()}})


@pytest.mark.parametrize("call", ["apublish", "asubmit"])
def test_coroutines_at_the_bound_keep_context_and_executor(folder: Path, call: str) -> None:
    tracing = Tracing()
    system = perdure.System(folder, options=perdure.Options(pipeline_max=2), middleware=[tracing])

    async def one(number: int) -> None:
        REQUEST.set(f"request-{number}")
        if call == "apublish":
            await system.apublish(Ping(number))
        else:
            await (await system.asubmit(Ping(number)))

    async def main() -> None:
        asyncio.get_running_loop().set_default_executor(Refusing())
        await asyncio.gather(*(one(n) for n in range(50)))

    with system:
        asyncio.run(main())
        assert tracing.threads == {threading.current_thread()}
        for _ in range(50):
            delivery = system.checkout(Ping)
            assert delivery is not None
            assert delivery.headers == {"request": f"request-{delivery.message.number}"}
            delivery.ack()


class Refusing(ThreadPoolExecutor):
    """The default executor of the host's loop, which waiting publishes must not occupy."""

    def submit(self, *_args: Any, **_kwargs: Any) -> Any:
        raise AssertionError


def test_bound_that_stays_full_raises(folder: Path) -> None:
    """Without room in time a coroutine gets QueueFull, as a thread does; a cancelled wait leaves nothing behind."""
    options = perdure.Options(pipeline_max=1, backlog_max=1, publish_timeout_s=0.1)
    with perdure.System(folder, options=options) as system:
        system.publish(Ping(0))
        pending = system.runtime.pending

        async def main() -> None:
            stuck = pending.send("no such actor", object(), system.runtime.executor.answer())  # a request without an answer
            with pytest.raises(perdure.QueueFull, match="under way"):
                await system.apublish(Ping(1))
            waiting = asyncio.create_task(pending.await_room(1, 30.0))
            await asyncio.sleep(0)
            assert pending._waiters
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            assert not pending._waiters
            several = [asyncio.create_task(pending.await_room(1, 30.0)) for _ in range(100)]
            await asyncio.sleep(0)
            assert len(pending._waiters) == 1
            pending.forget(stuck)
            await asyncio.wait_for(asyncio.gather(*several), 10.0)

        asyncio.run(main())


def test_ten_thousand_calls_stop_no_publish(folder: Path) -> None:
    """Far more `acall`s than `pipeline_max` wait for their results, and publishing goes on."""
    system = perdure.System(folder, options=perdure.Options(pipeline_max=100))
    gate = threading.Event()

    @system.batch_handler(Ping, size=1000)
    def handle(_batch: perdure.Batch[Ping]) -> None:
        gate.wait(60.0)

    async def main() -> None:
        calls = [asyncio.create_task(system.acall(Ping(n))) for n in range(2000)]
        while (await asyncio.to_thread(system.admin.metrics)).published < 2000:  # noqa: ASYNC110 - the queue's doing
            await asyncio.sleep(0.001)
        await asyncio.wait_for(system.apublish(Ping(-1)), 10.0)
        gate.set()
        assert await asyncio.wait_for(asyncio.gather(*calls), 60.0) == [None] * 2000

    with system:
        asyncio.run(main())
        assert not system.runtime.pending.outstanding
