"""Each planted bug is noticed by the tool that the list names for it; otherwise that tool proves nothing."""

from __future__ import annotations

import importlib.util
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from perdure.chaos.mutation.bug import Edit
from perdure.chaos.mutation.bugs import BUGS, Bug
from perdure.chaos.mutation.mutants import Mutants, run_mutants
from perdure.chaos.mutation.tools import run_tool

if TYPE_CHECKING:
    from collections.abc import Iterator

RELIABILITY = Path(__file__).parents[3] / "docs" / "RELIABILITY.md"


@pytest.fixture(scope="module")
def mutants() -> Iterator[Mutants]:
    """Return what plants bugs."""
    with Mutants() as mutants:
        yield mutants


@pytest.mark.long(seconds=15)
@pytest.mark.timeout(600)  # more than the tool gives itself, on a busy machine
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_planted_bug_is_noticed(mutants: Mutants, bug: Bug) -> None:
    verdict = mutants.verdict(bug)
    print(f"{verdict.noticed or verdict.error or 'not noticed'} ({verdict.took_s:.1f} s)")
    assert verdict.dead, verdict.error or "not noticed"


def test_bugs_are_planted_in_at_least_ten_different_places() -> None:
    assert len({bug.place for bug in BUGS}) >= 10


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_the_source_still_has_what_a_planted_bug_replaces(bug: Bug) -> None:
    """A change of the source may leave the list behind, which otherwise shows only where the bugs are planted."""
    for edit in bug.edits:
        spec = importlib.util.find_spec(edit.module)
        assert spec is not None
        assert spec.origin is not None
        assert Path(spec.origin).read_text(encoding="utf-8").count(edit.old) == 1, edit


@pytest.mark.long
@pytest.mark.parametrize(("tool", "effort"), [("simulation", 10), ("crash states", 1)])
def test_without_a_bug_the_tools_notice_nothing(tool: str, effort: int) -> None:
    """If a tool reported faults in sound code, its report of a planted bug would mean nothing."""
    assert run_tool(tool, effort) == ""


def test_missing_source_text_is_reported(mutants: Mutants) -> None:
    edit = Edit("perdure.events.structures.ready_queue", "no such text", "")
    verdict = mutants.verdict(Bug("gone", "nowhere", "simulation", 1, (edit,)))
    assert not verdict.dead
    assert "contains 0 times, not once" in verdict.error


def test_each_bug_has_a_process_of_its_own(mutants: Mutants) -> None:
    """What one bug leaves behind does not reach the next: sound code is sound after a planted bug."""
    (bug,) = (bug for bug in BUGS if bug.name == "an answer before the write")
    assert mutants.verdict(bug).dead
    sound = mutants.verdict(Bug("none", "nowhere", "simulation", 1, ()))
    assert (sound.noticed, sound.error) == ("", "")


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
