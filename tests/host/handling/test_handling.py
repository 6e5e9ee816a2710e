"""Handling through the front door: workers, retries, timeouts, leases, chains, manual consumers.

What becomes of dead letters is in `test_dead_letters`; deaths of actors and processes are in tests/chaos.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure
from perdure.events import vocabulary as ev

if TYPE_CHECKING:
    from pathlib import Path

    from tests.host.conftest import Collected, Until

SECOND_US = 1_000_000


@attrs.frozen
class Job:
    """A message."""

    name: str


@attrs.frozen
class Chore:
    """A message."""

    name: str


class Odd(BaseException):
    """A BaseException of a host's own."""


def event_names(system: perdure.System, message_id: str) -> list[str]:
    return [type(record.event).__name__ for record in system.audit.timeline(message_id)]


def test_idle_worker_starts_at_once(folder: Path, tmp_path: Path) -> None:
    """Scenario 11: median publish-to-start is within a few fsyncs, measured in the same run; no polling."""
    system = perdure.System(folder)
    started: list[float] = []
    done = threading.Event()

    @system.handler(Job)
    def handle(job: Job, ctx: perdure.Context) -> None:
        started.append(time.perf_counter())
        done.set()

    waits: list[float] = []
    syncs: list[float] = []
    fd = os.open(tmp_path / "probe", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    with system:
        for n in range(60):
            done.clear()
            begun = time.perf_counter()
            system.publish(Job(str(n)))
            assert done.wait(10)
            waits.append(started[-1] - begun)
            begun = time.perf_counter()
            os.write(fd, b"x" * 200)
            os.fdatasync(fd)
            syncs.append(time.perf_counter() - begun)
    os.close(fd)
    # Five milliseconds for the threads to take turns on a busy machine; a poll would show as tens.
    assert statistics.median(waits) < 5 * statistics.median(syncs) + 0.005


def test_types_do_not_hold_each_other_up(folder: Path, collected: Collected) -> None:
    """Scenario 12: while all workers of one type are busy, the other type goes on; each has its own retries."""
    system = perdure.System(folder)
    go = threading.Event()

    @system.handler(Job, parallelism=2, retries=0)
    def job(job: Job, ctx: perdure.Context) -> None:
        assert go.wait(10)
        raise ValueError(job.name)

    @system.handler(Chore, retries=2, backoff=perdure.Fixed(0.0))
    def chore(chore: Chore, ctx: perdure.Context) -> None:
        collected.add((chore.name, ctx.attempt))
        raise ValueError(chore.name)

    with system:
        for n in range(4):
            system.publish(Job(f"job {n}"))
        system.publish(Chore("chore"))
        assert collected.wait_for(3) == [("chore", 1), ("chore", 2), ("chore", 3)]
        assert system.dead_letters.list(type=Job) == []
        go.set()
        system.drain(timeout=10)
        assert [letter.attempts for letter in system.dead_letters.list(type=Job)] == [1, 1, 1, 1]
        assert [letter.attempts for letter in system.dead_letters.list(type=Chore)] == [3]


def test_scale_changes_how_many_run(folder: Path, collected: Collected, until: Until) -> None:
    """Scenario 13: at most `parallelism` at once; scaling changes that and does not cut running work off."""
    system = perdure.System(folder)
    lock = threading.Lock()
    step = threading.Semaphore(0)
    running: set[str] = set()
    most = Counter[str]()

    @system.handler(Job, parallelism=2)
    def handle(job: Job, ctx: perdure.Context) -> None:
        with lock:
            running.add(job.name)
            most["now"] = max(most["now"], len(running))
        assert step.acquire(timeout=10)
        with lock:
            running.remove(job.name)
        collected.add((job.name, ctx.attempt))

    with system:
        for n in range(20):
            system.publish(Job(str(n)))
        until(lambda: len(running) == 2)
        system.admin.scale(Job, 5)
        until(lambda: len(running) == 5)
        (info,) = system.admin.handlers().values()
        assert (info.workers, info.parallelism, info.active) == (5, 5, 5)
        system.admin.scale(Job, 1)
        before = set(running)
        for _ in range(4):
            step.release()
        collected.wait_for(4)
        until(lambda: len(running) == 1)
        assert running <= before  # nothing new began, and the fifth still runs
        most.clear()
        for _ in range(16):
            step.release()
        system.drain(timeout=10)
        assert most["now"] == 1
        assert sorted(collected.items) == sorted((str(n), 1) for n in range(20))
        (info,) = system.admin.handlers().values()
        assert (info.workers, info.parallelism) == (1, 1)


def test_failures_back_off_and_end_as_a_dead_letter(
    folder: Path, clock: perdure.ManualClock, collected: Collected, until: Until
) -> None:
    """Scenario 14: due times on a simulated clock; the dead letter has exception, message, traceback and every time."""
    system = perdure.System(folder, clock=clock)
    begun_us = clock.now_us()

    @system.handler(Job, retries=3, backoff=perdure.Exponential(1.0, maximum=3.0))
    def handle(job: Job, ctx: perdure.Context) -> None:
        collected.add((clock.now_us() - begun_us) // SECOND_US)
        raise LookupError(f"attempt {ctx.attempt}")

    with system:
        ident = system.publish(Job("a"))
        for attempt, wait_s in ((1, 1), (2, 2), (3, 3)):
            collected.wait_for(attempt)
            until(lambda: system.admin.metrics().delayed == 1)
            clock.advance(wait_s - 0.001)
            assert system.admin.metrics().delayed == 1
            clock.advance(0.001)
        system.drain(timeout=10)
        assert collected.items == [0, 1, 3, 6]
        (letter,) = system.dead_letters.list()
        assert (letter.id, letter.type, letter.message) == (ident, f"{__name__}.Job", Job("a"))
        assert (letter.exception, letter.error, letter.attempts) == ("LookupError", "attempt 4", 4)
        assert "in handle" in letter.traceback
        assert "LookupError: attempt 4" in letter.traceback
        times_s = [round(failure.at.timestamp() - begun_us / SECOND_US) for failure in letter.failures]
        assert times_s == [0, 1, 3, 6]
        assert [f.message for f in letter.failures] == [f"attempt {n}" for n in (1, 2, 3, 4)]
        assert round(letter.failed_at.timestamp() - begun_us / SECOND_US) == 6


def test_a_handler_past_its_timeout_is_interrupted(folder: Path, collected: Collected) -> None:
    """Scenario 15: the thread handler sees `ctx.cancelled` and is interrupted; the message is retried."""
    system = perdure.System(folder)

    @system.handler(Job, timeout=0.1, retries=1, backoff=perdure.Fixed(0.0))
    def handle(job: Job, ctx: perdure.Context) -> None:
        collected.add(("begin", ctx.attempt))
        if ctx.attempt > 1:
            return
        try:
            while True:
                time.sleep(0.001)
        finally:
            collected.add(("interrupted", ctx.cancelled))

    with system:
        ident = system.publish(Job("a"))
        system.drain(timeout=10)
        assert collected.wait_for(3) is not None
        assert sorted(collected.items) == [("begin", 1), ("begin", 2), ("interrupted", True)]
        failed = [r.event for r in system.audit.timeline(ident) if isinstance(r.event, ev.AttemptFailed)]
        assert [(f.exception, f.attempt) for f in failed] == [("TimeoutError", 1)]
        assert system.admin.metrics().completed == 1


def test_result_after_the_timeout_is_refused(folder: Path, collected: Collected, until: Until) -> None:
    """Scenario 15: what a handler that could not be interrupted still brings is refused, and on record."""
    system = perdure.System(folder)
    go = threading.Event()

    @system.handler(Job, parallelism=2, timeout=0.1, retries=1, backoff=perdure.Fixed(0.0))
    def handle(job: Job, ctx: perdure.Context) -> None:
        collected.add(ctx.attempt)
        if ctx.attempt > 1:
            return
        with contextlib.suppress(BaseException):  # a handler that does not let itself be interrupted
            go.wait(10)
        go.wait(10)
        ctx.publish(Chore("must not exist"))

    with system:
        ident = system.publish(Job("a"))
        collected.wait_for(2)
        system.drain(timeout=10)
        go.set()
        until(lambda: system.admin.metrics().late_results == 1)
        assert "LateResultRefused" in event_names(system, ident)
        assert (system.admin.metrics().published, system.admin.metrics().completed) == (1, 1)


def test_retry_waits_as_long_as_it_says(folder: Path, clock: perdure.ManualClock, collected: Collected, until: Until) -> None:
    """Scenario 20: `Retry(delay=5)` waits five seconds whatever the backoff."""
    system = perdure.System(folder, clock=clock)

    @system.handler(Job, backoff=perdure.Fixed(1000.0))
    def handle(job: Job, ctx: perdure.Context) -> None:
        collected.add(ctx.attempt)
        if ctx.attempt == 1:
            raise perdure.Retry(delay=5)

    with system:
        system.publish(Job("a"))
        until(lambda: system.admin.metrics().delayed == 1)
        clock.advance(4.999)
        assert system.admin.metrics().delayed == 1
        clock.advance(0.001)
        system.drain(timeout=10)
    assert collected.items == [1, 2]


def test_reject_is_a_dead_letter_at_once(folder: Path, collected: Collected) -> None:
    """Scenario 20: `Reject` dead-letters at once, with its reason."""
    system = perdure.System(folder)

    @system.handler(Job, retries=5)
    def handle(job: Job, ctx: perdure.Context) -> None:
        collected.add(ctx.attempt)
        raise perdure.Reject("no such customer")

    with system:
        system.publish(Job("a"))
        system.drain(timeout=10)
        (letter,) = system.dead_letters.list()
        assert (letter.reason, letter.attempts) == ("no such customer", 1)
    assert collected.items == [1]


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), MemoryError("none left"), Odd("odd")])
def test_no_exception_of_a_handler_reaches_further(folder: Path, collected: Collected, until: Until, error: BaseException) -> None:
    """Scenario 40: SystemExit, KeyboardInterrupt, MemoryError or an own BaseException fails its message, nothing else."""
    system = perdure.System(folder)

    @system.handler(Job, retries=1, backoff=perdure.Fixed(0.0))
    def handle(job: Job, ctx: perdure.Context) -> None:
        if job.name == "bad":
            raise error
        collected.add(job.name)

    with system:
        until(lambda: f"worker:{__name__}.Job:0" in system.actors)
        before = {name: ref.actor_urn for name, ref in system.actors.items()}
        bad = system.publish(Job("bad"))
        system.publish(Job("good"))
        system.drain(timeout=10)
        (letter,) = system.dead_letters.list()
        kind: Any = type(error)
        assert (letter.id, letter.attempts) == (bad, 2)
        assert letter.exception.rpartition(".")[2] == kind.__name__
        assert {name: ref.actor_urn for name, ref in system.actors.items()} == before
        assert system.admin.metrics().runtime_counters == {}
    assert collected.items == ["good"]
