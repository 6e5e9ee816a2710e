"""Old segments: kept, dropped or archived, only when two whole and synced snapshots hold them, and harmless to interrupt.

Power cuts while history is dropped are in tests/chaos/disk/test_crash_states.py.
"""

from __future__ import annotations

import logging
import shutil
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

import perdure
from perdure.actors.journal.log_fold import fold_log
from perdure.events.errors import StoreCorrupt, StoreUnavailable
from perdure.store import FolderReader, History, MemoryStore, SegmentStore, Snapshot, open_reader, open_target, repair, verify
from perdure.store.disk.disk import Disk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FRAMES = 40


class Died(BaseException):
    """The process dies in the middle of an operation."""


class RecordingDisk(Disk):
    """A disk that logs changes of names and syncs, and dies before the operation of a given number."""

    def __init__(self, die_at: int = 0) -> None:
        self.log: list[str] = []
        self.die_at = die_at
        self.on = False
        for name in ("create", "write", "sync", "rename", "sync_folder", "remove"):
            setattr(self, name, partial(self._note, name, getattr(self, name)))

    def _note(self, name: str, call: Callable[..., Any], *args: Any) -> Any:
        if self.on:
            self.log.append(f"{name} {getattr(args[0], 'name', '')}".strip())
            if len(self.log) == self.die_at:
                raise Died
        return call(*args)


def filled(folder: Path, history: History, disk: Disk | None = None) -> SegmentStore:
    """Return an open store of many segments and snapshots from which nothing was retired yet."""
    store = SegmentStore(folder, segment_bytes=400, history=history, disk=disk)
    store.open()
    for n in range(FRAMES):
        store.append(b"%d:" % n * 30, 1, expected_seq=n + 1)
    store.sync()
    for seq in (20, 30):
        store.save_snapshot(Snapshot(seq, b"state %d" % seq))
    return store


def bodies(folder: Path) -> list[bytes]:
    return [frame.body for frame in FolderReader(folder).frames()]


def goes_on(folder: Path) -> None:
    """Check that the folder is whole, opens, and has all events since the older of two snapshots."""
    assert verify(open_reader(folder)).ok, verify(open_reader(folder)).findings
    store = SegmentStore(folder, segment_bytes=400)
    assert store.open().last_seq == FRAMES
    assert [snapshot.seq for snapshot in store.snapshots()] == [30, 20]
    assert [frame.first_seq for frame in store.frames(20)] == list(range(21, FRAMES + 1))
    store.abandon()


@pytest.mark.parametrize("kind", ["keep", "drop", "archive"])
def test_old_segments_are_kept_dropped_or_archived(tmp_path: Path, kind: str) -> None:
    store = filled(tmp_path / "data", History(kind, tmp_path / "old"))
    whole = bodies(tmp_path / "data")
    before = store.reader.segments()
    gone = store.retire_history()
    store.close()
    assert gone == (0 if kind == "keep" else sum(following <= 21 for following in before[1:]))
    assert store.first_seq == before[gone]
    assert verify(open_reader(tmp_path / "data")).first_seq == before[gone]
    assert bodies(tmp_path / "data") == whole[before[gone] - 1 :]
    assert (tmp_path / "old").exists() == (kind == "archive")
    if kind == "archive":
        assert bodies(tmp_path / "old") == whole[: before[gone] - 1], "the archive can be read by itself"
        for path in (tmp_path / "old").iterdir():
            shutil.copy(path, tmp_path / "data")
        assert verify(open_reader(tmp_path / "data")).ok
        assert bodies(tmp_path / "data") == whole, "together they are the whole history"
    goes_on(tmp_path / "data")


def test_two_snapshots_must_be_whole_and_synced(tmp_path: Path) -> None:
    store = filled(tmp_path / "data", History("drop"))
    older = tmp_path / "data" / "snapshot-00000000000000000020.snap"
    data = older.read_bytes()
    older.write_bytes(data[:-1])
    assert store.retire_history() == 0, "of two snapshots one is damaged"
    older.write_bytes(data)
    for n in range(2):
        store.append(b"not synced", 1, expected_seq=store.last_seq + 1)
        store.save_snapshot(Snapshot(store.last_seq, b"state %d" % n))
    store.retire_history()
    assert [snapshot.seq for snapshot in store.snapshots()] == [42, 41, 30, 20], "a power cut may take the newest two"
    assert store.first_seq <= 21
    assert store.first_seq > 1
    store.sync()
    store.save_snapshot(Snapshot(store.last_seq, b"state 1"))
    assert [snapshot.seq for snapshot in store.snapshots()] == [42, 41]


