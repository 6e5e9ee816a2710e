"""Nights in the simulated world: scenarios 29, 30, 36, 39 and 42 from seeds. PERDURE_SEEDS asks for more of them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import attrs
import pytest

import perdure
from perdure.chaos import SimulatedSystem
from perdure.chaos.simulated import Stuck
from perdure.chaos.simulation import BrokenPromise, Night

FRESH = int(os.environ.get("PERDURE_SEEDS", "150"))
KEPT: dict[str, str] = json.loads((Path(__file__).parent / "seeds.json").read_text(encoding="utf-8"))
"""Seeds of nights that broke something once, and what that was."""


@pytest.mark.parametrize("seed", KEPT)
def test_night_that_once_broke_something(seed: str) -> None:
    Night(int(seed)).run()


def test_fresh_nights() -> None:
    """A failure names its seed: `perdure chaos simulate --seed N` tells its story."""
    first = 100_000 + os.getpid() * 1_000  # never the same ones in two runs
    for seed in range(first, first + FRESH):
        try:
            Night(seed).run()
        except Exception as error:  # noqa: BLE001 - any failure of a night is to be told with its seed
            pytest.fail(f"seed {seed}: {error!r}; keep it in tests/chaos/seeds.json")


def test_same_seed_gives_the_same_history_byte_for_byte() -> None:
    for seed in (1, 7, 42):
        one, other = Night(seed).run(), Night(seed).run()
        assert one.story == other.story
        assert one.disk.contents() == other.disk.contents()
        assert one.steps == other.steps


def test_checker_sees_a_message_that_nobody_published() -> None:
    night = Night(5, actions=10)
    night.acknowledged["m999"] = "never"
    with pytest.raises(BrokenPromise, match="acknowledged and gone"):
        night.run()


@attrs.frozen
class Job:
    number: int


def test_simulated_system_runs_step_by_step() -> None:
    """Retries, delays and time itself, without a thread and without waiting."""
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
