"""Each planted bug is noticed by the tool that the list names for it; otherwise that tool proves nothing."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from perdure.chaos.mutation import planted
from perdure.chaos.mutation.bugs import BUGS, Bug
from perdure.chaos.mutation.mutants import run_mutants
from perdure.chaos.mutation.tools import run_tool

RELIABILITY = Path(__file__).parents[3] / "docs" / "RELIABILITY.md"


@pytest.mark.long(seconds=15)
@pytest.mark.timeout(600)  # more than the tool gives itself, on a busy machine
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_planted_bug_is_noticed(bug: Bug) -> None:
    (verdict,) = run_mutants([bug])
    print(f"{verdict.noticed or verdict.error or 'not noticed'} ({verdict.took_s:.1f} s)")  # noqa: T201 - shown on request (-rP)
    assert verdict.dead, verdict.error or "not noticed"


def test_bugs_are_planted_in_at_least_ten_different_places() -> None:
    assert len({bug.place for bug in BUGS}) >= 10


@pytest.mark.long
@pytest.mark.parametrize(("tool", "effort"), [("simulation", 10), ("crash states", 1)])
def test_without_a_bug_the_tools_notice_nothing(tool: str, effort: int) -> None:
    """If a tool reported faults in sound code, its report of a planted bug would mean nothing."""
    assert run_tool(tool, effort) == ""


def test_missing_source_text_is_reported() -> None:
    edit = '{"module": "perdure.events.structures.ready_queue", "old": "no such text", "new": ""}'
    spec = f'{{"edits": [{edit}], "tool": "simulation", "effort": 1, "first": 0}}'
    done = subprocess.run([sys.executable, planted.__file__, spec], capture_output=True, text=True, check=False)
    assert done.returncode == planted.NOT_PLANTED
    assert "contains 0 times, not once" in done.stdout


@pytest.mark.parametrize("stopped", ["interrupted", "closed"])
def test_a_run_that_is_stopped_ends_its_processes(stopped: str) -> None:
    """Not only once the tools, which may take minutes, have ended."""
    endless = Bug("endless", "nowhere", "simulation", 1_000_000, ())
    quick = Bug("no such tool", "nowhere", "none", 1, ())
    verdicts = run_mutants([quick, endless, endless, endless])
    assert not next(verdicts).dead
    if stopped == "closed":
        verdicts.close()  # type: ignore[attr-defined]  # it is a generator
    else:
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            next(verdicts)
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("ThreadPoolExecutor")] == []


def test_table_in_the_docs_names_every_bug() -> None:
    table = RELIABILITY.read_text(encoding="utf-8")
    assert [bug.name for bug in BUGS if f"| {bug.name} | {bug.place} | {bug.tool} |" not in table] == []
