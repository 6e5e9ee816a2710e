"""Loads run in processes of their own, and their errors are reported. Also checks that `budget` still fits the rules it calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from rich.progress import Progress

from benchmarks import rounds
from benchmarks.effort import EFFORTS
from benchmarks.figure import Measure
from benchmarks.groups import GROUPS
from benchmarks.load import Load
from benchmarks.loads.budget import STAGES

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.long
def test_group_is_measured_in_its_own_processes_and_leaves_no_files(tmp_path: Path) -> None:
    report = rounds.measure("budget", "quick", EFFORTS["quick"], tmp_path, Progress(disable=True))
    assert [f.measure.name for f in report.figures if f.missing or len(f.values) != 1] == []
    assert all(figure.ratios for figure in report.figures)
    assert {f.measure.name for f in report.figures} >= set(STAGES)
    assert list(tmp_path.iterdir()) == []


def test_failed_run_is_missing_with_its_error(tmp_path: Path) -> None:
    outcome = rounds.Session("publish", "quick", tmp_path).run(Load("no such load", (Measure("x", "B"),), lambda _: 0.0))
    assert outcome.values == []
    assert "no such load" in outcome.missing


def test_names_of_loads_and_measures_are_unique_in_a_group() -> None:
    for effort in EFFORTS.values():
        for name, loads in GROUPS.items():
            made = loads(effort)
            names = [load.name for load in made]
            measures = [measure.name for load in made for measure in load.measures]
            assert len(names) == len(set(names)), name
            assert len(measures) == len(set(measures)), name
