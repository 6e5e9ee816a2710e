"""The monkey and the fixtures for users: scenario 39 through the front door, with every actor as a target."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import attrs
import pytest

import perdure
from perdure.chaos import Monkey

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from perdure.chaos import SimulatedSystem

KILLS = int(os.environ.get("PERDURE_KILLS", "200"))


@attrs.frozen
class Job:
    number: int


def test_every_role_comes_back_and_nothing_is_lost(tmp_path: Path) -> None:
    """Scenario 39: kills of all roles from a seed, while messages go through; none is lost, none completes twice."""
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
            print(f"{role}: {back.kills} kills, back after {back.median_s * 1000:.1f} ms, p99 {back.p99_s * 1000:.1f} ms")  # noqa: T201


def test_monkey_works_beside_its_host(perdure_system: Callable[..., perdure.System], perdure_monkey: Callable[..., Monkey]) -> None:
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
        Monkey(perdure_system(), rate=0)


def test_simulated_fixture_needs_no_time(perdure_simulated: SimulatedSystem) -> None:
    seen: list[int] = []
    perdure_simulated.handler(Job)(lambda job: seen.append(job.number))
    with perdure_simulated as system:
        system.publish(Job(1), delay=3600.0)
        perdure_simulated.advance(3599.0)
        assert seen == []
        perdure_simulated.advance(2.0)
        assert seen == [1]
