"""The kinds of handlers: coroutines, processes, batches, classes; what each does on failure, timeout and cancelling."""

from __future__ import annotations

import asyncio
import ctypes
import math
import os
import signal
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure

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


# --- coroutines ----------------------------------------------------------------------------------------------------------


def test_coroutines_run_side_by_side_on_one_loop(folder: Path, collected: Collected) -> None:
    system = perdure.System(folder)
    arrived: list[int] = []
    all_there = asyncio.Event()
    loops: set[int] = set()

    @system.handler(Job, parallelism=5)
    async def meet(job: Job, ctx: perdure.Context) -> None:
        loops.add(id(asyncio.get_running_loop()))
        arrived.append(job.number)
        if len(arrived) == 5:
            all_there.set()
        await all_there.wait()
        ctx.publish(Child(job.number))

    @system.handler(Child)
    async def child(message: Child, ctx: perdure.Context) -> None:
        collected.add(message.number)

    with system:
        system.publish_many([Job(n) for n in range(5)])
        assert sorted(collected.wait_for(5)) == [0, 1, 2, 3, 4]
        system.drain(timeout=10.0)
    assert len(loops) == 1


def test_coroutine_past_its_timeout_is_cancelled_and_tried_again(folder: Path, collected: Collected) -> None:
    """Scenario 15, coroutines: cancelled, retried, the late result refused."""
    system = perdure.System(folder)

    @system.handler(Job, timeout=0.1, retries=1, backoff=0)
    async def slow(job: Job, ctx: perdure.Context) -> None:
        try:
            await asyncio.sleep(60.0 if ctx.attempt == 1 else 0.0)
        except asyncio.CancelledError:
            collected.add(("cancelled", ctx.cancelled))
            raise
        collected.add("done")

    with system:
        system.publish(Job(1))
        assert collected.wait_for(2) == [("cancelled", True), "done"]
        system.drain(timeout=10.0)
        assert system.admin.metrics().completed == 1


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, MemoryError, GeneratorExit, asyncio.CancelledError])
def test_whatever_a_coroutine_raises_fails_its_message_only(folder: Path, collected: Collected, error: type[BaseException]) -> None:
    """Scenario 40, coroutines."""
    system = perdure.System(folder)

    @system.handler(Job, retries=0)
    async def raising(job: Job, ctx: perdure.Context) -> None:
        if job.number == 0:
            raise error
        collected.add(job.number)

    with system:
        system.publish_many([Job(0), Job(1)])
        assert collected.wait_for(1) == [1]
        system.drain(timeout=10.0)
        assert [letter.exception.rpartition(".")[2] for letter in system.dead_letters.list()] == [error.__name__]


def test_dead_event_loop_costs_an_attempt_and_is_replaced(folder: Path, collected: Collected) -> None:
    """Scenario 39, the event loop: the coroutines on it die with it and are tried again."""
    system = perdure.System(folder)
    begun = threading.Event()

    @system.handler(Job, parallelism=2, retries=5, backoff=0)
    async def waits(job: Job, ctx: perdure.Context) -> None:
        begun.set()
        if ctx.attempt == 1 and job.number == 0:
            await asyncio.sleep(60.0)
        collected.add((job.number, ctx.attempt))

    with system:
        system.publish(Job(0))
        assert begun.wait(10.0)
        system.actors.kill("event_loop")
        system.publish(Job(1))
        assert {number for number, _ in collected.wait_for(2)} == {0, 1}
        assert dict(collected.items)[0] > 1
        system.drain(timeout=10.0)


# --- processes -----------------------------------------------------------------------------------------------------------


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
        system.drain(timeout=10.0)
        progressed = [r.event for r in system.audit.events(type="Progressed")]
        assert [event.percent for event in progressed] == [50.0]  # type: ignore[attr-defined]


def test_crash_of_a_process_handler_fails_only_its_message(folder: Path) -> None:
    """A child that dies of SIGSEGV is one failed attempt; the worker goes on with another child."""
    system = perdure.System(folder)
    system.handler(Job, isolation="process", retries=0)(_in_process)
    with system:
        bad = system.publish(Job(1, "segv"))
        assert system.call(Job(2), timeout=30.0)
        system.drain(timeout=10.0)
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
        system.drain(timeout=30.0)
        assert time.monotonic() - begun < 20.0
        (letter,) = system.dead_letters.list()
        assert letter.exception == "TimeoutError"
        assert system.call(Job(2), timeout=30.0)


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
        (failed,) = system.audit.events(type="AttemptFailed")
        assert failed.event.exception == "TimeoutError"  # type: ignore[attr-defined]


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
        assert system.call(Job(7), timeout=30.0) == 7
        assert system.admin.metrics().lease_expired == system.admin.metrics().dead_letters == 0


def _take(job: Job, ctx: perdure.Context) -> int:
    return len(bytearray(job.number << 20))


