"""The benchmark of cliffs does each of its commands, and names a figure for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import cliffs
from benchmarks.effort import ORDINARY
from benchmarks.peers import own_sqlite

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_each_command_has_its_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cliffs, "TIMES", 5)
    values = cliffs.measured(tmp_path / "data", 60)
    assert len(values) == len(cliffs.COMMANDS)
    assert all(value > 0 for value in values)
    assert [len(load.measures) for load in cliffs.loads(ORDINARY)] == [len(values)] * len(cliffs.SIZES)


def test_the_queue_by_hand_makes_its_trip(tmp_path: Path) -> None:
    assert own_sqlite.run(tmp_path, 0.05, 100) > 0
