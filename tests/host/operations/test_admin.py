"""Administration of a running system: metrics, pauses, scaling, stopping.

The audit has `test_audit`; scaling is in `test_handling`.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure
from perdure.actors.workers import worker
from tests.host.operations.metric_counts import counts

if TYPE_CHECKING:
    from pathlib import Path

    from tests.host.conftest import Collected, Until


@attrs.frozen
class Task:
    """A message."""

    number: int


@attrs.frozen
class Child:
    """A message."""

    number: int


def test_metrics_agree_with_an_independent_count(folder: Path) -> None:
    """Scenario 43: published, completed, failed, retried, delayed, dead letters; latencies for each handler."""
    system = perdure.System(folder)
    seen = Counter[str]()

    @system.handler(Task, retries=1, backoff=perdure.Fixed(0.0))
    def handle(task: Task, ctx: perdure.Context) -> None:
        seen["runs"] += 1
        time.sleep(0.002)
        if task.number % 10 == 0 and ctx.attempt == 1:
            seen["retried"] += 1
            raise ValueError("once")
        if task.number % 25 == 3:
            seen["failed for good"] += ctx.attempt == 2
            raise ValueError("always")

    with system:
        system.publish_many([Task(n) for n in range(100)])
        system.drain(timeout=20)
        system.publish(Task(1000), delay=3600)
        system.publish(Child(1))
        metrics = system.admin.metrics()
        assert seen["retried"] == 10
        assert seen["failed for good"] == 4
        assert counts(metrics) == {
            "ready": 1,
            "delayed": 1,
            "held": 0,
            "in_flight": 0,
            "dead_letters": 4,
            "published": 102,
            "completed": 96,
            "failed": 10 + 2 * 4,
            "retried": 10 + 4,
        }
        (info,) = system.admin.handlers().values()
        assert (info.processed, info.failed, info.completed, info.retried) == (seen["runs"], 18, 96, 14)
        assert 0.0015 < info.run_p50_s <= info.run_p95_s <= info.run_p99_s < 5


def test_in_flight_is_counted(folder: Path, collected: Collected) -> None:
    """Scenario 43: a message that a handler or a consumer holds is in flight."""
    system = perdure.System(folder)
    go = threading.Event()

    @system.handler(Task)
    def handle(task: Task, ctx: perdure.Context) -> None:
        collected.add(task)
        assert go.wait(10)

    with system:
        system.publish(Task(1))
        system.publish(Child(1))
        collected.wait_for(1)
        delivery = system.checkout(Child)
        assert delivery is not None
        assert system.admin.metrics().in_flight == 2
        delivery.ack()
        go.set()
        system.drain(timeout=10)
        assert system.admin.metrics().in_flight == 0


@pytest.mark.parametrize("all_types", [True, False])
def test_pause_and_resume(folder: Path, collected: Collected, all_types: bool) -> None:
    """Scenario 44: a pause of one type or of all lets publishing go on, and outlives a restart."""
    system = perdure.System(folder)

    @system.handler(Task)
    def task(task: Task, ctx: perdure.Context) -> None:
        collected.add(task)

    @system.handler(Child)
    def child(child: Child, ctx: perdure.Context) -> None:
        collected.add(child)

    paused = None if all_types else Task
    with system:
        system.admin.pause(paused)
        system.publish(Task(1))
        system.publish(Child(1))
        if all_types:
            assert system.admin.metrics().ready == 2
        else:
            assert collected.wait_for(1) == [Child(1)]
        assert {info.paused for info in system.admin.handlers().values()} == {True} | {all_types}
    with system:
        system.publish(Task(2))
        with pytest.raises(TimeoutError, match="ready"):
            system.drain(timeout=0.1)
        assert Task(1) not in collected.items
        system.admin.resume(paused)
        system.drain(timeout=10)
    assert sorted(map(str, collected.items)) == ["Child(number=1)", "Task(number=1)", "Task(number=2)"]


def test_stop_waits_for_handlers(folder: Path, collected: Collected) -> None:
    """Scenario 49: a handler that ends within the grace period completes; the next start replays almost nothing."""
    system = perdure.System(folder)
    begun = threading.Event()

    @system.handler(Task)
    def handle(task: Task, ctx: perdure.Context) -> None:
        begun.set()
        time.sleep(0.1)  # the work itself
        collected.add(task.number)

    with system:
        system.publish_many([Child(n) for n in range(500)])
        system.publish(Task(1))
        assert begun.wait(10)
    assert collected.items == [1]
    with system:
        assert system.recovery is not None
        assert system.recovery.events_replayed < 10
        assert system.recovery.snapshot_seq > 500
        assert system.recovery.in_flight_taken_back == 0
        assert system.admin.metrics().completed == 1


def test_stop_waits_until_outcomes_are_on_record(folder: Path, collected: Collected, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scenario 49: a stop also waits for a worker whose handler has ended and whose outcome is not yet reported."""
    monkeypatch.setattr(worker, "LINGER_S", 0.3)
    system = perdure.System(folder)

    @system.handler(Task)
    def handle(task: Task, ctx: perdure.Context) -> None:
        collected.add(task.number)

    for number in range(3):
        with system:
            assert system.recovery is not None
            assert system.recovery.in_flight_taken_back == 0
            system.publish(Task(number))
            collected.wait_for(number + 1)
    assert collected.items == [0, 1, 2]


