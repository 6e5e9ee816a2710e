"""Awaits of a start and a stop that are cancelled: the folder is free once the cancellation is raised, however often it comes."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import attrs
import pytest

import perdure
from tests.host.runtime.test_life import is_free

if TYPE_CHECKING:
    from pathlib import Path


@attrs.frozen
class Job:
    n: int


@pytest.mark.parametrize("times", [1, 3])
def test_a_cancelled_stop_has_freed_the_folder(folder: Path, times: int) -> None:
    """It ends the grace period, as an interrupt does: the handler here would not end by itself."""
    is_handled, may_end = threading.Event(), threading.Event()

    async def block() -> None:
        system = perdure.System(folder, options=perdure.Options(grace_s=3600.0))

        @system.handler(Job)
        def handle(_: Job) -> None:
            is_handled.set()
            may_end.wait()

        async with system:
            await system.apublish(Job(1))
            await asyncio.to_thread(is_handled.wait)

    async def run() -> None:
        task = asyncio.ensure_future(block())
        await asyncio.to_thread(is_handled.wait)
        await asyncio.sleep(0.05)  # now it waits for the stop
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(is_free, folder)

    asyncio.run(run())
    may_end.set()


@pytest.mark.parametrize("times", [1, 3])
def test_a_cancelled_start_has_freed_the_folder(folder: Path, times: int) -> None:
    async def block() -> None:
        async with perdure.System(folder):
            pass

    async def run() -> None:
        for steps in range(6):
            task = asyncio.ensure_future(block())
            for _ in range(steps):
                await asyncio.sleep(0.001)
            for _ in range(times):
                task.cancel()
                await asyncio.sleep(0)
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(is_free, folder)

    asyncio.run(run())
