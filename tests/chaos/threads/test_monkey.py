"""Scenario 39 with the monkey and the pytest fixtures: every actor is killed, and nothing is lost."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import attrs
import pytest

import perdure
from perdure.chaos import Monkey
from perdure.chaos.threads.recovery_times import ROLES, measure_recovery

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from perdure.chaos import SimulatedSystem

KILLS = int(os.environ.get("PERDURE_KILLS", "200"))


@attrs.frozen
class Job:
    number: int


@pytest.mark.long(seconds=7)
def test_every_role_comes_back_and_nothing_is_lost(tmp_path: Path) -> None:
    """Scenario 39: actors of all roles are killed while messages pass; none is lost, none completes twice."""
    system = perdure.System(tmp_path / "data")
    system.handler(Job, parallelism=2, retries=1000, backoff=0)(lambda job: None)
    with system:
        monkey = Monkey(system, seed=11)
        ids: list[str] = []
        for n in range(KILLS):
            ids += system.publish_many([Job(n), Job(-n)])
            monkey.kill_one()
        system.drain(timeout=60.0)
        assert system.admin.metrics().completed == len(ids) == 2 * KILLS
        report = monkey.report()
        assert {"queue", "journal", "dispatcher", "dead_letters", "timer", "snapshotter", "supervisor", "worker"} <= set(report)
        assert all(kill.back_after_s is not None for kill in monkey.kills if not kill.actor.startswith("worker"))
        for role, back in report.items():
            print(f"{role}: {back.kills} kills, back after {back.median_s * 1000:.1f} ms, p99 {back.p99_s * 1000:.1f} ms")


def test_monkey_beside_a_host(perdure_system: Callable[..., perdure.System], perdure_monkey: Callable[..., Monkey]) -> None:
    system = perdure_system()
    system.handler(Job, retries=1000, backoff=0)(lambda job: None)
    with system:
        with perdure_monkey(system, seed=5, rate=200.0, targets=["queue", "worker"]) as monkey:
            for n in range(200):
                system.publish(Job(n))
        system.drain(timeout=60.0)
        assert {kill.actor.partition(":")[0] for kill in monkey.kills} <= {"queue", "worker"}
        assert system.admin.metrics().completed == 200
    with perdure_system() as again:
        assert again.admin.metrics().completed == 200


def test_wrong_rate_is_refused(perdure_system: Callable[..., perdure.System]) -> None:
    with pytest.raises(ValueError, match="rate"):
        Monkey(perdure_system(), rate=-1)
    with pytest.raises(ValueError, match="repeat"):
        Monkey(perdure_system(), repeat=1.5)


def test_messages_come_late_and_twice_and_handlers_begin_late(
    perdure_system: Callable[..., perdure.System], perdure_monkey: Callable[..., Monkey]
) -> None:
    """Scenario 39: late and repeated messages are harmless: nothing is lost, completes twice, or runs beside itself."""
    system = perdure_system()
    running: set[str] = set()
    beside: list[str] = []

    @system.handler(Job, parallelism=3, retries=1000, backoff=0)
    def work(job: Job, ctx: perdure.Context) -> None:
        key = ctx.key or ctx.id
        if key in running:
            beside.append(key)
        running.add(key)
        running.discard(key)

    with system:
        with perdure_monkey(system, seed=7, rate=0, repeat=0.3, delay=0.2, stall=0.2, late_s=0.01) as monkey:
            futures = [system.submit(Job(n), key=f"k{n % 5}", dedup="append") for n in range(400)]
            ids = [future.result(60.0) for future in futures]
            deliveries = system.admin.metrics().published
            system.drain(timeout=60.0)
        assert len(set(ids)) == deliveries == 400
        assert system.admin.metrics().completed == 400
        assert monkey.kills == []
        assert monkey.interference.repeated > 0
        assert monkey.interference.delayed > 0
        assert monkey.interference.stalled > 0
        system.publish(Job(1))  # without the monkey
        system.drain(timeout=60.0)
    assert system.audit.verify().ok


def test_all_faults_at_once(perdure_system: Callable[..., perdure.System], perdure_monkey: Callable[..., Monkey]) -> None:
    """Scenario 39 with late and repeated messages between the kills."""
    system = perdure_system()
    system.handler(Job, parallelism=2, retries=1000, backoff=0)(lambda job: None)
    with system:
        with perdure_monkey(system, seed=9, rate=100.0, repeat=0.2, delay=0.1, stall=0.1, late_s=0.005) as monkey:
            while len(monkey.kills) < 20:
                system.publish(Job(len(monkey.kills)))
        system.drain(timeout=60.0)
        now = system.admin.metrics()
        assert now.completed == now.published > 0


def test_recovery_times_are_measured_for_every_actor() -> None:
    measured = measure_recovery(backlog=200, kills=2)
    assert set(measured) == set(ROLES)
    assert all(0 < back.median_s <= back.p99_s for back in measured.values())


def test_simulated_fixture_has_virtual_time(perdure_simulated: SimulatedSystem) -> None:
    seen: list[int] = []
    perdure_simulated.handler(Job)(lambda job: seen.append(job.number))
    with perdure_simulated as system:
        system.publish(Job(1), delay=3600.0)
        perdure_simulated.advance(3599.0)
        assert seen == []
        perdure_simulated.advance(2.0)
        assert seen == [1]
