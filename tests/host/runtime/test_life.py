"""Starts and stops of a System: its folder is free afterwards, whichever thread stops it and whatever interrupts a start or stop.

Forks are in `test_forked`, upper bounds of the grace period in `test_grace`.
"""

from __future__ import annotations

import _thread
import asyncio
import gc
import queue
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure
from tests.interrupts import interrupted_at

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import FrameType

    Until = Callable[[Callable[[], object]], None]

PATIENCE_S = 60.0


@attrs.frozen
class Job:
    n: int


def is_free(folder: Path) -> bool:
    """Return whether a folder can be opened."""
    try:
        with perdure.System(folder):
            return True
    except perdure.StoreLocked:
        return False


# --- stop, from wherever ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["thread", "async", "batch"])
def test_a_handler_stops_its_system(folder: Path, until: Until, kind: str) -> None:
    """`stop` returns at once; the handler ends within its grace period, and the next start waits for that."""
    system = perdure.System(folder)
    if kind == "batch":
        system.batch_handler(Job)(lambda batch: system.stop())
    elif kind == "async":

        async def handle(job: Job, ctx: perdure.Context) -> None:
            system.stop()
            await asyncio.sleep(0)

        system.handler(Job)(handle)
    else:
        system.handler(Job)(lambda job: system.stop())
    system.start()
    system.publish(Job(1))
    until(lambda: not system.running)
    with perdure.System(folder) as again:
        assert again.admin.metrics().completed == 1
        assert again.recovery is not None
        assert again.recovery.in_flight_taken_back == 0


@pytest.mark.parametrize("where", ["handler", "start hook", "stop hook", "block"])
def test_what_runs_on_the_hosts_loop_stops_its_system(folder: Path, where: str) -> None:
    """`stop` returns at once: on that loop it would wait for itself."""
    system = perdure.System(folder)
    ended: asyncio.Event = asyncio.Event()

    async def stop(*_: object) -> None:
        system.stop(grace=60.0)
        await asyncio.sleep(0)
        ended.set()

    async def host() -> None:
        if where == "handler":
            system.handler(Job)(stop)
        elif where == "start hook":
            system.on_start(stop)
        elif where == "stop hook":
            system.on_stop(stop)
        async with system:
            if where == "handler":
                await system.apublish(Job(1))
                await asyncio.wait_for(ended.wait(), PATIENCE_S)
            elif where == "block":
                await stop()

    begun_s = time.monotonic()
    asyncio.run(host())
    assert ended.is_set()
    assert not system.running
    assert time.monotonic() - begun_s < 30.0
    assert is_free(folder)


def test_a_callback_of_a_future_stops_its_system(folder: Path) -> None:
    system = perdure.System(folder)
    called = threading.Event()

    def stop(future: Any) -> None:
        system.stop()
        called.set()

    system.start()
    future = system.submit(Job(1))
    future.add_done_callback(stop)
    assert called.wait(PATIENCE_S)
    system.stop()  # waits for that stop, or finds nothing to do
    assert not system.running
    assert is_free(folder)


def test_a_start_in_a_handler_of_a_system_that_stops_is_refused_at_once(folder: Path) -> None:
    system = perdure.System(folder)
    output: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    @system.handler(Job)
    def again(_: Job) -> None:
        system.stop()
        until_s = time.monotonic() + PATIENCE_S
        while system.running and time.monotonic() < until_s:
            time.sleep(0.001)
        try:
            system.start()
        except BaseException as error:  # noqa: BLE001 - any exception is returned to the test
            output.put(error)
        else:
            output.put(None)

    system.start()
    system.publish(Job(1))
    assert isinstance(output.get(timeout=PATIENCE_S), perdure.WouldDeadlock)
    system.stop()
    assert is_free(folder)


