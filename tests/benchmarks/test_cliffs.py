"""The benchmark of cliffs runs each of its commands and has a figure for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.effort import ORDINARY
from benchmarks.figure import Figure, Measure, Report
from benchmarks.loads.backlogs import cliffs
from benchmarks.peers import own_sqlite
from benchmarks.report.slopes import slope_rows

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_each_command_has_its_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cliffs, "TIMES", 5)
    values = cliffs.measured(tmp_path / "data", 60)
    assert len(values) == len(cliffs.COMMANDS)
    assert all(value > 0 for value in values)
    assert [len(load.measures) for load in cliffs.loads(ORDINARY)] == [len(values)] * len(cliffs.SIZES)


def report(cost: float) -> Report:
    """Return a report in which each command costs `cost` times as much beside the most messages as beside the fewest."""
    figures = []
    for command in cliffs.COMMANDS:
        for n, times in zip(cliffs.SIZES, (1.0, 1.0, cost), strict=True):
            figures.append(Figure(Measure(cliffs.beside(command, n), "times/s"), command, values=[1e5, 1e6 / times]))
    return Report(group="cliffs", effort="quick", rounds=1, on="", floors=[], figures=figures)


def test_steep_slope_is_shown_as_a_cliff() -> None:
    headings, rows = slope_rows(report(2.0))
    assert len(rows) == len(cliffs.COMMANDS)
    assert all(len(row) == len(headings) for row in rows)
    assert rows[0] == ("publish", "1.00", "1.00", "2.00", "2.00", "**cliff**")
    assert [row[-1] for row in slope_rows(report(1.4))[1]] == [""] * len(rows)


def test_missing_figure_has_no_slope() -> None:
    lacking = report(1.0)
    lacking.figures[2] = Figure(lacking.figures[2].measure, "publish", missing="failed")
    assert slope_rows(lacking)[1][0] == ("publish", "1.00", "1.00", "missing: failed", "", "")


def test_own_sqlite_queue_makes_its_trip(tmp_path: Path) -> None:
    assert own_sqlite.run(tmp_path, 0.05, 100) > 0
