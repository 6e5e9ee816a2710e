"""Child processes of handlers: their crashes, timeouts, memory limits and cancelling fail one message; they end with their system.

What a process handler may be is in `test_process_handlers`, what travels to and from it in `test_process_travel`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure
from perdure.events import vocabulary as ev
from tests.records import events_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.host.conftest import Collected, Until


@attrs.frozen
class Job:
    number: int
    how: str = ""


@attrs.frozen
class Child:
    number: int


def _in_process(job: Job, ctx: Any) -> Any:
    match job.how:
        case "segv":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "hang":
            time.sleep(60.0)
        case "raise":
            message = f"no {job.number}"
            raise ValueError(message)
        case "memory":
            return len(bytearray(1 << 32))
        case "tell":
            ctx.heartbeat(50, "half")
            ctx.publish(Child(job.number))
    return os.getpid()


def test_process_handlers_run_elsewhere_and_take_part(folder: Path, collected: Collected) -> None:
    system = perdure.System(folder)
    system.handler(Job, isolation="process", parallelism=2, lease=30.0)(_in_process)

    @system.handler(Child)
    def child(message: Child, ctx: perdure.Context) -> None:
        collected.add((message.number, ctx.causation_id))

    with system:
        ident = system.publish(Job(7, "tell"), keep_result=60)
        assert collected.wait_for(1) == [(7, ident)]
        first = system.result(ident, timeout=10.0)
        assert first != os.getpid()
        system.drain(timeout=60.0)
        progressed = events_of(ev.Progressed, system.audit.events(type="Progressed"))
        assert [event.percent for event in progressed] == [50.0]


def test_crash_of_a_process_handler_fails_only_its_message(folder: Path) -> None:
    """A child that dies of SIGSEGV is one failed attempt; the worker goes on with another child."""
    system = perdure.System(folder)
    system.handler(Job, isolation="process", retries=0)(_in_process)
    with system:
        bad = system.publish(Job(1, "segv"))
        assert system.call(Job(2), timeout=60.0)
        system.drain(timeout=60.0)
        (letter,) = system.dead_letters.list()
        assert letter.id == bad
        assert letter.exception == "perdure.ProcessDied"
        assert "SIGSEGV" in letter.error


def test_process_handler_past_its_timeout_is_killed(folder: Path) -> None:
    """Scenario 15, processes: killed, and the message a dead letter with the true reason."""
    system = perdure.System(folder)
    system.handler(Job, isolation="process", retries=0, timeout=0.5)(_in_process)
    with system:
        begun = time.monotonic()
        system.publish(Job(1, "hang"))
        system.drain(timeout=60.0)
        assert time.monotonic() - begun < 20.0
        (letter,) = system.dead_letters.list()
        assert letter.exception == "TimeoutError"
        assert system.call(Job(2), timeout=60.0)


def _hangs_at_first(job: Job, ctx: Any) -> int:
    if ctx.attempt == 1:
        time.sleep(60.0)
    return os.getpid()


def test_process_handler_past_its_timeout_is_tried_again(folder: Path) -> None:
    """Scenario 15, processes: by another child, and what the first was at counts for nothing."""
    system = perdure.System(folder)
    system.handler(Job, isolation="process", retries=1, backoff=0, timeout=0.5)(_hangs_at_first)
    with system:
        ident = system.publish(Job(1), keep_result=60)
        assert system.result(ident, timeout=30.0) != os.getpid()
        names = [r.name for r in system.audit.timeline(ident) if r.name in ("AttemptFailed", "Leased", "Completed")]
        assert names == ["Leased", "AttemptFailed", "Leased", "Completed"]
        (failed,) = events_of(ev.AttemptFailed, system.audit.events(type="AttemptFailed"))
        assert failed.exception == "TimeoutError"


class _SlowToLoad:
    """Takes longer than the handler's timeout to be unpickled, as a large module takes to be imported."""

    def __reduce__(self) -> tuple[object, ...]:
        return time.sleep, (7.0,)


@pytest.mark.long(seconds=10)
def test_start_of_a_child_counts_against_no_timeout(folder: Path) -> None:
    """Nor is the lease lost meanwhile: the attempt's time counts from when its handler begins."""
    slow = _SlowToLoad()
    system = perdure.System(folder)
    system.handler(Job, isolation="process", retries=0, timeout=5.0)(lambda job, ctx: (slow, job.number)[1])
    with system:
        assert system.call(Job(7), timeout=60.0) == 7
        assert system.admin.metrics().lease_expired == system.admin.metrics().dead_letters == 0


def _take(job: Job, ctx: perdure.Context) -> int:
    return len(bytearray(job.number << 20))


def test_memory_limit_is_what_a_child_takes_above_its_start(folder: Path) -> None:
    """Far below what Python itself maps; past it that message fails, and no other."""
    system = perdure.System(folder)
    system.handler(Job, isolation="process", retries=0, memory_limit=64 << 20)(_take)
    with system:
        assert system.call(Job(32), timeout=60.0) == 32 << 20
        with pytest.raises(MemoryError):
            system.call(Job(100), timeout=60.0)
        assert system.call(Job(33), timeout=60.0) == 33 << 20
        assert system.admin.metrics().dead_letters == 1


def test_exception_and_memory_limit_of_a_process_come_back(folder: Path) -> None:
    system = perdure.System(folder)
    system.handler(Job, isolation="process", retries=0, memory_limit=1 << 31)(_in_process)
    with system:
        with pytest.raises(ValueError, match="no 3"):
            system.call(Job(3, "raise"), timeout=60.0)
        with pytest.raises(MemoryError):
            system.call(Job(4, "memory"), timeout=60.0)
        assert system.call(Job(5), timeout=60.0)
        tracebacks = [letter.traceback for letter in system.dead_letters.list(reason="no 3")]
        assert "_in_process" in tracebacks[0]


def test_process_ends_with_its_system(folder: Path, until: Until) -> None:
    system = perdure.System(folder)
    system.handler(Job, isolation="process")(_in_process)
    with system:
        child = system.call(Job(1), timeout=60.0)
        os.kill(child, 0)

    def is_gone() -> bool:
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return True
        return False

    until(is_gone)


def test_cancelling_kills_a_process_and_cancels_a_coroutine(folder: Path, until: Until) -> None:
    system = perdure.System(folder)
    system.handler(Job, isolation="process")(_in_process)
    running = threading.Event()

    @system.handler(Child)
    async def endless(message: Child, ctx: perdure.Context) -> None:
        running.set()
        await asyncio.sleep(60.0)

    with system:
        job = system.publish(Job(1, "hang"), keep_result=60)
        child = system.publish(Child(1), keep_result=60)
        assert running.wait(10.0)
        until(lambda: system.admin.metrics().in_flight == 2)
        for ident in (job, child):
            assert system.cancel(ident)
            with pytest.raises(perdure.Cancelled):
                system.result(ident, timeout=10.0)
        system.drain(timeout=60.0)
        until(lambda: all(info.active == 0 for info in system.admin.handlers().values()))
        assert system.admin.metrics().cancelled == 2
        assert system.call(Job(2), timeout=60.0)
