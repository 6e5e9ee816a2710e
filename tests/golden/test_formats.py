"""Folders that older versions wrote, one for each format version: they open, and tell the same history.

How they were written is in `make.py`.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import perdure

FORMAT_1, FORMAT_2 = (Path(__file__).with_name(name) for name in ("format-1", "format-2"))
HISTORY_1 = [
    ("Published", "older"),
    ("Started", None),
    ("Published", "newer"),
    ("Superseded", "older"),
    ("Leased", "newer"),
    ("Completed", "newer"),
    ("Published", "dead"),
    ("Leased", "dead"),
    ("AttemptFailed", "dead"),
    ("DeadLettered", "dead"),
    ("Published", "later"),
    ("Published", "waits"),
    ("Stopped", None),
]


HISTORY_2 = [*HISTORY_1[:-1], *[("Published", "plain")] * 4, ("Stopped", None)]
"""Format 2 writes plain messages in columns, ids in a row as one, and keeps them in parcels in its snapshot."""


def test_format_2_tells_its_history() -> None:
    """Scenario 38: as format 1, and the plain messages one by one."""
    audit = perdure.Audit(FORMAT_2)
    found = [(type(r.event).__name__, r.message_id) for r in audit.events()]
    plain = [ident for _, ident in found[-5:-1]]
    assert found == [
        (name, plain[i - len(HISTORY_1) + 1] if ident == "plain" else ident) for i, (name, ident) in enumerate(HISTORY_2)
    ]
    assert plain == sorted(set(map(str, plain)))
    assert audit.verify().ok
    then = audit.state_at(len(HISTORY_2))
    assert (then.ready, then.delayed, then.dead_letters, then.completed, then.superseded) == (5, 1, 1, 1, 1)


def test_format_1_tells_its_history() -> None:
    """Scenario 38: names and order of facts, and the state at the end, are pinned."""
    audit = perdure.Audit(FORMAT_1)
    assert [(type(r.event).__name__, r.message_id) for r in audit.events()] == HISTORY_1
    assert audit.verify().ok
    then = audit.state_at(len(HISTORY_1))
    assert (then.ready, then.delayed, then.dead_letters, then.completed, then.superseded) == (1, 1, 1, 1, 1)


@pytest.mark.parametrize(("golden", "ready"), [(FORMAT_1, 1), (FORMAT_2, 5)])
def test_each_format_runs(tmp_path: Path, golden: Path, ready: int) -> None:
    """Scenario 38: with its snapshot, and from its events alone, a system opens it with the same messages."""
    for name in ("with", "without"):
        folder = shutil.copytree(golden, tmp_path / name)
        if name == "without":
            for snapshot in folder.glob("*.snap"):
                snapshot.unlink()
        with perdure.System(folder, clock=perdure.ManualClock()) as system:
            now = system.admin.metrics()
            assert (now.ready, now.delayed, now.dead_letters) == (ready, 1, 1)
            assert [letter.id for letter in system.dead_letters.list()] == ["dead"]
