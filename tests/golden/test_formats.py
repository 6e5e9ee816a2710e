"""Open folders that older versions wrote, one for each format version, and compare their history.

They were written by `make.py`.
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
"""Format 2 writes plain messages in columns, ids in a row as one value, and message blocks in its snapshot."""


def test_format_2_has_its_history() -> None:
    """Scenario 38: the events are those of format 1 and one for each plain message."""
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


def test_format_1_has_its_history() -> None:
    """Scenario 38: names and order of the events, and the state at the end, are fixed."""
    audit = perdure.Audit(FORMAT_1)
    assert [(type(r.event).__name__, r.message_id) for r in audit.events()] == HISTORY_1
    assert audit.verify().ok
    then = audit.state_at(len(HISTORY_1))
    assert (then.ready, then.delayed, then.dead_letters, then.completed, then.superseded) == (1, 1, 1, 1, 1)


@pytest.mark.parametrize(("golden", "ready"), [(FORMAT_1, 1), (FORMAT_2, 5)])
def test_system_starts_on_each_format(tmp_path: Path, golden: Path, ready: int) -> None:
    """Scenario 38: a system starts with the same messages from the snapshot, and from the events alone."""
    for name in ("with", "without"):
        folder = shutil.copytree(golden, tmp_path / name)
        if name == "without":
            for snapshot in folder.glob("*.snap"):
                snapshot.unlink()
        with perdure.System(folder, clock=perdure.ManualClock()) as system:
            now = system.admin.metrics()
            assert (now.ready, now.delayed, now.dead_letters) == (ready, 1, 1)
            assert [letter.id for letter in system.dead_letters.list()] == ["dead"]
