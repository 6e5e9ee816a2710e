"""Loads run in processes of their own, and what goes wrong there is told. Also keeps `budget` in step with the rules it calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from rich.progress import Progress

from benchmarks import rounds
from benchmarks.budget import STAGES
from benchmarks.effort import EFFORTS
from benchmarks.figure import Measure
from benchmarks.groups import GROUPS
from benchmarks.load import Load

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.long
def test_a_group_is_measured_in_processes_of_its_own_and_leaves_nothing_behind(tmp_path: Path) -> None:
    report = rounds.measure("budget", "quick", EFFORTS["quick"], tmp_path, Progress(disable=True))
    assert [f.measure.name for f in report.figures if f.missing or len(f.values) != 1] == []
    assert all(figure.ratios for figure in report.figures)
    assert {f.measure.name for f in report.figures} >= set(STAGES)
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_fails_is_missing_with_what_it_said(tmp_path: Path) -> None:
    outcome = rounds.Session("publish", "quick", tmp_path).run(Load("no such load", (Measure("x", "B"),), lambda _: 0.0))
    assert outcome.values == []
    assert "no such load" in outcome.missing


def test_no_two_loads_and_no_two_measures_of_a_group_have_one_name() -> None:
    for effort in EFFORTS.values():
        for name, loads in GROUPS.items():
            made = loads(effort)
            names = [load.name for load in made]
            measures = [measure.name for load in made for measure in load.measures]
            assert len(names) == len(set(names)), name
            assert len(measures) == len(set(measures)), name