def test_memory_limit_is_what_a_child_takes_above_its_start(folder: Path) -> None:
    """Far below what Python itself maps; past it that message fails, and no other."""
    system = perdure.System(folder)
    system.handler(Job, isolation="process", retries=0, memory_limit=64 << 20)(_take)
    with system:
        assert system.call(Job(32), timeout=30.0) == 32 << 20
        with pytest.raises(MemoryError):
            system.call(Job(100), timeout=30.0)
        assert system.call(Job(33), timeout=30.0) == 33 << 20
        assert system.admin.metrics().dead_letters == 1


def test_exception_and_memory_limit_of_a_process_come_back(folder: Path) -> None:
    system = perdure.System(folder)
    system.handler(Job, isolation="process", retries=0, memory_limit=1 << 31)(_in_process)
    with system:
        with pytest.raises(ValueError, match="no 3"):
            system.call(Job(3, "raise"), timeout=30.0)
        with pytest.raises(MemoryError):
            system.call(Job(4, "memory"), timeout=30.0)
        assert system.call(Job(5), timeout=30.0)
        tracebacks = [letter.traceback for letter in system.dead_letters.list(reason="no 3")]
        assert "_in_process" in tracebacks[0]


def test_process_ends_with_its_system(folder: Path, until: Until) -> None:
    system = perdure.System(folder)
    system.handler(Job, isolation="process")(_in_process)
    with system:
        child = system.call(Job(1), timeout=30.0)
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
        system.drain(timeout=10.0)
        until(lambda: all(info.active == 0 for info in system.admin.handlers().values()))
        assert system.admin.metrics().cancelled == 2
        assert system.call(Job(2), timeout=30.0)


# --- batches -------------------------------------------------------------------------------------------------------------


def test_each_message_of_a_batch_ends_for_itself(folder: Path, collected: Collected) -> None:
    system = perdure.System(folder)

    @system.batch_handler(Job, size=10, wait=0.05, retries=1, backoff=0)
    def store(batch: perdure.Batch[Job]) -> None:
        collected.add([item.message.number for item in batch])
        for item in batch:
            if item.message.number == 3 and item.attempt == 1:
                item.fail("not yet")
            elif item.message.number == 4:
                item.reject("never")
            else:
                item.publish(Child(item.message.number))

    with system:
        system.admin.pause(Job)
        system.publish_many([Job(n) for n in range(10)])
        system.admin.resume(Job)
        batches = collected.wait_for(2)
        assert sorted(number for batch in batches for number in batch) == [0, 1, 2, 3, 3, 4, 5, 6, 7, 8, 9]
        assert len(batches) < 8
        assert [letter.message.number for letter in system.dead_letters.list()] == [4]
        assert system.admin.metrics().ready == 9  # the children, for which there is no handler


def test_raising_batch_handler_fails_all_without_a_verdict(folder: Path) -> None:
    system = perdure.System(folder)

    @system.batch_handler(Job, size=5, wait=0.05, retries=0)
    async def store(batch: perdure.Batch[Job]) -> None:
        batch[0].reject("this one")
        message = "all others"
        raise RuntimeError(message)

    with system:
        system.admin.pause(Job)
        system.publish_many([Job(n) for n in range(5)])
        system.admin.resume(Job)
        system.drain(timeout=10.0)
        reasons = system.dead_letters.stats().by_reason
        assert sum(reasons.values()) == 5
        assert reasons["this one"] >= 1
        assert reasons["failed 1 times: RuntimeError"] >= 1


# --- policies ------------------------------------------------------------------------------------------------------------


class Transient(Exception):
    pass


def test_retry_policy_by_exception(folder: Path, collected: Collected) -> None:
    system = perdure.System(folder)

    @system.handler(
        Job, retries=5, backoff=lambda attempt, error: 0.001 * attempt, retry_on=(Transient, KeyError), dead_letter_on=KeyError
    )
    def picky(job: Job, ctx: perdure.Context) -> None:
        collected.add((job.how, ctx.attempt))
        if job.how == "transient" and ctx.attempt < 3:
            raise Transient
        if job.how == "key":
            raise KeyError(job.number)
        if job.how == "value":
            raise ValueError(job.number)

    with system:
        system.publish_many([Job(1, "transient"), Job(2, "key"), Job(3, "value")])
        system.drain(timeout=10.0)
        assert collected.items.count(("transient", 3)) == 1
        reasons = {letter.message.how: letter.reason for letter in system.dead_letters.list()}
        assert reasons == {"key": "KeyError is one of dead_letter_on: 2", "value": "ValueError is none of retry_on: 3"}
        assert all(letter.attempts == 1 for letter in system.dead_letters.list())


def test_retries_for_ever(folder: Path) -> None:
    system = perdure.System(folder, options=perdure.Options(retries=1))

    @system.handler(Job, retries=math.inf, backoff=0)
    def stubborn(job: Job, ctx: perdure.Context) -> int:
        if ctx.attempt < 40:
            raise Transient
        return ctx.attempt

    with system:
        assert system.call(Job(1), timeout=20.0) == 40