def test_a_rotten_snapshot_does_not_replace_a_good_one_that_history_needs(tmp_path: Path) -> None:
    store = filled(tmp_path / "data", History("drop"))
    store.retire_history()
    rotten = tmp_path / "data" / "snapshot-00000000000000000030.snap"
    rotten.write_bytes(b"rot")
    store.save_snapshot(Snapshot(FRAMES, b"newest"))
    assert [snapshot.seq for snapshot in store.snapshots()] == [FRAMES, 20]
    store.close()


@pytest.mark.long(seconds=5)
def test_a_death_at_each_operation_of_archiving_is_harmless(tmp_path: Path) -> None:
    """Scenario 29 for the archive: each segment is always in at least one of the two places, whole."""
    filled(tmp_path / "data", History()).close()
    whole = bodies(tmp_path / "data")
    names = sorted(path.name for path in (tmp_path / "data").glob("*.seg"))
    for die_at in range(1, 500):
        folder, old = tmp_path / f"data-{die_at}", tmp_path / f"old-{die_at}"
        shutil.copytree(tmp_path / "data", folder)
        disk = RecordingDisk(die_at)
        store = SegmentStore(folder, segment_bytes=400, history=History("archive", old), disk=disk)
        store.open()
        disk.on = True
        try:
            store.retire_history()
        except Died:
            store.abandon()
        else:
            break
        assert sorted({path.name for path in (*folder.glob("*.seg"), *old.glob("*.seg"))}) == names
        goes_on(folder)
        again = SegmentStore(folder, segment_bytes=400, history=History("archive", old))
        again.open()
        again.retire_history()
        again.close()
        archived = bodies(old)
        assert archived == whole[: len(archived)]
        assert archived + bodies(folder) == whole
        goes_on(folder)
    assert die_at > 20


def test_the_copy_is_on_its_disk_before_the_original_goes(tmp_path: Path) -> None:
    disk = RecordingDisk()
    store = filled(tmp_path / "data", History("archive", tmp_path / "old"), disk)
    disk.on = True
    gone = store.retire_history()
    store.abandon()
    first = "log-00000000000000000001"
    one = [f"create {first}.tmp", "write", "sync", f"rename {first}.tmp", "sync_folder old", f"sync_folder {tmp_path.name}"]
    assert disk.log[:9] == ["sync_folder data", *one, f"remove {first}.seg", "sync_folder data"]
    assert len(disk.log) == 1 + 8 * gone


def test_an_archive_of_another_log_is_refused_and_nothing_goes(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "log-00000000000000000001.seg").write_bytes(b"of another program")
    store = filled(tmp_path / "data", History("archive", tmp_path / "old"))
    with pytest.raises(StoreUnavailable, match="one log only"):
        store.retire_history()
    assert store.first_seq == 1
    store.history = History("archive", tmp_path / "data")
    with pytest.raises(StoreUnavailable, match="the data folder itself"):
        store.retire_history()
    assert store.first_seq == 1
    store.close()


def test_a_damaged_segment_is_not_archived(tmp_path: Path) -> None:
    store = filled(tmp_path / "data", History("archive", tmp_path / "old"))
    second = store.reader.segment_path(store.reader.segments()[1])
    data = bytearray(second.read_bytes())
    data[-1] ^= 1
    second.write_bytes(data)
    with pytest.raises(StoreCorrupt, match=second.name):
        store.retire_history()
    assert second.exists()
    assert len(list((tmp_path / "old").iterdir())) == 1
    store.abandon()


def test_repair_builds_on_a_snapshot_where_the_log_begins_later(tmp_path: Path) -> None:
    store = filled(tmp_path / "data", History("drop"))
    store.retire_history()
    store.close()
    whole = bodies(tmp_path / "data")
    last = store.reader.segment_path(store.reader.segments()[-2])
    last.write_bytes(last.read_bytes()[:-3])
    done = repair(open_reader(tmp_path / "data"), open_target(tmp_path / "repaired"))
    assert done.findings
    kept = bodies(tmp_path / "repaired")
    assert kept == whole[: len(kept)]
    assert len(kept) == done.events_kept > 10
    assert verify(open_reader(tmp_path / "repaired")).ok
    for path in (tmp_path / "data").glob("*.snap"):
        path.write_bytes(b"rot")
    with pytest.raises(StoreCorrupt, match="no whole snapshot"):
        repair(open_reader(tmp_path / "data"), open_target(tmp_path / "hopeless"))
    assert not (tmp_path / "hopeless").exists()


