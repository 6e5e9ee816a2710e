"""Planted bugs: each must be noticed by the tool that the list names, or that tool proves nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from perdure.chaos.mutation import mutants, planted
from perdure.chaos.mutation.bugs import BUGS, Bug
from perdure.chaos.mutation.mutants import run_mutants

RELIABILITY = Path(__file__).parents[2] / "docs" / "RELIABILITY.md"


@pytest.mark.long
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_planted_bug_is_noticed(bug: Bug) -> None:
    (verdict,) = run_mutants([bug])
    print(f"{verdict.noticed or verdict.error or 'it lives'} ({verdict.took_s:.1f} s)")  # noqa: T201 - shown on request (-rP)
    assert verdict.dead, verdict.error or "it lives"


def test_bugs_are_planted_in_at_least_ten_different_places() -> None:
    assert len({bug.place for bug in BUGS}) >= 10


@pytest.mark.long
@pytest.mark.parametrize(("tool", "effort"), [("simulation", 10), ("crash states", 3)])
def test_without_a_bug_the_tools_notice_nothing(tool: str, effort: int) -> None:
    """Else a mutant's death would say nothing."""
    assert mutants.run_tool(tool, effort) == ""


def test_text_that_is_gone_is_told() -> None:
    edit = '{"module": "perdure.events.structures.ready_queue", "old": "no such text", "new": ""}'
    spec = f'{{"edits": [{edit}], "tool": "simulation", "effort": 1}}'
    done = subprocess.run([sys.executable, planted.__file__, spec], capture_output=True, text=True, check=False)
    assert done.returncode == planted.NOT_PLANTED
    assert "holds 0 times, not once" in done.stdout


def test_table_in_the_docs_names_every_bug() -> None:
    table = RELIABILITY.read_text(encoding="utf-8")
    assert [bug.name for bug in BUGS if f"| {bug.name} | {bug.place} | {bug.tool} |" not in table] == []