def test_many_threads_stop_at_once(folder: Path) -> None:
    system = perdure.System(folder)
    for _ in range(3):
        system.start()
        threads = [threading.Thread(target=system.stop) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()
        system.stop()
        assert is_free(folder)


def test_a_signal_handler_stops_it_even_in_the_middle_of_a_stop(folder: Path) -> None:
    system = perdure.System(folder)
    begun, release = threading.Event(), threading.Event()
    stopped: list[bool] = []

    @system.handler(Job)
    def work(job: Job) -> None:
        begun.set()
        release.wait(PATIENCE_S)

    def on_signal(number: int, frame: FrameType | None) -> None:
        release.set()
        system.stop()
        stopped.append(True)

    before = signal.signal(signal.SIGUSR1, on_signal)
    try:
        with system:
            system.publish(Job(1))
            main = threading.main_thread().ident
            assert main is not None
            assert begun.wait(PATIENCE_S)  # else the stop has nothing to wait for, and ends before the signal comes
            late = threading.Timer(0.1, signal.pthread_kill, (main, signal.SIGUSR1))
            late.start()
            system.stop(grace=PATIENCE_S)
            late.join()  # before the signal handler is restored: the signal would end this process
            assert stopped
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert is_free(folder)


def test_a_cancelled_start_of_an_async_host_leaves_nothing(folder: Path) -> None:
    async def host() -> None:
        system = perdure.System(folder)
        task = asyncio.create_task(system.__aenter__())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not system.running

    asyncio.run(host())
    assert is_free(folder)


# --- KeyboardInterrupt at every line ---------------------------------------------------------------------------------------------


def test_an_interrupt_at_any_line_of_a_start_leaves_the_folder_free(folder: Path) -> None:
    for n in range(1, 10_000):
        system = perdure.System(folder)
        if not interrupted_at(n, system.__enter__):
            system.stop()
            break
        assert not system.running, n
        assert is_free(folder), n
    assert n > 20


@pytest.mark.long(seconds=3)
def test_an_interrupt_at_any_line_of_a_stop_leaves_the_folder_free(folder: Path) -> None:
    left = 0
    for n in range(1, 10_000):
        system = perdure.System(folder)
        system.start()
        if not interrupted_at(n, system.stop):
            break
        if system.running:  # interrupted before the first statement of `stop`: it can be stopped again
            left += 1
            system.stop()
        assert not system.running, n
        assert is_free(folder), n
    assert n > 10
    assert left <= 2


def test_an_interrupted_start_leaves_the_start_of_another_thread_alone(folder: Path, until: Until) -> None:
    system = perdure.System(folder)
    in_hook, release = threading.Event(), threading.Event()

    @system.on_start
    async def wait() -> None:
        in_hook.set()
        await asyncio.to_thread(release.wait, PATIENCE_S)

    first = threading.Thread(target=system.start)
    first.start()
    assert in_hook.wait(PATIENCE_S)
    interrupt = threading.Timer(0.2, _thread.interrupt_main)
    interrupt.start()
    ended = threading.Timer(0.6, release.set)
    ended.start()
    with pytest.raises(KeyboardInterrupt):
        system.start()  # waits until the other one has ended
    first.join(PATIENCE_S)
    assert system.running
    assert system.publish(Job(1))
    system.stop()
    assert is_free(folder)


@pytest.mark.long(seconds=3)
def test_real_interrupts_leave_the_folder_free(tmp_path: Path) -> None:
    """Send SIGINT at arbitrary moments, to a process of its own."""
    script = """
import os, random, signal, sys, threading, time
import perdure
folder = sys.argv[1]
main = threading.main_thread().ident
chance = random.Random(5)
hits = 0
for n in range(25):
    delay = chance.random() * 0.03
    timer = threading.Timer(delay, signal.pthread_kill, (main, signal.SIGINT))
    try:
        try:
            timer.start()
            with perdure.System(folder):
                pass
        finally:
            timer.cancel()
            timer.join()
            time.sleep(0.001)
    except KeyboardInterrupt:
        hits += 1
    try:
        with perdure.System(folder):
            pass
    except KeyboardInterrupt:
        hits += 1
        with perdure.System(folder):
            pass
print(hits)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "data")], check=False, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, RuntimeError, MemoryError])
@pytest.mark.parametrize(
    "where",
    [
        "perdure.runtime.engine.Engine.__init__",
        "perdure.runtime.engine.Engine.start",
        "perdure.runtime.engine.fold_log",
    ],
)
def test_failed_start_leaves_the_folder_free(
    folder: Path, monkeypatch: pytest.MonkeyPatch, where: str, error: type[BaseException]
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(where, fail)
        with pytest.raises(error):
            perdure.System(folder).start()
    assert is_free(folder)


# --- dropped, or running at the exit ---------------------------------------------------------------------------------------------


def test_a_system_that_is_dropped_is_stopped_with_a_warning(folder: Path) -> None:
    system: perdure.System | None = perdure.System(folder)
    assert system is not None
    system.handler(Job)(lambda job: None)
    system.start()
    ident = system.publish(Job(1))
    system = None
    with pytest.warns(ResourceWarning, match=r"dropped without `stop\(\)`"):
        gc.collect()
    with perdure.System(folder) as again:
        assert again.recovery is not None
        assert again.recovery.last_seq >= 2
        assert next(record.name for record in again.audit.timeline(ident)) == "Published"


def test_a_start_finds_a_system_that_was_dropped_and_not_collected(folder: Path) -> None:
    gc.disable()
    try:
        perdure.System(folder).start()
        again = perdure.System(folder)
        with pytest.warns(ResourceWarning):
            again.start()
        again.stop()
    finally:
        gc.enable()


def test_an_interpreter_that_exits_stops_what_runs(folder: Path) -> None:
    """Handlers get their grace period, and no attempt counts as lost."""
    script = """
import sys, threading, time, attrs, perdure
@attrs.frozen
class Job:
    n: int
system = perdure.System(sys.argv[1])
begun = threading.Event()
@system.handler(Job)
def job(message):
    begun.set()
    time.sleep(0.2)
system.start()
system.publish(Job(1))
begun.wait()
"""
    done = subprocess.run([sys.executable, "-c", script, str(folder)], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    names = [record.name for record in perdure.Audit(folder).events()]
    assert names[-1] == "Stopped" or "Stopped" in names
    assert "Completed" in names


def test_an_interpreter_that_exits_stops_each_system_though_another_one_cannot_be(folder: Path) -> None:
    """One raises before its stop, one is interrupted in it; the third is stopped in good order."""
    script = """
import sys, perdure
systems = [perdure.System(f"{sys.argv[1]}-{n}") for n in range(3)]
for system in systems:
    system.start()
import perdure.runtime.process.live_systems as live
first, second, _ = live._runs
first.engine = None
def interrupted(*_):
    raise KeyboardInterrupt
second.engine.stop = interrupted
"""
    done = subprocess.run([sys.executable, "-c", script, str(folder)], check=False, capture_output=True, text=True, timeout=60)
    names = [record.name for record in perdure.Audit(f"{folder}-2").events()]
    assert "Stopped" in names, done.stderr
    assert "AttributeError" in done.stderr
    assert "KeyboardInterrupt" in done.stderr


def test_what_publishes_at_the_exit_of_the_interpreter_is_told_why_nothing_runs_any_more(folder: Path) -> None:
    script = """
import atexit, sys, perdure
system = perdure.System(sys.argv[1])
def late():
    try:
        system.publish({"n": 1})
    except perdure.NotRunning as error:
        print(error)
import perdure.runtime.process.live_systems as live
atexit.unregister(live._at_exit)
atexit.register(late)
atexit.register(live._at_exit)
system.start()
"""
    done = subprocess.run([sys.executable, "-c", script, str(folder)], check=False, capture_output=True, text=True, timeout=60)
    assert "the interpreter exits" in done.stdout, done.stdout + done.stderr


# --- the way back ----------------------------------------------------------------------------------------------------------------


def test_the_live_system_of_a_folder_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with perdure.System(folder) as system:
        monkeypatch.chdir(folder.parent)
        assert perdure.System.live(folder.name) is system
        with pytest.raises(perdure.StoreLocked, match=r"this very process.*System\.live"):
            perdure.System(folder).start()
        assert system.running
    assert perdure.System.live(folder) is None
