"""The simulated system for tests of handlers: every kind of handler runs step by step, without threads and in virtual time."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from contextvars import ContextVar

import attrs
import pytest

import perdure
from perdure.actors.workers.pools.pool import Retire
from perdure.chaos import SimulatedSystem, Stuck
from perdure.chaos.simulation.simulated_clock import ProcessClock, SimulatedClock


@attrs.frozen
class Job:
    number: int


def test_simulated_system_runs_step_by_step() -> None:
    """Retries and delays take no real time and no thread."""
    system = SimulatedSystem(seed=3)
    seen: list[tuple[int, int]] = []

    @system.handler(Job, retries=2, backoff=perdure.Fixed(60.0))
    def work(job: Job, ctx: perdure.Context) -> None:
        seen.append((job.number, ctx.attempt))
        if ctx.attempt < 2:
            raise ValueError(job.number)

    with system:
        system.publish(Job(1))
        system.publish(Job(2), delay=30.0)
        system.run_until_idle()
        assert seen == [(1, 1)]
        system.advance(31.0)
        assert seen == [(1, 1), (2, 1)]
        system.drain(timeout=3600.0)
        assert seen == [(1, 1), (2, 1), (1, 2), (2, 2)]
        system.admin.pause()
        system.publish(Job(3))
        with pytest.raises((Stuck, TimeoutError)):
            system.drain(timeout=5.0)
    again = SimulatedSystem(seed=4, disk=system.disk)
    with again:
        assert again.admin.metrics().ready == 1


def test_paused_elastic_handler_keeps_its_workers() -> None:
    """It once grew and shrank every second, and recorded each change. Found by seed 900947 of the simulation."""
    system = SimulatedSystem(seed=1)
    done: list[int] = []

    @system.handler(Job, parallelism=(0, 4))
    def work(job: Job) -> None:
        done.append(job.number)

    with system:
        system.admin.pause(Job)
        system.publish_many([Job(n) for n in range(3)])
        system.advance(60.0)
        assert [record for record in system.audit.events() if type(record.event).__name__ == "Adapted"] == []
        system.admin.resume(Job)
        system.drain(timeout=10.0)
        assert sorted(done) == [0, 1, 2], "it grows after it is resumed"


def test_coroutines_sleep_in_virtual_time_beside_each_other() -> None:
    system = SimulatedSystem(seed=1)
    log: list[str] = []

    @system.handler(Job, parallelism=2, retries=1, backoff=0)
    async def work(job: Job, ctx: perdure.Context) -> int:
        log.append(f"{job.number} begins")
        await asyncio.sleep(3600.0)
        log.append(f"{job.number} ends")
        if job.number == 2 and ctx.attempt == 1:
            raise ValueError(job.number)
        return job.number

    with system:
        ids = system.publish_many([Job(1), Job(2)], keep_result=1e6)
        system.drain(timeout=1e6)
        assert sorted(log[:2]) == ["1 begins", "2 begins"]
        assert log.count("2 ends") == 2
        assert [system.result(ident) for ident in ids] == [1, 2]


def test_batches_fill_in_virtual_time() -> None:
    system = SimulatedSystem(seed=1)
    batches: list[list[int]] = []

    @system.batch_handler(Job, size=3, wait=10.0)
    def work(batch: perdure.Batch[Job]) -> None:
        batches.append([item.message.number for item in batch])

    with system:
        for number in range(4):
            system.submit(Job(number))
        system.advance(60.0)
        assert batches == [[0, 1, 2], [3]]


def test_process_handlers_run_in_the_calling_thread() -> None:
    system = SimulatedSystem(seed=1)
    threads: list[threading.Thread] = []

    @system.handler(Job, isolation="process")
    def work(job: Job, ctx: perdure.Context) -> None:
        threads.append(threading.current_thread())

    with system:
        system.publish(Job(1))
        system.drain(timeout=60.0)
    assert threads == [threading.main_thread()]


def test_scaled_elastic_handler_does_not_wake_the_dispatcher() -> None:
    """It once woke the dispatcher every second, for ever. Found by simulation."""
    system = SimulatedSystem(seed=1)
    system.handler(Job, parallelism=(1, 4))(lambda job, ctx: None)
    with system:
        system.admin.scale(Job, 3)
        system.publish(Job(1))
        system.advance(10.0)
        before = system.executor.steps
        system.advance(3600.0)
        assert system.executor.steps - before < 10


def test_expired_message_is_not_checked_out() -> None:
    """Its lease and its time to live once ended in the same pass. Found by simulation."""
    system = SimulatedSystem(seed=1)
    with system:
        system.publish(Job(1), ttl=5.0)
        assert system.checkout(Job, lease=2.0) is not None
        system.executor.clock.advance(60.0)
        assert system.checkout(Job) is None


def test_clock_set_back_does_not_block_a_limited_rate() -> None:
    """A handler with a rate once waited for as long as the clock had been set back. Found by review of the simulation."""
    first = SimulatedSystem(seed=1)
    first.handler(Job, rate="1/m")(lambda job, ctx: None)
    with first:
        first.publish(Job(1))
        first.drain(timeout=60.0)
    second = SimulatedSystem(seed=2, disk=first.disk)
    second.executor.clock.set_back(86_400.0)
    second.handler(Job, rate="1/m")(lambda job, ctx: None)
    with second:
        second.publish(Job(2))
        second.drain(timeout=120.0)


def test_raised_rate_applies_at_once() -> None:
    """What was used up at the slower rate once delayed the faster one. Found as above."""
    system = SimulatedSystem(seed=1)
    system.handler(Job, rate="1/h")(lambda job, ctx: None)
    with system:
        system.publish_many([Job(1), Job(2)])
        system.advance(1.0)
        system.admin.configure(Job, rate="1/s")
        system.drain(timeout=10.0)


def test_result_of_a_message_superseded_in_its_own_commit() -> None:
    """It was once reported as unknown. Found by simulation."""
    system = SimulatedSystem(seed=1)
    with system:
        futures = [system.submit(Job(n), id=f"j{n}", key="k", keep_result=60.0) for n in (1, 2)]
        system.run_until_idle()
        assert [future.result(0) for future in futures] == ["j1", "j2"]
        with pytest.raises(perdure.HandlerFailed, match="superseded"):
            system.result("j1", timeout=1.0)


def test_death_of_a_retiring_worker_leaves_the_right_number() -> None:
    """Its order to retire was once lost with it, and its successor stayed for good. Found by seed 879 of the simulation."""
    system = SimulatedSystem(seed=1)
    system.handler(Job, parallelism=3)(lambda job: None)
    with system:
        system.run_until_idle()
        (pool,) = system.runtime.pools.by_type.values()
        system.admin.scale(Job, 1)
        taken = pool.inbox.get()  # as a worker does that dies at once
        assert type(taken) is Retire
        system.actors.kill(next(name for name in system.actors if name.startswith("worker:")))
        system.run_until_idle()
        assert (len(pool.workers), pool.retiring) == (1, [])
        assert sum(name.startswith("worker:") for name in system.actors) == 1
        taken.claim[0] = object()
        pool.inbox.put(taken)  # a repeated order has no effect
        system.publish(Job(1))
        system.drain(timeout=10.0)
        assert len(pool.workers) == 1


def test_hooks_run_in_virtual_time_and_their_variables_reach_the_handlers() -> None:
    system, seen = SimulatedSystem(seed=1), list[str]()
    pool: ContextVar[str] = ContextVar("pool", default="none")

    @system.on_start
    async def opens() -> None:
        await asyncio.sleep(3600.0)
        pool.set("open")
        system.publish(Job(1))

    @system.on_stop
    def closes() -> None:
        seen.append("closed")

    @system.handler(Job)
    def work(job: Job) -> None:
        seen.append(pool.get())

    with system:
        system.run_until_idle()
        assert seen == ["open"]
    assert seen == ["open", "closed"]


def test_a_start_hook_that_raises_fails_the_start() -> None:
    system = SimulatedSystem(seed=1)

    @system.on_start
    def fails() -> None:
        raise OSError("no database")

    with pytest.raises(OSError, match="no database"):
        system.start()
    assert not system.running


LEFT = """
import gc
from perdure.chaos import SimulatedSystem
kept = SimulatedSystem()
kept.start()
dropped = SimulatedSystem()
dropped.start()
del dropped
gc.collect()
"""


def test_a_simulated_system_that_was_not_stopped_is_passed_over_in_silence() -> None:
    """It has no thread and no file: neither the exit of a test run nor the garbage collector has anything to stop."""
    ended = subprocess.run([sys.executable, "-W", "error", "-c", LEFT], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_a_clock_that_is_put_forward_says_what_it_skipped_and_processes_follow_it_at_once() -> None:
    machine = SimulatedClock()
    before_us, own = machine.now_us(), ProcessClock(machine)
    machine.set_back(10.0)
    machine.advance(1.0)
    assert (own.now_us() - before_us, machine.now_us() - before_us) == (1_000_000, -9_000_000)
    called_us = machine.passed_us
    machine.advance(1.0)
    machine.put_forward(60.0)
    assert own.now_us() == machine.now_us() == before_us + 52_000_000
    assert machine.skipped_us(0, machine.now_us()) == 60_000_000
    assert own.skipped_us(0, own.now_us()) == 50_000_000, "it was ahead by the rest"
    assert own.skipped_us(own.now_us() - 1_000_000, own.now_us()) == 1_000_000
    assert machine.set_back_since(called_us) == (-50_000_000, 10_000_000)
    assert machine.set_back_since(machine.passed_us + 1) == (-50_000_000, -50_000_000)


def test_a_message_is_due_at_its_moment_although_the_clock_was_put_forward_and_a_retry_waits_its_time() -> None:
    system, seen = SimulatedSystem(seed=1), list[float]()

    @system.handler(str, retries=1, backoff=perdure.Fixed(30.0))
    def handle(_: str, ctx: perdure.Context) -> None:
        seen.append(system.executor.clock.passed_us / 1_000_000)
        if ctx.attempt == 1:
            raise ValueError

    with system:
        system.publish("later", delay=600.0)
        system.advance(1.0)
        system.executor.clock.put_forward(599.5)
        system.advance(1.0)
        system.executor.clock.put_forward(3_600.0)
        system.advance(60.0)
    assert seen[0] < 2.0, "at its moment"
    assert seen[1] - seen[0] >= 30.0, "a pause has a length"
