"""Fixtures for those who test their own handlers: a simulated system, one on a temporary folder, a monkey.

Loaded by pytest through its entry point, and with it perdure itself (about a tenth of a second).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from perdure.chaos.simulation.simulated_system import SimulatedSystem
from perdure.chaos.threads.monkey import Monkey
from perdure.system import System

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["perdure_monkey", "perdure_simulated", "perdure_system"]


@pytest.fixture
def perdure_simulated() -> SimulatedSystem:
    """Give a system in memory, not started yet, whose time only moves when told to: `.advance(seconds)`, `.run_until_idle()`."""
    return SimulatedSystem(seed=0)


@pytest.fixture
def perdure_system(tmp_path: Path) -> Iterator[Callable[..., System]]:
    """Make systems on one temporary folder: a second one, after the first has stopped, recovers what it left."""
    made: list[System] = []

    def make(**options: Any) -> System:
        made.append(System(tmp_path / "perdure", **options))
        return made[-1]

    yield make
    for system in made:
        system.stop(grace=0.0)


@pytest.fixture
def perdure_monkey() -> Iterator[Callable[..., Monkey]]:
    """Make monkeys (`perdure_monkey(system, seed=1)`) that stop with the test at the latest."""
    made: list[Monkey] = []

    def make(system: System, **options: Any) -> Monkey:
        made.append(Monkey(system, **options))
        return made[-1]

    yield make
    for monkey in made:
        monkey.stop()
