"""Start and stop hooks: when they run and on which loop, what they may wait for, and what becomes of those that fail or hang."""

from __future__ import annotations

import asyncio
import contextvars
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure

if TYPE_CHECKING:
    from pathlib import Path


CLIENT: contextvars.ContextVar[str] = contextvars.ContextVar("client")


@attrs.frozen
class Job:
    """A message."""

    number: int = 0


@pytest.mark.parametrize("loop", [None, "own"])
def test_hooks_run_on_the_handlers_loop_before_the_first_and_after_the_last(folder: Path, loop: Any) -> None:
    seen: list[Any] = []

    def make() -> perdure.System:
        system = perdure.System(folder, loop=loop)

        @system.on_start
        async def first() -> None:
            await asyncio.sleep(0.01)
            seen.append(("start", asyncio.get_running_loop()))
            CLIENT.set("made")

        @system.on_start
        def second() -> None:
            seen.append(("start again", asyncio.get_running_loop()))

        @system.on_stop
        async def last() -> None:
            seen.append(("stop", asyncio.get_running_loop()))

        @system.on_stop
        def before_last() -> None:
            seen.append(("stop first", asyncio.get_running_loop()))

        @system.handler(Job)
        async def work(job: Job) -> str:
            seen.append((job.number, asyncio.get_running_loop()))
            return CLIENT.get()

        return system

    system = make()
    with system:
        system.publish_many([Job(number) for number in range(20)])
    seen.clear()
    with make() as system:  # some may wait from before, and their handler is known
        assert system.call(Job(99), timeout=20.0) == "made"
    names = [name for name, _ in seen]
    assert names[:2] == ["start", "start again"]
    assert names[-2:] == ["stop first", "stop"]
    assert len({id(loop) for _, loop in seen}) == 1
    assert 99 in names


@pytest.mark.parametrize("kind", ["thread", "async"])
def test_nothing_is_delivered_while_a_start_hook_runs(folder: Path, kind: str) -> None:
    ready = False
    early: list[bool] = []

    def make() -> perdure.System:
        system = perdure.System(folder)

        @system.on_start
        async def start() -> None:
            nonlocal ready
            await asyncio.sleep(0.2)
            ready = True

        async def later(job: Job) -> None:
            early.append(not ready)

        system.handler(Job)((lambda job: early.append(not ready)) if kind == "thread" else later)
        return system

    with make() as system:
        system.admin.pause(Job)
        system.publish_many([Job(number) for number in range(10)])
        system.admin.resume(Job)
        system.drain(timeout=20.0)
    with perdure.System(folder) as system:
        system.publish_many([Job(number) for number in range(10)])
    ready = False
    early.clear()
    with make() as system:
        system.drain(timeout=20.0)
    assert early == [False] * 10


@pytest.mark.parametrize("error", [LookupError("no client"), SystemExit(3)])
def test_start_hook_that_raises_fails_the_start_and_frees_the_folder(folder: Path, error: BaseException) -> None:
    system = perdure.System(folder)
    stopped: list[int] = []
    failing = True

    @system.on_start
    async def start() -> None:
        if failing:
            raise error

    system.on_stop(lambda: stopped.append(1))
    system.handler(Job)(lambda job: 5)
    with pytest.raises(type(error)):
        system.start()
    assert not system.running
    assert stopped == []
    failing = False
    with perdure.System(folder):
        pass
    with system:
        assert system.call(Job(), timeout=20.0) == 5
    assert stopped == [1]


