"""A system of a process that gets no more threads, or whose tracer ends each new one: a start says so, a stop stops."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, NoReturn

import attrs
import pytest

import perdure
from perdure.runtime.process.starting_apart import completed
from tests.host.runtime.test_life import is_free
from tests.programs import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Until = Callable[[Callable[[], object]], None]

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


@attrs.frozen
class Job:
    n: int


def raises(*_: object) -> Any:
    raise ValueError("the host's tracer is broken")


def no_thread(*_: object) -> NoReturn:
    raise RuntimeError("can't start new thread")


@pytest.fixture(params=["tracer", "no thread"])
def lack(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bool], None]]:
    """Let new threads fail from now on, or no longer."""
    tracer, start = threading.gettrace(), threading.Thread.start

    def switch(on: bool) -> None:
        if request.param == "tracer":
            threading.settrace(raises if on else tracer)
        else:
            monkeypatch.setattr(threading.Thread, "start", no_thread if on else start)

    yield switch
    switch(False)


@pytest.mark.parametrize("shared", [False, True])
def test_a_stop_frees_the_folder(folder: Path, lack: Callable[[bool], None], shared: bool) -> None:
    system = perdure.System(folder, shared=shared)
    system.handler(Job)(lambda job: job.n)
    system.start()
    assert system.call(Job(1)) == 1
    lack(True)
    system.stop()
    lack(False)
    assert not system.running
    assert is_free(folder)


def test_a_stop_by_a_handler_frees_the_folder(folder: Path, lack: Callable[[bool], None], until: Until) -> None:
    """It waits no longer than the grace period for the handler that calls it."""
    system = perdure.System(folder)

    def stop(_: Job) -> None:
        lack(True)
        system.stop(0.1)

    system.handler(Job)(stop)
    system.start()
    system.publish(Job(1))
    until(lambda: not system.running)
    lack(False)
    until(lambda: is_free(folder))


def test_an_async_block_frees_the_folder(folder: Path, lack: Callable[[bool], None]) -> None:
    async def run() -> None:
        async with perdure.System(folder) as system:
            await system.apublish(Job(1))
            lack(True)
        lack(False)

    asyncio.run(run())
    assert is_free(folder)


@pytest.mark.parametrize("shared", [False, True])
def test_a_start_says_what_is_missing(folder: Path, lack: Callable[[bool], None], shared: bool) -> None:
    system = perdure.System(folder, shared=shared)
    lack(True)
    with pytest.raises(perdure.PerdureError, match="thread"):
        system.start()
    lack(False)
    assert is_free(folder)
    with system:
        system.publish(Job(1))


def test_actors_that_die_meanwhile_come_back(folder: Path, lack: Callable[[bool], None]) -> None:
    with perdure.System(folder) as system:
        system.handler(Job)(lambda job: job.n)
        lack(True)
        for name in ("queue", "dispatcher", "timer"):
            system.actors.kill(name)
        lack(False)
        assert system.call(Job(3)) == 3


REAL = """
import sys, threading
import perdure

def lack(on):
    threading.stack_size(1 << 45 if on else 0)  # more than there is: the operating system starts no thread

folder, what = sys.argv[1:]
system = perdure.System(folder)
system.handler(int)(lambda n: n)
if what == "start":
    lack(True)
    try:
        system.start()
    except perdure.PerdureError as error:
        assert "thread" in str(error), error
    lack(False)
with system:
    assert system.call(1, timeout=60) == 1
    lack(True)
    if what == "scale":
        system.admin.scale(int, 8)
    if what == "kill":
        for name in ("queue", "dispatcher", "supervisor"):
            system.actors.kill(name)
    lack(what == "stop")
    if system.running and what != "stop":
        try:
            assert system.call(2, timeout=60) == 2
        except perdure.NotRunning as error:  # no thread for another supervisor: it has given up
            assert what == "kill" and "supervisor" in str(error), error
lack(False)
with perdure.System(folder) as again:
    assert again.publish(3)
"""


@pytest.mark.parametrize("what", ["start", "scale", "kill", "stop"])
def test_what_the_operating_system_refuses(tmp_path: Path, what: str) -> None:
    """In a process of its own: CPython 3.11 leaves something behind of each thread that it could not start."""
    host = tmp_path / "host.py"
    host.write_text(REAL, encoding="utf-8")
    done = run([str(host), str(tmp_path / "data"), what], timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_step_that_an_executor_without_threads_has_queued_runs_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It queues the step before it tries to start a thread, and takes it with the next thread that it gets."""
    runs: list[int] = []

    async def run() -> None:
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", no_thread)
            await completed(lambda: runs.append(1))
        await asyncio.to_thread(lambda: None)
        await asyncio.get_running_loop().shutdown_default_executor()

    asyncio.run(run())
    assert runs == [1]
