"""Serving until a signal, from a thread and from a coroutine, with the parts of a system."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure
from perdure.runtime.process.lifecycle_steps import LifecycleSteps, Start
from perdure.runtime.process.serving import _StopSignals
from perdure.store.memory import MemoryStore
from tests.programs import Program

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from perdure.store import Recovered

PATIENCE_S = 30.0
STUCK_S = 60.0


@attrs.frozen
class Job:
    n: int


def send(number: signal.Signals) -> None:
    main = threading.main_thread().ident
    assert main is not None
    signal.pthread_kill(main, number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("running", [False, True])
def test_serving_ends_in_good_order(folder: Path, number: signal.Signals, *, running: bool) -> None:
    """A running handler gets its grace period, its attempt is not lost, and the host's signal handlers are restored."""
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    system = perdure.System(folder)
    begun = threading.Event()

    @system.handler(Job)
    def handle(job: Job) -> None:
        begun.set()
        time.sleep(0.1)

    def ask() -> None:
        assert begun.wait(PATIENCE_S)
        send(number)

    def started() -> None:
        system.publish(Job(1))
        threading.Thread(target=ask).start()

    if running:
        with system:
            system.serve(started=started)
            assert not system.running
    else:
        system.serve(started=started)
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
    with perdure.System(folder) as again:
        assert again.admin.metrics().completed == 1
        assert again.recovery is not None
        assert again.recovery.in_flight_taken_back == 0


class OwnedElsewhere(MemoryStore):
    """A log that another process owns for good: its `open` waits until it is given up."""

    def __init__(self) -> None:
        super().__init__()
        self.is_given_up: Callable[[], bool] = lambda: False

    def open(self) -> Recovered:
        until_s = time.monotonic() + PATIENCE_S
        while not self.is_given_up():
            assert time.monotonic() < until_s, "it stands by for another owner, and no signal is left to end that"
            time.sleep(0.001)
        msg = "another process owns the log"
        raise perdure.StoreLocked(msg)


@pytest.mark.parametrize("is_async", [False, True])
def test_a_signal_before_the_start_has_begun_ends_one_that_stands_by(monkeypatch: pytest.MonkeyPatch, *, is_async: bool) -> None:
    system = perdure.System(store=OwnedElsewhere())
    begin, handled = LifecycleSteps.start, threading.Event()

    def start(steps: LifecycleSteps, start: Start) -> None:
        send(signal.SIGTERM)
        assert not is_async or handled.wait(PATIENCE_S)
        begin(steps, start)

    monkeypatch.setattr(LifecycleSteps, "start", start)
    receive = _StopSignals.receive

    def received(signals: _StopSignals, number: int, frame: Any = None) -> None:
        receive(signals, number, frame)
        handled.set()

    monkeypatch.setattr(_StopSignals, "receive", received)
    asyncio.run(system.aserve()) if is_async else system.serve()
    assert handled.is_set()
    assert not system.running


@pytest.mark.parametrize("grace", [-1, float("nan"), "5"])
@pytest.mark.parametrize("is_async", [False, True])
def test_an_impossible_grace_is_refused_before_the_start(folder: Path, grace: Any, *, is_async: bool) -> None:
    system = perdure.System(folder)
    with pytest.raises(perdure.InvalidMessage, match=r"^grace: "):
        asyncio.run(system.aserve(grace=grace)) if is_async else system.serve(grace=grace)
    assert not folder.exists() or not list(folder.iterdir())


def test_a_second_signal_ends_the_grace_period(folder: Path) -> None:
    system = perdure.System(folder)
    begun, release = threading.Event(), threading.Event()

    @system.handler(Job)
    def handle(job: Job) -> None:
        begun.set()
        release.wait(STUCK_S)

    def ask() -> None:
        assert begun.wait(PATIENCE_S)
        send(signal.SIGTERM)
        deadline = time.monotonic() + PATIENCE_S
        while system.running and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.1)
        send(signal.SIGINT)

    def started() -> None:
        system.publish(Job(1))
        threading.Thread(target=ask).start()

    begun_s = time.monotonic()
    system.serve(grace=STUCK_S, started=started)
    release.set()
    assert time.monotonic() - begun_s < STUCK_S / 2


def test_serving_ends_when_it_is_stopped_from_elsewhere(folder: Path) -> None:
    system = perdure.System(folder)
    system.handler(Job)(lambda job: system.stop())
    system.serve(started=lambda: system.publish(Job(1)))
    assert not system.running


