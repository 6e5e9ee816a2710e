"""A copy of a running system's folder is usable where `hold_history` was entered, although the system drops history.

What `history` says of old segments is in `tests/store/files/test_history`.
"""

from __future__ import annotations

import os
import shutil
import threading
from typing import TYPE_CHECKING

import attrs
import pytest

import perdure
from perdure.store import History, MemoryStore, SegmentStore, Snapshot, open_reader, verify
from perdure.store import retention_hold as hold

if TYPE_CHECKING:
    from pathlib import Path

    from perdure.store import EventStore

OPTIONS = perdure.Options(segment_bytes=4096, history="drop")


@attrs.frozen
class Row:
    """A message."""

    text: str


def busy(system: perdure.System, rounds: int) -> None:
    """Publish and take snapshots until the owner drops history."""
    for _ in range(rounds):
        system.publish_many([Row(os.urandom(150).hex()) for _ in range(40)])
        system.admin.snapshot()


def copy(folder: Path, target: Path, system: perdure.System) -> None:
    """Copy in the documented order, and let the system work between any two files."""
    target.mkdir()
    for pattern in ("*.snap", "*.seg"):
        for path in sorted(folder.glob(pattern)):
            busy(system, 1)
            shutil.copyfile(path, target / path.name)


@pytest.mark.long(seconds=4)
def test_a_copy_made_in_the_documented_order_is_usable(folder: Path, tmp_path: Path) -> None:
    with perdure.System(folder, options=OPTIONS) as system:
        busy(system, 4)
        first = system.audit.first_seq
        assert first > 1
        for n in range(3):
            waited = system.admin.metrics().ready
            with system.admin.hold_history():
                copy(folder, tmp_path / f"copy{n}", system)
            assert verify(open_reader(tmp_path / f"copy{n}")).ok
            with perdure.System(tmp_path / f"copy{n}") as restored:
                assert restored.admin.metrics().ready >= waited
        before = system.audit.first_seq
        busy(system, 3)
        assert system.audit.first_seq > before, "what was held is dropped afterwards"


def test_a_young_file_holds_it_too(folder: Path, tmp_path: Path) -> None:
    """For a copy made from a shell."""
    with perdure.System(folder, options=OPTIONS) as system:
        busy(system, 4)
        first = system.audit.first_seq
        (folder / hold.HOLD_FILE).touch()
        copy(folder, tmp_path / "copy", system)
        assert system.audit.first_seq == first
        assert verify(open_reader(tmp_path / "copy")).ok
        old = (folder / hold.HOLD_FILE).stat().st_mtime - 2 * hold.HOLD_FILE_S
        os.utime(folder / hold.HOLD_FILE, (old, old))
        busy(system, 3)
        assert system.audit.first_seq > first, "one that was forgotten fills no disk"


def test_a_hold_outlasts_the_stop(folder: Path) -> None:
    system = perdure.System(folder, options=OPTIONS)
    with system:
        busy(system, 4)
        names = {path.name for path in folder.glob("log-*")}
        with system.admin.hold_history():
            busy(system, 1)
            system.stop()
            assert names <= {path.name for path in folder.glob("log-*")}
    with pytest.raises(perdure.NotRunning), system.admin.hold_history():
        pass


@pytest.fixture(params=["files", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> EventStore:
    made: EventStore = MemoryStore(drop_history=True)
    if request.param == "files":
        made = SegmentStore(tmp_path / "log", segment_bytes=100, history=History("drop"))
    made.open()
    return made


def grow(store: EventStore) -> int:
    for _ in range(4):
        store.append(b"x" * 100, 1, expected_seq=store.last_seq + 1)
        store.sync()
    store.save_snapshot(Snapshot(store.last_seq, b"state"))
    return store.retire_history()


def test_every_store_keeps_what_is_held(store: EventStore) -> None:
    while not grow(store):
        pass
    first, kept = store.first_seq, {snapshot.seq for snapshot in store.snapshots()}
    with store.hold_history(), store.hold_history():
        for _ in range(3):
            assert grow(store) == 0
        assert store.first_seq == first
        assert kept <= {snapshot.seq for snapshot in store.snapshots()}
    assert grow(store) > 0
    assert len(list(store.snapshots())) == 2
    store.abandon()


def test_hold_history_waits_for_a_removal_under_way() -> None:
    one = hold.RetentionHold(lambda: None)
    entered = threading.Event()

    def take() -> None:
        with one.held():
            entered.set()

    with one.dropping() as may_drop:
        assert may_drop
        thread = threading.Thread(target=take)
        thread.start()
        assert not entered.is_set()
    thread.join()
    assert entered.is_set()