def test_in_memory_too() -> None:
    store = MemoryStore(drop_history=True)
    store.open()
    for n in range(10):
        store.append(b"%d" % n, 1, expected_seq=n + 1)
    reading = store.frames()
    assert next(reading).first_seq == 1
    store.save_snapshot(Snapshot(4, b""))
    assert store.retire_history() == 0
    store.save_snapshot(Snapshot(8, b""))
    assert store.retire_history() == 4
    assert [frame.first_seq for frame in reading] == list(range(2, 11)), "a reader that had begun goes on"
    assert [frame.first_seq for frame in store.frames(3)] == list(range(5, 11))
    assert store.first_seq == 5


def test_audit_reports_where_history_begins(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Scenarios 28 and 30 with history dropped: the system goes on as before, and audit answers only what it knows."""
    options = perdure.Options(segment_bytes=4096, history="drop")
    folder = tmp_path / "data"
    known: list[int] = []
    counted = 0
    with caplog.at_level(logging.WARNING):
        for run in range(4):
            with perdure.System(folder, options=options) as system:
                assert system.admin.metrics().ready == run * 60
                for n in range(60):
                    system.publish({"text": f"{run}.{n} " * 20}, id=f"{run}-{n}")
                    if n % 20 == 19:
                        known.append(system.admin.snapshot())
                counted = system.admin.metrics().runtime_counters.get("segments_retired", 0)
    assert counted > 0
    assert not caplog.records
    audit = perdure.Audit(folder)
    assert audit.verify().ok
    first = audit.first_seq
    assert 1 < first <= known[-1] + 1
    assert next(audit.events()).seq == first
    assert audit.state_at(known[-1]).ready == 240
    assert audit.timeline("3-59")[0].name == "Published"
    refused: list[tuple[Callable[[], object], type[Exception]]] = [
        (lambda: next(audit.events(since=first - 1)), perdure.HistoryDropped),
        (lambda: audit.state_at(first - 2), perdure.HistoryDropped),
        (lambda: audit.state_at(5), perdure.HistoryDropped),
        (lambda: audit.state_at(1_000_000.0), perdure.HistoryDropped),
        (lambda: audit.timeline("0-0"), perdure.UnknownMessage),
    ]
    for ask, error in refused:
        with pytest.raises(error, match="dropped or archived"):
            ask()


@pytest.fixture
def dropped(tmp_path: Path) -> Path:
    """A folder without its early history, with two snapshots and 180 messages waiting."""
    with perdure.System(tmp_path / "data", options=perdure.Options(segment_bytes=4096, history="drop")) as system:
        for n in range(180):
            system.publish({"text": f"{n} " * 40})
            if n % 40 == 39:
                system.admin.snapshot()
    assert perdure.Audit(tmp_path / "data").first_seq > 1
    return tmp_path / "data"


@pytest.mark.parametrize("damage", [b"", b"\0" * 500, None])
def test_a_bad_newest_snapshot_is_survived_without_the_old_history(dropped: Path, damage: bytes | None) -> None:
    """Scenario 31 with history dropped."""
    newest = max(dropped.glob("*.snap"))
    data = newest.read_bytes()
    newest.write_bytes(damage if damage is not None else data[:-1] + bytes([data[-1] ^ 1]))
    with perdure.System(dropped) as system:
        assert system.admin.metrics().ready == 180
        assert system.recovery is not None
        assert 0 < system.recovery.snapshot_seq < 180


def test_without_any_whole_snapshot_it_refuses_to_run(dropped: Path) -> None:
    for path in dropped.glob("*.snap"):
        path.write_bytes(b"rot")
    before = {path.name: path.read_bytes() for path in dropped.iterdir() if path.name != "owner.lock"}
    with pytest.raises(perdure.StoreCorrupt, match="no whole snapshot"):
        perdure.System(dropped).start()
    assert {path.name: path.read_bytes() for path in dropped.iterdir() if path.name != "owner.lock"} == before
    with pytest.raises(perdure.StoreCorrupt, match="the log begins with"):
        perdure.Audit(dropped).state_at(10**9)


def test_a_fold_of_dropped_history_begins_again_from_the_newer_snapshot(dropped: Path) -> None:
    class Late:
        """A store as a reader sees it that looked for snapshots just before they were made and history was dropped."""

        def __init__(self) -> None:
            self.reader = FolderReader(dropped)
            self.first_seq, self.looks = 1, 0
            self.frames = self.reader.frames

        def snapshots(self, at_most: int | None = None) -> Any:
            self.looks += 1
            return iter(()) if self.looks == 1 else self.reader.snapshots(at_most)

    view: Any = Late()
    states, base = fold_log(view)
    assert view.looks > 1
    assert base > 0
    assert sum(counts.ready for counts in states.queue.by_type.values()) == 180
