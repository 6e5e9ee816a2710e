"""Results and cancelling: what `call` and `result` return and raise, before and after a restart, and for messages without a call.

The latter are those of batches and manual consumers, and superseded and expired messages.
"""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure
from perdure.actors.core.messages import WhenIdle

if TYPE_CHECKING:
    from pathlib import Path

    from tests.host.conftest import Collected, Until


@attrs.frozen
class Job:
    number: int


def test_message_of_a_batch_has_no_result_but_an_end(folder: Path) -> None:
    """A caller of a batch handler gets None, or the outcome of just its message."""
    system = perdure.System(folder)

    @system.batch_handler(Job, size=10, retries=0)
    def store(batch: perdure.Batch[Job]) -> str:
        for item in batch:
            if item.message.number < 0:
                item.reject("a negative number")
        return "nobody's"

    with system:
        assert system.call(Job(1), timeout=10.0) is None
        with pytest.raises(perdure.Reject, match="a negative number"):
            system.call(Job(-1), timeout=10.0)


def test_message_that_a_consumer_has_completed_has_no_result_but_an_end(folder: Path) -> None:
    with perdure.System(folder) as system:
        ident = system.publish(Job(1), keep_result=60.0)
        delivery = system.checkout(Job)
        assert delivery is not None
        delivery.ack()
        assert system.result(ident, timeout=10.0) is None
    with perdure.System(folder) as system:
        assert system.result(ident, timeout=10.0) is None


@pytest.mark.parametrize("end", ["Superseded", "Expired"])
def test_caller_hears_of_a_message_that_was_never_handled(folder: Path, clock: perdure.ManualClock, until: Until, end: str) -> None:
    with perdure.System(folder, clock=clock) as system:
        ident = system.publish(Job(1), key="k", ttl=5.0, keep_result=60.0)
        if end == "Superseded":
            system.publish(Job(2), key="k")
        else:
            clock.advance(6.0)
            until(lambda: system.admin.metrics().expired)
        with pytest.raises(perdure.HandlerFailed, match=f"perdure.{end}") as raised:
            system.result(ident, timeout=10.0)
        assert raised.value.id == ident


class Odd(Exception):
    """It cannot be copied: its arguments are not those of `__init__`."""

    def __init__(self, a: int, b: int) -> None:
        super().__init__(a + b)


@pytest.mark.parametrize("error", [ValueError("bad", 3), Odd(1, 2), perdure.Reject("no")], ids=repr)
def test_failure_is_raised_again_unchanged(folder: Path, error: Exception) -> None:
    """A second `result` raises what the first did: equal, and with the handler's own traceback, once."""
    system = perdure.System(folder)

    @system.handler(Job, retries=0)
    def fail(_job: Job) -> None:
        raise error

    with system:
        ident = system.publish(Job(1), keep_result=60.0)
        told = []
        waits: tuple[float | None, ...] = (10.0, 0.0, None, 0)
        for timeout in waits:
            with pytest.raises(type(error)) as raised:
                system.result(ident, timeout=timeout)
            told.append((type(raised.value), raised.value.args, [entry.name for entry in raised.traceback].count("fail")))
        assert told == [(type(error), error.args, 1)] * 4


def test_result_that_is_there_is_given_without_waiting(folder: Path) -> None:
    system = perdure.System(folder)

    @system.handler(Job)
    def double(job: Job) -> int:
        return job.number * 2

    with system:
        ident = system.publish(Job(2), keep_result=60.0)
        assert system.result(ident, timeout=10.0) == 4
        assert [system.result(ident, timeout=0) for _ in range(3)] == [4, 4, 4]
        later = system.publish(Job(3), keep_result=60.0, delay=60.0)
        for moment in (0, 0.001):
            with pytest.raises(TimeoutError, match=later):
                system.result(later, timeout=moment)
        waits: tuple[float | None, ...] = (0, 0.0, 10.0, None)
        for timeout in waits:
            with pytest.raises(perdure.UnknownMessage, match="nobody's"):
                system.result("nobody's", timeout=timeout)
        assert not system.runtime.pending.outstanding


def test_waiting_for_results_holds_no_publish_up(folder: Path) -> None:
    """As many wait for results as publishes may be under way: they take no room, and all hear of their results."""
    system = perdure.System(folder, options=perdure.Options(pipeline_max=5, publish_timeout_s=5.0))

    async def ask() -> list[int]:
        calls = [asyncio.create_task(system.acall(Job(n), timeout=20.0)) for n in range(20)]
        while (await asyncio.to_thread(system.admin.metrics)).published < 20:  # noqa: ASYNC110 - the queue's doing
            await asyncio.sleep(0)
        assert system.runtime.pending.under_way <= 5
        assert await system.apublish(Job(20))
        assert system.submit(Job(21)).result(10.0)
        gate.set()
        results: list[int] = await asyncio.gather(*calls)
        return results

    gate = threading.Event()

    @system.handler(Job)
    def double(job: Job) -> int:
        gate.wait(20.0)
        return job.number * 2

    with system:
        assert asyncio.run(ask()) == [2 * n for n in range(20)]