def test_stop_gives_back_what_takes_too_long(folder: Path, collected: Collected, until: Until) -> None:
    """Scenario 49: after the grace period a message goes back, not counted, and the next start handles it."""
    system = perdure.System(folder)
    go = threading.Event()

    @system.handler(Task)
    def handle(task: Task, ctx: perdure.Context) -> None:
        collected.add(ctx.attempt)
        if not go.is_set():
            go.wait(10)
            assert ctx.cancelled

    system.start()
    system.publish(Task(1))
    collected.wait_for(1)
    begun = time.monotonic()
    system.stop(grace=0.1)
    assert time.monotonic() - begun < 5
    go.set()
    with system:
        system.drain(timeout=10)
        assert collected.items == [1, 1]
        assert (system.admin.metrics().completed, system.admin.metrics().failed) == (1, 0)


@attrs.frozen
class Job:
    number: int


@attrs.frozen
class Report:
    name: str


def test_elastic_handler_follows_its_backlog(folder: Path, until: Until) -> None:
    system = perdure.System(folder)
    release = threading.Event()

    @system.handler(Job, parallelism=(1, 6))
    def work(job: Job, ctx: perdure.Context) -> None:
        assert release.wait(20.0)

    with system:
        name = next(iter(system.admin.handlers()))
        assert system.admin.handlers()[name].parallelism == 1
        system.publish_many([Job(n) for n in range(40)])
        until(lambda: system.admin.handlers()[name].active == 6)
        release.set()
        system.drain(timeout=10.0)
        until(lambda: system.admin.handlers()[name].workers == 1)
        assert {r.name for r in system.audit.events(type="Adapted")} == {"Adapted"}


def test_options_changed_at_run_time_last(folder: Path, collected: Collected) -> None:
    def make(**options: Any) -> perdure.System:
        system = perdure.System(folder)

        @system.handler(Job, backoff=0, **options)
        def work(job: Job, ctx: perdure.Context) -> None:
            collected.add(ctx.attempt)
            raise LookupError

        return system

    with make(retries=5) as system:
        system.admin.configure(Job, retries=1, timeout=9.0)
        system.publish(Job(1))
        system.drain(timeout=10.0)
        assert collected.items == [1, 2]
        with pytest.raises(perdure.InvalidMessage, match="parallelism"):
            system.admin.configure(Job, parallelism=3)  # type: ignore[call-arg]  # wrong on purpose
        with pytest.raises(perdure.UnknownMessageType):
            system.admin.configure(Report, retries=1)
    with make(retries=5) as system:
        system.publish(Job(2))
        system.drain(timeout=10.0)
        assert collected.items == [1, 2, 1, 2]
    with make(retries=0) as system:  # the code asks for something else now
        system.publish(Job(3))
        system.drain(timeout=10.0)
        assert collected.items == [1, 2, 1, 2, 1]


def test_rates_and_percentiles(folder: Path) -> None:
    """Scenario 43, latencies: how long messages waited, how long their handlers ran."""
    system = perdure.System(folder)

    @system.handler(Job)
    def work(job: Job, ctx: perdure.Context) -> None:
        time.sleep(0.01)

    with system:
        system.publish_many([Job(n) for n in range(10)])
        system.drain(timeout=10.0)
        (info,) = system.admin.handlers().values()
        assert 0.009 < info.run_p50_s <= info.run_p99_s
        assert info.run_p50_s < info.wait_p99_s < 20.0
        assert 0 < info.rate_per_s < 10