def test_renewed_lease_outlasts_a_silent_handler(folder: Path, collected: Collected, until: Until) -> None:
    """Scenario 53: a slow handler that is alive is never run beside itself, without a word from its own thread."""
    system = perdure.System(folder)
    release = threading.Event()

    @system.handler(Job, lease=0.1, parallelism=2)  # without a timeout it is renewed
    def silent(job: Job, ctx: perdure.Context) -> None:
        collected.add(ctx.attempt)
        assert release.wait(10.0)

    with system:
        system.publish(Job(1))
        until(lambda: len(list(system.audit.events(type="LeaseExtended"))) >= 3)
        release.set()
        system.drain(timeout=10.0)
        assert collected.items == [1]
        assert system.admin.metrics().late_results == 0


def test_lease_that_an_operator_sets_is_renewed_too(
    folder: Path, clock: perdure.ManualClock, collected: Collected, until: Until
) -> None:
    """By default for handlers without a timeout, whoever has set the lease, until a timeout is set or it is switched off."""
    system = perdure.System(folder, clock=clock)
    go_on, begun = threading.Event(), threading.Event()

    @system.handler(Job, parallelism=2, retries=5, backoff=0.0)
    def slow(job: Job, ctx: perdure.Context) -> None:
        begun.set()
        assert go_on.wait(10.0)
        collected.add((ctx.attempt, ctx.cancelled))

    def reached(extensions: int) -> bool:
        return len(list(system.audit.events(type="LeaseExtended"))) >= extensions

    with system:
        system.admin.configure(Job, lease=5.0)
        system.publish(Job(1))
        assert begun.wait(10.0)
        for n in range(1, 4):
            clock.advance(5.0)
            until(partial(reached, n))
        go_on.set()
        assert collected.wait_for(1) == [(1, False)]
        system.drain(timeout=10.0)
        go_on.clear()
        begun.clear()
        system.admin.configure(Job, renew=False)
        system.publish(Job(2))
        assert begun.wait(10.0)
        clock.advance(5.0)
        until(lambda: system.admin.metrics().lease_expired == 1)
        go_on.set()
        assert sorted(collected.wait_for(3)) == [(1, False), (1, True), (2, False)]


def test_handler_that_keeps_the_interpreter_to_itself_is_not_run_beside_itself(folder: Path, collected: Collected) -> None:
    """Scenario 53: nobody can renew meanwhile, so the lease runs out on paper; its handler is alive, so it stays its own."""
    system = perdure.System(folder)
    usleep = ctypes.PyDLL(None).usleep  # of a PyDLL: does not release the interpreter's lock

    @system.handler(Job, lease=0.1, parallelism=2)  # without a timeout it is renewed
    def greedy(job: Job, ctx: perdure.Context) -> None:
        usleep(500_000)
        collected.add(ctx.attempt)

    with system:
        ident = system.publish(Job(1))
        system.drain(timeout=10.0)
        assert collected.items == [1]
        names = [record.name for record in system.audit.timeline(ident)]
        assert names.count("Leased") == names.count("Completed") == 1
        assert "LeaseExpired" not in names
        assert system.admin.metrics().late_results == 0


def test_undecodable_payload_is_a_dead_letter_with_its_bytes(folder: Path, collected: Collected) -> None:
    """Scenario 54: it becomes a dead letter at once, and the queue behind it moves on."""

    @perdure.message(name="thing")
    @attrs.frozen
    class Old:
        name: str

    @perdure.message(name="thing")
    @attrs.frozen
    class New:
        size: int

    with perdure.System(folder) as system:
        old = system.publish(Old("x"))
    system = perdure.System(folder)

    @system.handler(New)
    def handle(message: New, ctx: perdure.Context) -> None:
        collected.add(message.size)

    with system:
        system.publish(New(3))
        assert collected.wait_for(1) == [3]
        system.drain(timeout=10.0)
        (letter,) = system.dead_letters.list()
        assert (letter.id, letter.attempts) == (old, 1)
        assert isinstance(letter.message, bytes)
        assert b"x" in letter.message
        assert "cannot be decoded" in letter.reason
        system.dead_letters.replay(old, message=New(4))
        assert collected.wait_for(2) == [3, 4]
        (replayed,) = system.audit.events(type="Replayed")
        assert replayed.event.edited  # type: ignore[attr-defined]


def test_payload_of_an_older_version_is_brought_up(folder: Path, collected: Collected) -> None:
    @perdure.message(name="order")
    @attrs.frozen
    class First:
        amount: float

    def split(fields: dict[str, Any]) -> dict[str, Any]:
        return {"cents": round(fields["amount"] * 100)}

    def with_currency(fields: dict[str, Any]) -> dict[str, Any]:
        return {**fields, "currency": "EUR"}

    @perdure.message(name="order", version=3, upcasters={1: split, 2: with_currency})
    @attrs.frozen
    class Third:
        cents: int
        currency: str

    with perdure.System(folder) as system:
        system.publish(First(1.25))
    system = perdure.System(folder)

    @system.handler(Third)
    def handle(message: Third, ctx: perdure.Context) -> None:
        collected.add(message)

    with system:
        system.publish(Third(7, "USD"))
        assert set(collected.wait_for(2)) == {Third(125, "EUR"), Third(7, "USD")}
