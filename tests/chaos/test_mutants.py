"""Planted bugs: each must be noticed by the tool that the list names, or that tool proves nothing."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from perdure.chaos import mutants, planted
from perdure.chaos.bugs import BUGS
from perdure.chaos.mutants import run_mutants

RELIABILITY = Path(__file__).parents[2] / "docs" / "RELIABILITY.md"


@pytest.mark.long
@pytest.mark.timeout(600)
def test_every_planted_bug_is_noticed() -> None:
    verdicts = list(run_mutants())
    for verdict in verdicts:
        print(f"{verdict.bug.name}: {verdict.noticed or verdict.error or 'it lives'} ({verdict.took_s:.1f} s)")  # noqa: T201
    assert [(v.bug.name, v.error) for v in verdicts if not v.dead] == []
    places = Counter(v.bug.place for v in verdicts)
    assert len(places) >= 10, "in at least ten different places"


@pytest.mark.long
def test_without_a_bug_the_tools_notice_nothing() -> None:
    """Else a mutant's death would say nothing."""
    assert mutants.run_tool("simulation", 10) == ""
    assert mutants.run_tool("crash states", 3) == ""


def test_text_that_is_gone_is_told() -> None:
    spec = '{"edits": [{"module": "perdure.events.lane", "old": "no such text", "new": ""}], "tool": "simulation", "effort": 1}'
    done = subprocess.run([sys.executable, planted.__file__, spec], capture_output=True, text=True, check=False)
    assert done.returncode == planted.NOT_PLANTED
    assert "holds 0 times, not once" in done.stdout


def test_table_in_the_docs_names_every_bug() -> None:
    table = RELIABILITY.read_text(encoding="utf-8")
    assert [bug.name for bug in BUGS if f"| {bug.name} | {bug.place} | {bug.tool} |" not in table] == []
