"""Pytest fixtures for tests of handlers: a simulated system, systems on a temporary folder, and monkeys.

pytest loads this module through its entry point in every run; perdure itself is imported when a fixture is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from perdure.chaos import Monkey, SimulatedSystem
    from perdure.system import System

__all__ = ["perdure_monkey", "perdure_simulated", "perdure_system"]


@pytest.fixture
def perdure_simulated() -> SimulatedSystem:
    """Return a system in memory that is not started. `.advance(seconds)` moves its time, `.run_until_idle()` runs its actors."""
    from perdure.chaos import SimulatedSystem  # noqa: PLC0415 - see the module's docstring

    return SimulatedSystem(seed=0)


@pytest.fixture
def perdure_system(tmp_path: Path) -> Iterator[Callable[..., System]]:
    """Return a function that makes systems on one temporary folder. One made after another has stopped recovers from it."""
    from perdure.system import System  # noqa: PLC0415 - as above

    made: list[System] = []

    def make(**options: Any) -> System:
        made.append(System(tmp_path / "perdure", **options))
        return made[-1]

    yield make
    for system in made:
        system.stop(grace=0.0)


@pytest.fixture
def perdure_monkey() -> Iterator[Callable[..., Monkey]]:
    """Return a function that makes monkeys (`perdure_monkey(system, seed=1)`). They stop at the end of the test at the latest."""
    from perdure.chaos import Monkey  # noqa: PLC0415 - as above

    made: list[Monkey] = []

    def make(system: System, **options: Any) -> Monkey:
        made.append(Monkey(system, **options))
        return made[-1]

    yield make
    for monkey in made:
        monkey.stop()
