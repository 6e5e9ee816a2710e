"""Handlers that are coroutines: side by side on one loop, cancelled at their timeout, and what their failures and deaths cost."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

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

    @system.handler(Job, timeout=1.0, retries=1, backoff=0)  # in which it begins, also on a busy machine
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


def test_coroutine_whose_timeout_passes_before_the_loop_gets_to_it_is_tried_again(folder: Path, until: Until) -> None:
    """Another handler blocks the loop meanwhile. The worker of the one that never began is free for the next attempt."""
    system = perdure.System(folder)
    blocks, go_on = threading.Event(), threading.Event()
    attempts: list[int] = []

    @system.handler(Job)
    async def block(job: Job) -> None:
        blocks.set()
        go_on.wait()

    @system.handler(Child, timeout=0.1, retries=100, backoff=0.05)
    async def quick(message: Child, ctx: perdure.Context) -> None:
        attempts.append(ctx.attempt)

    with system:
        system.publish(Job(1))
        until(blocks.is_set)
        system.publish(Child(1))
        until(lambda: system.admin.metrics().failed > 1)
        go_on.set()
        until(lambda: attempts)
        system.drain(timeout=60.0)
        assert system.admin.metrics().completed == 2
    assert attempts[0] > 1


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