def test_serving_raises_when_the_system_has_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    system = perdure.System(store=perdure.MemoryStore(), options=perdure.Options(restart_budget=2))

    def break_it() -> None:
        monkeypatch.setattr("perdure.actors.services.timer.Timer.turn", lambda *_: 1 / 0)
        system.actors.kill("timer")

    with pytest.raises(perdure.NotRunning, match="timer died"):
        system.serve(started=break_it)
    assert not system.running


def test_serving_in_another_thread_raises_what_to_do(folder: Path) -> None:
    system = perdure.System(folder)
    output: list[str] = []

    def serve() -> None:
        with pytest.raises(perdure.PerdureError, match="main thread") as caught:
            system.serve()
        output.append(str(caught.value))
        with pytest.raises(perdure.PerdureError, match="main thread"):
            asyncio.run(system.aserve())

    thread = threading.Thread(target=serve)
    thread.start()
    thread.join(PATIENCE_S)
    assert "start()" in output[0]
    assert not system.running


def test_a_coroutine_serves(folder: Path) -> None:
    system = perdure.System(folder)
    handled: list[int] = []

    async def handle(job: Job) -> None:
        handled.append(job.n)
        os.kill(os.getpid(), signal.SIGTERM)

    system.handler(Job)(handle)

    async def host() -> None:
        await system.aserve(started=lambda: system.submit(Job(1)))

    asyncio.run(host())
    assert handled == [1]
    assert not system.running


def test_a_cancelled_await_of_serving_stops_the_system(folder: Path) -> None:
    system = perdure.System(folder)

    async def host() -> None:
        started = asyncio.Event()
        task = asyncio.create_task(system.aserve(started=started.set))
        await asyncio.wait_for(started.wait(), PATIENCE_S)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(host())
    assert not system.running
    with perdure.System(folder):
        pass


class Lamp:
    """A part that the host wrote."""

    def __init__(self, *, broken: bool = False) -> None:
        self.calls: list[str] = []
        self.broken = broken

    def start(self) -> None:
        self.calls.append("start")
        if self.broken:
            raise OSError("no bulb")

    def stop(self) -> None:
        self.calls.append("stop")


def test_parts_start_and_stop_with_it(folder: Path) -> None:
    system = perdure.System(folder)
    lamp = system.include(Lamp())
    for _ in range(2):
        system.serve(started=lambda: send(signal.SIGTERM))
    assert lamp.calls == ["start", "stop"] * 2
    broken = system.include(Lamp(broken=True))
    with pytest.raises(OSError, match="no bulb"):
        system.serve()
    assert broken.calls == ["start", "stop"]
    assert lamp.calls == ["start", "stop"] * 3
    assert not system.running


def test_outbox_relays_belong_to_their_system(folder: Path, tmp_path: Path) -> None:
    database = tmp_path / "host.db"
    with sqlite3.connect(database) as connection:
        outbox = perdure.Outbox(connection)
        outbox.create_table()
        ident = outbox.publish(Job(7))
    connection.close()
    system = perdure.System(folder)
    handled: list[str] = []

    @system.handler(Job)
    def handle(job: Job, ctx: perdure.Context) -> None:
        handled.append(ctx.id)
        system.stop()

    relay = perdure.OutboxRelay(system, lambda: sqlite3.connect(database))
    perdure.OutboxRelay(system, lambda: 1 / 0)  # forgotten by the host: it is not started
    system.serve()
    assert handled == [ident]
    assert system.parts == [relay]


HOST = """
import pathlib, sqlite3, attrs, perdure
here = pathlib.Path(__file__).parent
@attrs.frozen
class Job:
    n: int
system = perdure.System(here / "data")
relay = perdure.OutboxRelay(system, lambda: sqlite3.connect(here / "host.db"), every_s=0.05)
@system.handler(Job)
def handle(job: Job) -> None:
    (here / "handled").write_text(str(job.n))
"""


def test_the_command_runs_what_belongs_to_the_system(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(HOST)
    with sqlite3.connect(tmp_path / "host.db") as connection:
        outbox = perdure.Outbox(connection)
        outbox.create_table()

        @perdure.message(name="shop.Job")
        @attrs.frozen
        class Job:
            n: int

        outbox.publish(Job(7))
    connection.close()
    command = ["-m", "perdure.cli.main", "run", "shop:system"]
    with Program(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            deadline = time.monotonic() + PATIENCE_S
            while not (tmp_path / "handled").exists():
                assert time.monotonic() < deadline
                assert process.poll() is None, process.communicate()
                time.sleep(0.02)
            process.send_signal(signal.SIGTERM)
            output, failed = process.communicate(timeout=PATIENCE_S)
        finally:
            process.kill()
    assert process.returncode == 0, failed
    assert "shop:system runs" in output
    assert "shop:system stopped" in output
