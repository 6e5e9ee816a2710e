"""Folders that older versions wrote, one for each format version: they open, and tell the same history.

How they were written is in `make.py`.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import perdure

FORMAT_1 = Path(__file__).with_name("format-1")
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


def test_format_1_tells_its_history() -> None:
    """Scenario 38: names and order of facts, and the state at the end, are pinned."""
    audit = perdure.Audit(FORMAT_1)
    assert [(type(r.event).__name__, r.message_id) for r in audit.events()] == HISTORY_1
    assert audit.verify().ok
    then = audit.state_at(len(HISTORY_1))
    assert (then.ready, then.delayed, then.dead_letters, then.completed, then.superseded) == (1, 1, 1, 1, 1)


def test_format_1_runs(tmp_path: Path) -> None:
    """Scenario 38: with its snapshot, and from its events alone, a system opens it with the same messages."""
    for name in ("with", "without"):
        folder = shutil.copytree(FORMAT_1, tmp_path / name)
        if name == "without":
            for snapshot in folder.glob("*.snap"):
                snapshot.unlink()
        with perdure.System(folder, clock=perdure.ManualClock()) as system:
            now = system.admin.metrics()
            assert (now.ready, now.delayed, now.dead_letters) == (1, 1, 1)
            assert [letter.id for letter in system.dead_letters.list()] == ["dead"]