def test_stop_hook_that_raises_is_logged_and_stops_no_other(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    system = perdure.System(folder)
    stopped: list[int] = []
    system.on_stop(lambda: stopped.append(1))

    @system.on_stop
    async def fail() -> None:
        raise LookupError("gone")

    with system:
        pass
    assert stopped == [1]
    assert any("fail failed" in record.getMessage() for record in caplog.records)
    with perdure.System(folder):
        pass


def test_stop_hook_that_never_ends_is_left_behind(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    system = perdure.System(folder)

    @system.on_stop
    async def hang() -> None:
        await asyncio.sleep(600.0)

    system.start()
    begun = time.monotonic()
    system.stop(grace=0.1)
    assert time.monotonic() - begun < 30.0
    assert any("did not end in time" in (record.exc_text or "") for record in caplog.records)


@pytest.mark.parametrize("hook", [lambda system: None, 3])
def test_hook_that_cannot_be_called_is_refused(folder: Path, hook: Any) -> None:
    with pytest.raises(perdure.InvalidMessage, match="hook"):
        perdure.System(folder).on_start(hook)
    with pytest.raises(perdure.InvalidMessage, match="hook"):
        perdure.System(folder).on_stop(hook)


def test_start_hook_of_a_running_system_is_refused(folder: Path) -> None:
    with perdure.System(folder) as system, pytest.raises(perdure.InvalidMessage, match="runs already"):
        system.on_start(lambda: None)


def test_start_hook_on_a_loop_that_start_would_block_is_refused(folder: Path) -> None:
    async def main() -> None:
        system = perdure.System(folder, loop=asyncio.get_running_loop())
        system.on_start(lambda: None)
        with pytest.raises(perdure.PerdureError, match="async with"):
            system.start()
        async with system:
            pass

    asyncio.run(main())


def test_cancelled_start_ends_its_hook(folder: Path) -> None:
    async def main() -> None:
        system = perdure.System(folder)
        begun = asyncio.Event()

        @system.on_start
        async def hang() -> None:
            begun.set()
            await asyncio.sleep(600.0)

        entering = asyncio.create_task(system.__aenter__())
        await begun.wait()
        entering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await entering
        assert not system.running

    asyncio.run(main())
    with perdure.System(folder):
        pass


@pytest.mark.parametrize("which", ["start", "call", "acall"])
def test_what_a_hooks_own_start_would_wait_for_is_refused_in_it(folder: Path, which: str) -> None:
    system = perdure.System(folder)
    raised: list[BaseException] = []

    @system.handler(Job)
    def work(job: Job) -> int:
        return job.number

    @system.on_start
    async def hook() -> None:
        try:
            if which == "acall":
                await system.acall(Job(1), timeout=30)
            else:
                await asyncio.to_thread(system.start if which == "start" else lambda: system.call(Job(1), timeout=30))
        except perdure.WouldDeadlock as error:
            raised.append(error)

    with system:
        (error,) = raised
        assert str(error).startswith(f"{which}: a start or stop hook calls it")
        assert system.call(Job(2), timeout=30) == 2


def test_task_that_a_start_hook_leaves_behind_may_call(folder: Path) -> None:
    async def later() -> int:
        await asyncio.to_thread(asked.wait, 30)
        return int(await system.acall(Job(3), timeout=30))

    system = perdure.System(folder)
    asked = threading.Event()
    tasks: list[asyncio.Task[int]] = []

    @system.handler(Job)
    def work(job: Job) -> int:
        return job.number

    @system.on_start
    async def hook() -> None:
        tasks.append(asyncio.create_task(later()))

    with system:
        asked.set()
        until = time.monotonic() + 30
        while not tasks[0].done() and time.monotonic() < until:
            time.sleep(0.01)
        assert tasks[0].result() == 3


def test_loop_that_nothing_runs_fails_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perdure.handling.hooks.LOOP_PATIENCE_S", 0.2)
    loop = asyncio.new_event_loop()
    system = perdure.System(store=perdure.MemoryStore(), loop=loop)

    @system.on_start
    async def hook() -> None: ...

    try:
        with pytest.raises(
            perdure.PerdureError, match="hook cannot run: the event loop that the system was given runs in no thread"
        ):
            system.start()
        assert not system.running
    finally:
        loop.run_until_complete(asyncio.sleep(0))  # what was given up is cancelled here
        loop.close()


def test_start_that_is_interrupted_in_a_hook_ends_at_once(folder: Path) -> None:
    system = perdure.System(folder)
    reached = threading.Event()

    @system.on_start
    async def hook() -> None:
        reached.set()
        await asyncio.Event().wait()

    def interrupt() -> None:
        reached.wait(30)
        signal.raise_signal(signal.SIGINT)

    begun = time.monotonic()
    interrupting = threading.Thread(target=interrupt)
    interrupting.start()
    with pytest.raises(KeyboardInterrupt):
        system.start()
    interrupting.join()
    assert time.monotonic() - begun < 30  # a minute, before
    with perdure.System(folder) as other:
        assert other.running
