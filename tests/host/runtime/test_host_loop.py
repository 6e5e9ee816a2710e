"""Handlers on the host's own event loop: its clients work in them, and stopping keeps its bounds.

Hooks on that loop are also in `test_hooks`.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.host.conftest import Collected


CLIENT: contextvars.ContextVar[str] = contextvars.ContextVar("client")


@attrs.frozen
class Job:
    """A message."""

    number: int = 0


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
    await writer.drain()
    writer.close()


async def _with_httpx(url: str) -> AsyncIterator[Callable[[], Any]]:
    httpx = pytest.importorskip("httpx")
    async with httpx.AsyncClient() as client:

        async def get() -> str:
            return str((await client.get(url)).text)

        yield get


async def _with_aiohttp(url: str) -> AsyncIterator[Callable[[], Any]]:
    aiohttp = pytest.importorskip("aiohttp")
    async with aiohttp.ClientSession() as session:

        async def get() -> str:
            async with session.get(url) as response:
                return str(await response.text())

        yield get


@pytest.mark.parametrize("make", [_with_httpx, _with_aiohttp])
@pytest.mark.parametrize("how", ["async with", "loop="])
def test_client_of_the_hosts_loop_works_in_handlers(folder: Path, make: Any, how: str) -> None:
    async def main() -> None:
        server = await asyncio.start_server(_serve, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        loop = asyncio.get_running_loop()
        async for get in make(url):
            system = perdure.System(folder, loop=loop if how == "loop=" else None)

            @system.handler(Job, parallelism=3, retries=0)
            async def work(job: Job) -> str:
                assert asyncio.get_running_loop() is loop
                return str(await get())  # noqa: B023 - there is one turn

            if how == "loop=":
                await asyncio.to_thread(system.start)
            else:
                await system.__aenter__()
            answers = await asyncio.gather(*(system.acall(Job(number), timeout=20.0) for number in range(6)))
            assert answers == ["hi"] * 6
            await asyncio.to_thread(system.stop)
        server.close()

    asyncio.run(main())


def test_async_with_can_keep_a_loop_of_its_own(folder: Path) -> None:
    async def main() -> None:
        system = perdure.System(folder, loop="own")

        @system.handler(Job)
        async def work(job: Job) -> bool:
            return asyncio.get_running_loop() is loop

        loop = asyncio.get_running_loop()
        async with system:
            assert await system.acall(Job(), timeout=20.0) is False

    asyncio.run(main())


def test_system_entered_on_a_loop_starts_on_its_own_the_next_time(folder: Path) -> None:
    system = perdure.System(folder)

    @system.handler(Job)
    async def work(job: Job) -> int:
        return id(asyncio.get_running_loop())

    async def main() -> None:
        async with system:
            assert await system.acall(Job(), timeout=20.0) == id(asyncio.get_running_loop())

    asyncio.run(main())
    with system:
        system.call(Job(), timeout=20.0)
    asyncio.run(main())


def test_timeout_cancels_on_the_hosts_loop(folder: Path) -> None:
    async def main() -> None:
        cancelled = asyncio.Event()
        async with perdure.System(folder) as system:

            @system.handler(Job, timeout=1.0, retries=0)  # in which it begins, also on a busy machine
            async def work(job: Job) -> None:
                try:
                    await asyncio.sleep(600.0)
                except asyncio.CancelledError:
                    cancelled.set()
                    raise

            with pytest.raises(TimeoutError, match="timeout of"):
                await system.acall(Job())
            await asyncio.wait_for(cancelled.wait(), 20.0)

    asyncio.run(main())


def test_stop_on_the_hosts_loop_keeps_its_grace(folder: Path) -> None:
    async def main() -> None:
        cancelled = asyncio.Event()
        begun = asyncio.Event()
        system = perdure.System(folder)

        @system.handler(Job)
        async def work(job: Job) -> None:
            begun.set()
            try:
                await asyncio.sleep(600.0)
            except asyncio.CancelledError:
                cancelled.set()
                raise

        async with system:
            await system.apublish(Job())
            await begun.wait()
            before = time.monotonic()
            await asyncio.to_thread(system.stop, 0.1)
            assert time.monotonic() - before < 30.0
            await asyncio.wait_for(cancelled.wait(), 20.0)

    asyncio.run(main())


def test_blocking_the_loop_of_the_handlers_is_refused_at_once(folder: Path) -> None:
    async def main() -> None:
        async with perdure.System(folder) as system:

            @system.handler(Job)
            async def work(job: Job) -> int:
                return 7

            with pytest.raises(perdure.PerdureError, match="acall"):
                system.call(Job())
            with pytest.raises(perdure.PerdureError, match="adrain"):
                system.drain()
            assert await system.acall(Job(), timeout=20.0) == 7
            await system.adrain(timeout=20.0)

    asyncio.run(main())


def test_closed_loop_of_the_host_stops_the_system_with_a_clear_error(folder: Path, collected: Collected) -> None:
    """A message that finds it closed has not been tried."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def make(loop: Any) -> perdure.System:
        system = perdure.System(folder, loop=loop)

        @system.handler(Job, retries=0)
        async def work(job: Job, ctx: perdure.Context) -> None:
            collected.add((job.number, ctx.attempt))

        return system

    system = make(loop)
    system.start()
    system.publish(Job(1))
    collected.wait_for(1)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(20.0)
    loop.close()
    with pytest.raises(perdure.PerdureError, match="event loop of the host"):  # noqa: PT012 - one of them finds it
        for _ in range(1_000):
            system.publish(Job(2))
            time.sleep(0.01)
    system.stop()
    with pytest.raises(perdure.PerdureError, match="is closed"):
        system.start()
    with make("own") as system:
        system.drain(timeout=20.0)
        assert system.dead_letters.stats().total == 0
    assert {attempt for number, attempt in collected.items if number == 2} == {1}


@pytest.mark.parametrize("wrong", ["host", 3, asyncio])
def test_loop_that_is_none_is_refused(folder: Path, wrong: Any) -> None:
    with pytest.raises(TypeError, match="loop"):
        perdure.System(folder, loop=wrong)
