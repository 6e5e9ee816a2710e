"""Awaits of a start and a stop that are cancelled: the folder is free once the cancellation is raised, however often it comes."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure
from tests.host.runtime.test_life import is_free

if TYPE_CHECKING:
    from collections.abc import Callable
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


class Blocked:
    """A system whose first start waits in a hook."""

    def __init__(self, folder: Path) -> None:
        self.system = perdure.System(folder)
        self.is_in_hook, self.may_go_on = threading.Event(), threading.Event()
        self.system.on_start(self._wait)

    async def _wait(self) -> None:
        if not self.is_in_hook.is_set():
            self.is_in_hook.set()
            await until(self.may_go_on.is_set)

    async def enter(self) -> None:
        async with self.system:
            raise AssertionError("entered")


def starts() -> int:
    """Return how many starts are under way, each in a thread of its own."""
    return sum(thread.name.startswith("perdure-start") for thread in threading.enumerate())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30.0):
        while not condition():  # noqa: ASYNC110 - threads are looked at
            await asyncio.sleep(0.005)


def test_a_cancelled_start_ends_itself_and_not_one_that_waits_behind_it(folder: Path) -> None:
    async def run() -> None:
        blocked = Blocked(folder)
        task = asyncio.ensure_future(blocked.enter())
        await asyncio.to_thread(blocked.is_in_hook.wait)
        behind = threading.Thread(target=blocked.system.start)
        behind.start()
        await until(lambda: starts() == 2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 20.0)
        await asyncio.to_thread(behind.join, 20.0)
        try:
            assert blocked.system.running
        finally:
            blocked.may_go_on.set()
            await asyncio.to_thread(behind.join)
            await asyncio.to_thread(blocked.system.stop)

    asyncio.run(run())


def test_a_cancelled_start_that_waits_behind_another_leaves_that_running(folder: Path) -> None:
    async def run() -> None:
        blocked = Blocked(folder)
        first = threading.Thread(target=blocked.system.start)
        first.start()
        await asyncio.to_thread(blocked.is_in_hook.wait)
        task = asyncio.ensure_future(blocked.enter())
        await until(lambda: starts() == 2)
        task.cancel()
        await asyncio.sleep(0)
        blocked.may_go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(first.join)
        try:
            assert blocked.system.running
        finally:
            await asyncio.to_thread(blocked.system.stop)

    asyncio.run(run())


def test_a_block_that_is_refused_leaves_what_another_thread_started_meanwhile(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = perdure.System(folder)
    lifecycle = system._lifecycle
    ours = lifecycle.start

    def after_another(*args: Any) -> None:
        monkeypatch.undo()
        system.start()
        ours(*args)

    monkeypatch.setattr(lifecycle, "start", after_another)
    try:
        with pytest.raises(perdure.PerdureError, match="running already"), system:
            pass
        assert system.running
    finally:
        system.stop()