def test_one_that_waits_no_longer_makes_room(folder: Path) -> None:
    """A publisher that gives up lets the next one in at once, not when its publish is answered."""
    options = perdure.Options(pipeline_max=1, backlog_max=1, publish_timeout_s=30.0)
    with perdure.System(folder, options=options) as system:
        system.publish(Job(0))
        pending = system.runtime.pending
        answer = system.runtime.executor.answer()
        stuck = pending.send("queue", WhenIdle(), answer)
        room = threading.Thread(target=pending.wait_for_room, args=(1, 30.0))
        room.start()
        while not pending._waiters:
            time.sleep(0.001)
        assert pending.forget(stuck)
        room.join(10.0)
        assert not room.is_alive()


@attrs.frozen
class Report:
    name: str


def test_cancelling_waiting_and_running_messages(folder: Path, collected: Collected, until: Until) -> None:
    system = perdure.System(folder)
    begun, release = threading.Event(), threading.Event()

    @system.handler(Job)
    def work(job: Job, ctx: perdure.Context) -> None:
        begun.set()
        until(lambda: ctx.cancelled or release.is_set())
        collected.add((job.number, ctx.cancelled))

    with system:
        running = system.publish(Job(1))
        assert begun.wait(10.0)
        waiting = system.publish(Job(2))
        delayed = system.publish(Job(3), delay=3600)
        assert system.cancel(waiting)
        assert system.cancel(delayed)
        assert system.cancel(running)
        assert not system.cancel(running)
        assert not system.cancel("no such message")
        assert collected.wait_for(1) == [(1, True)]
        system.drain(timeout=10.0)
        until(lambda: system.admin.metrics().late_results == 1)
        numbers = system.admin.metrics()
        assert (numbers.cancelled, numbers.completed, numbers.dead_letters) == (3, 0, 0)
        assert [r.name for r in system.audit.timeline(running)] == ["Published", "Leased", "Cancelled", "LateResultRefused"]


def test_call_gives_what_the_handler_returns_or_raises(folder: Path) -> None:
    system = perdure.System(folder)

    @system.handler(Job, retries=1, backoff=0)
    def work(job: Job, ctx: perdure.Context) -> Any:
        if job.number < 0:
            message = f"attempt {ctx.attempt}"
            raise LookupError(message)
        return Report(f"report {job.number}") if job.number else None

    with system:
        assert system.call(Job(1), timeout=10.0) == Report("report 1")
        assert system.call(Job(0), timeout=10.0) is None
        with pytest.raises(LookupError, match="attempt 2"):
            system.call(Job(-1), timeout=10.0)
        with pytest.raises(perdure.UnknownMessage):
            system.result("no such message", timeout=1.0)
        with pytest.raises(TimeoutError):
            system.call(Job(5), delay=3600, timeout=0.05)


def test_result_outlives_a_restart_and_then_fades(folder: Path, clock: perdure.ManualClock) -> None:
    def make() -> perdure.System:
        system = perdure.System(folder, clock=clock)

        @system.handler(Job, retries=0)
        def work(job: Job, ctx: perdure.Context) -> int:
            if job.number < 0:
                raise LookupError
            return job.number * 2

        return system

    with make() as system:
        good = system.publish(Job(4), keep_result=100)
        bad = system.publish(Job(-1), keep_result=100)
        gone = system.publish(Job(9), keep_result=100, ttl=0.001, delay=1.0)
        system.result(good, timeout=10.0)
        with pytest.raises(LookupError):
            system.result(bad, timeout=10.0)
    with make() as system:
        assert system.result(good, timeout=10.0) == 8
        with pytest.raises(perdure.HandlerFailed) as failed:
            system.result(bad, timeout=10.0)
        assert failed.value.exception == "LookupError"
        clock.advance(2.0)
        with pytest.raises(perdure.HandlerFailed, match="Expired"):
            system.result(gone, timeout=10.0)
        clock.advance(200.0)
        with pytest.raises(perdure.UnknownMessage):
            system.result(good, timeout=10.0)


def test_caller_gets_its_answer_though_the_queue_dies(folder: Path) -> None:
    system = perdure.System(folder)
    begun, release = threading.Event(), threading.Event()

    @system.handler(Job)
    def work(job: Job, ctx: perdure.Context) -> int:
        begun.set()
        assert release.wait(10.0)
        return job.number

    answers: list[Any] = []
    with system:
        caller = threading.Thread(target=lambda: answers.append(system.call(Job(3), timeout=20.0)))
        caller.start()
        assert begun.wait(10.0)
        system.actors.kill("queue")
        system.actors.kill("journal")
        release.set()
        caller.join(20.0)
        assert answers == [3]
