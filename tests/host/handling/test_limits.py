"""Limits on deliveries: how many messages of one key run side by side, and how many start in a time (`rate`)."""

from __future__ import annotations

import threading
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


def test_limit_by_key(folder: Path, collected: Collected) -> None:
    """With `key_parallelism` at most so many messages of one key are out at once; other keys go past them."""
    system = perdure.System(folder)
    release = threading.Event()
    most = {"a": 0, "b": 0}
    running: dict[str, int] = {"a": 0, "b": 0}
    lock = threading.Lock()

    @system.handler(Job, dedup="append", key_parallelism=2, parallelism=8)
    def work(job: Job, ctx: perdure.Context) -> None:
        assert ctx.key is not None
        with lock:
            running[ctx.key] += 1
            most[ctx.key] = max(most[ctx.key], running[ctx.key])
        collected.add(ctx.key)
        assert release.wait(10.0)
        with lock:
            running[ctx.key] -= 1

    with system:
        for n in range(10):
            system.publish(Job(n), key="a")
        for n in range(3):
            system.publish(Job(n), key="b")
        assert sorted(collected.wait_for(4)) == ["a", "a", "b", "b"]
        assert system.admin.metrics().held == 9
        system.admin.snapshot()
        release.set()
        system.drain(timeout=10.0)
        assert most == {"a": 2, "b": 2}
        assert system.admin.metrics().completed == 13


def test_rate_is_kept_also_over_a_restart(folder: Path, clock: perdure.ManualClock, collected: Collected, until: Until) -> None:
    def make() -> perdure.System:
        system = perdure.System(folder, clock=clock)
        system.handler(Job, rate="2/s", parallelism=4)(lambda job: collected.add(job.number))
        return system

    with make() as system:
        system.publish_many([Job(n) for n in range(6)])
        assert collected.wait_for(1) == [0]
        clock.advance(0.49)
        assert system.admin.metrics().ready == 5
        clock.advance(0.02)
        assert collected.wait_for(2) == [0, 1]
        until(lambda: system.admin.metrics().completed == 2)
    with make() as system:
        assert system.admin.metrics().ready == 4  # a restart is no way round the limit
        for n in range(2, 6):
            clock.advance(0.51)
            assert len(collected.wait_for(n + 1)) == n + 1
        system.drain(timeout=10.0)


def test_rate_of_a_batch_handler_counts_messages(
    folder: Path, clock: perdure.ManualClock, collected: Collected, until: Until
) -> None:
    """Not calls: what lies behind a limited rate (a service, a quota) counts what is sent to it."""
    system = perdure.System(folder, clock=clock)

    @system.batch_handler(Job, size=10, rate="2/s")
    def store(batch: perdure.Batch[Job]) -> None:
        for item in batch:
            collected.add(item.message.number)

    with system:
        system.publish_many([Job(n) for n in range(4)])
        assert collected.wait_for(1) == [0]
        until(lambda: system.admin.metrics().completed == 1)
        assert system.admin.metrics().ready == 3
        clock.advance(0.51)
        until(lambda: system.admin.metrics().completed == 2)
        assert (collected.items, system.admin.metrics().ready) == ([0, 1], 2)
        while system.admin.metrics().ready:
            clock.advance(0.51)
        system.drain(timeout=10.0)
    assert collected.items == [0, 1, 2, 3]


@pytest.mark.parametrize("rate", [0, -1, "fast", "5/y", True, "0/s"])
def test_wrong_rate_is_refused(folder: Path, rate: Any) -> None:
    with pytest.raises(perdure.InvalidMessage, match="rate"):
        perdure.System(folder).handler(Job, rate=rate)


def test_no_more_than_the_limit_run_at_once(folder: Path, collected: Collected) -> None:
    """A `limit` below the workers holds for every one of them, and nothing waits in their mailbox behind what runs."""
    system = perdure.System(folder)
    release = threading.Event()

    @system.handler(Job, parallelism=4, limit=2)
    def work(job: Job) -> None:
        collected.add(job.number)
        assert release.wait(10.0)

    with system:
        system.publish_many([Job(n) for n in range(6)])
        assert sorted(collected.wait_for(2)) == [0, 1]
        metrics = system.admin.metrics()
        assert (metrics.in_flight, metrics.ready) == (2, 4)
        release.set()
        system.drain(timeout=10.0)


def test_a_limit_is_a_number_above_zero(folder: Path) -> None:
    with pytest.raises(perdure.InvalidMessage, match="limit: "):
        perdure.System(folder).handler(Job, limit=0)
