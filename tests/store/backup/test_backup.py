"""A backup takes what is new, run after run, never counts what was cut off, and gives back the log as it was at any commit."""

from __future__ import annotations

import errno
import os
import random
import shutil
import time
from typing import TYPE_CHECKING

import pytest

from perdure.chaos.disk.crash_states import PowerCuts
from perdure.chaos.disk.memory_disk import Fault, Killed, MemoryDisk
from perdure.events.errors import HistoryDropped, StoreCorrupt, StoreLocked, StoreUnavailable
from perdure.store import (
    BackupReader,
    FolderReader,
    History,
    MemoryStore,
    SegmentStore,
    Snapshot,
    back_up,
    open_reader,
    open_target,
    repair,
    restore_log,
    verify,
)
from perdure.store.backup.folder import BackupFolder
from perdure.store.disk.disk import Disk
from perdure.store.files import folder_reader
from perdure.store.files.folder_copy import FolderCopy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from perdure.store import EventStore


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SegmentStore]:
    made = SegmentStore(tmp_path / "log", segment_bytes=400)
    made.open()
    yield made
    made.abandon()


def write(store: EventStore, frames: int, each: int = 1) -> None:
    for _ in range(frames):
        store.append(b"%d" % store.last_seq * 30, each, expected_seq=store.last_seq + 1)
    store.sync()


def to_folder(path: Path, segment_bytes: int = 1000) -> BackupFolder:
    return BackupFolder(path, segment_bytes=segment_bytes)


def test_a_second_run_copies_only_what_is_new(store: SegmentStore, tmp_path: Path) -> None:
    target = tmp_path / "backup"
    write(store, 40)
    first = back_up(store, to_folder(target))
    assert (first.events, first.last_seq) == (40, 40)
    whole = {path.name: path.stat().st_ino for path in target.glob("*.seg")}
    assert len(whole) > 3
    write(store, 2)
    second = back_up(FolderReader(store.path), to_folder(target))
    assert (second.events, second.last_seq, second.head) == (2, 42, verify(store).head)
    kept = {path.name for path in target.glob("*.seg") if whole.get(path.name) == path.stat().st_ino}
    assert len(kept) >= len(whole) - 1
    assert list(open_reader(target).frames()) == list(store.frames())
    assert verify(open_reader(target), head=first.head).ok


def test_many_small_runs_leave_few_files(store: SegmentStore, tmp_path: Path) -> None:
    for _ in range(30):
        write(store, 1)
        back_up(store, to_folder(tmp_path / "backup", 64 << 20))
    assert len([*(tmp_path / "backup").glob("*.seg")]) == 1
    assert back_up(store, to_folder(tmp_path / "backup")).events == 0
    assert list(open_reader(tmp_path / "backup").frames()) == list(store.frames())


def test_what_was_restored_is_the_log_up_to_any_commit_and_goes_on(store: SegmentStore, tmp_path: Path) -> None:
    write(store, 5, each=3)
    store.save_snapshot(Snapshot(9, b"state"))
    write(store, 5, each=2)
    back_up(store, to_folder(tmp_path / "backup"))
    source = BackupReader(tmp_path / "backup")
    for to in range(1, 26):
        if to < 3:
            continue
        done = restore_log(source, open_target(tmp_path / f"to {to}"), to=to)
        expected = [frame for frame in store.frames() if frame.last_seq <= to]
        assert done.last_seq == expected[-1].last_seq
        assert done.left_out == 25 - done.last_seq
        assert list(open_reader(tmp_path / f"to {to}").frames()) == expected
        assert done.snapshots == (done.last_seq >= 9)
        assert verify(open_reader(tmp_path / f"to {to}")).head == done.head
    again = SegmentStore(tmp_path / "to 20")
    recovered = again.open()
    write(again, 1)
    again.close()
    assert verify(open_reader(tmp_path / "to 20")).ok
    assert recovered.epoch > store.epoch + (1 << 16)  # no owner of the copy has the epoch of one of the original


def test_a_restored_log_keeps_the_id_and_two_of_them_have_different_epochs(store: SegmentStore, tmp_path: Path) -> None:
    write(store, 3)
    back_up(store, to_folder(tmp_path / "backup"))
    epochs = set()
    for name in ("one", "two"):
        restore_log(BackupReader(tmp_path / "backup"), open_target(tmp_path / name))
        assert open_reader(tmp_path / name).store_id() == store.store_id()
        copy = SegmentStore(tmp_path / name)
        epochs.add(copy.open().epoch)
        copy.close()
    assert len(epochs) == 2


def test_dropped_history_begins_with_its_snapshot(tmp_path: Path) -> None:
    store = SegmentStore(tmp_path / "log", segment_bytes=200, history=History("drop"))
    store.open()
    write(store, 20)
    for seq in (10, 12):
        store.save_snapshot(Snapshot(seq, b"state %d" % seq))
    assert store.retire_history()
    done = back_up(store, to_folder(tmp_path / "backup"))
    assert done.first_seq == store.first_seq > 1
    assert verify(open_reader(tmp_path / "backup")).ok
    source = BackupReader(tmp_path / "backup")
    assert restore_log(source, open_target(tmp_path / "restored"), to=11).snapshots == 1
    with pytest.raises(HistoryDropped, match="goes back to 10"):
        restore_log(source, open_target(tmp_path / "too early"), to=9)
    write(store, 30)
    for seq in (40, 42):
        store.save_snapshot(Snapshot(seq, b"state %d" % seq))
    assert store.retire_history()
    with pytest.raises(HistoryDropped, match="more often"):
        back_up(store, to_folder(tmp_path / "backup"))
    store.close()


def test_history_is_held_while_it_is_copied(tmp_path: Path) -> None:
    store = SegmentStore(tmp_path / "log", segment_bytes=200, history=History("drop"))
    store.open()
    write(store, 20)
    for seq in (10, 12):
        store.save_snapshot(Snapshot(seq, b"state"))
    retired = []
    back_up(FolderReader(store.path), to_folder(tmp_path / "backup"), progress=lambda _: retired.append(store.retire_history()))
    assert set(retired) == {0}
    assert store.retire_history()
    store.close()


def test_a_hold_stays_young_for_as_long_as_a_copy_takes(store: SegmentStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_reader, "HOLD_FILE_S", 0.4)
    hold = store.path / "history.hold"
    with FolderReader(store.path).hold_history():
        os.utime(hold, (1, 1))
        until_s = time.monotonic() + 60
        while hold.stat().st_mtime < 2:
            assert time.monotonic() < until_s
            time.sleep(0.01)
    assert not hold.exists()


def test_a_log_in_memory_is_backed_up_too(tmp_path: Path) -> None:
    store = MemoryStore()
    store.open()
    write(store, 3)
    back_up(store, to_folder(tmp_path / "backup"))
    write(store, 3)
    assert back_up(store, to_folder(tmp_path / "backup")).events == 3
    assert list(open_reader(tmp_path / "backup").frames()) == list(store.frames())


# --- refusals ------------------------------------------------------------------------------------------------------------


def test_a_folder_with_something_else_is_refused(store: SegmentStore, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").touch()
    with pytest.raises(StoreUnavailable, match="holds no backup"):
        back_up(store, to_folder(tmp_path / "photos"))
    with pytest.raises(StoreUnavailable, match="lies in the data folder"):
        back_up(store, to_folder(store.path))
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["cat.jpg"]


def test_a_backup_of_another_store_is_refused(store: SegmentStore, tmp_path: Path) -> None:
    other = SegmentStore(tmp_path / "other")
    other.open()
    write(other, 1)
    back_up(other, to_folder(tmp_path / "backup"))
    with pytest.raises(StoreUnavailable, match="another store"):
        back_up(store, to_folder(tmp_path / "backup"))
    other.close()


def test_history_that_was_edited_since_is_refused(store: SegmentStore, tmp_path: Path) -> None:
    write(store, 10)
    back_up(store, to_folder(tmp_path / "backup"))
    store.close()
    edited = restored_with_another_end(tmp_path, 8)
    with pytest.raises(StoreCorrupt, match="not the one that the backup has"):
        back_up(FolderReader(edited), to_folder(tmp_path / "backup"))
    assert back_up(FolderReader(store.path), to_folder(tmp_path / "backup")).events == 0


def restored_with_another_end(tmp_path: Path, to: int) -> Path:
    restore_log(BackupReader(tmp_path / "backup"), open_target(tmp_path / "edited"), to=to)
    edited = SegmentStore(tmp_path / "edited")
    edited.open()
    write(edited, 10)
    edited.close()
    return tmp_path / "edited"


def test_a_log_that_was_cut_back_is_refused(store: SegmentStore, tmp_path: Path) -> None:
    write(store, 10)
    back_up(store, to_folder(tmp_path / "backup"))
    restore_log(BackupReader(tmp_path / "backup"), open_target(tmp_path / "short"), to=6)
    with pytest.raises(StoreCorrupt, match="cut back or restored to an earlier moment"):
        back_up(FolderReader(tmp_path / "short"), to_folder(tmp_path / "backup"))


def test_damage_is_not_copied(store: SegmentStore, tmp_path: Path) -> None:
    write(store, 30)
    store.close()
    path = min(store.path.glob("*.seg"))
    data = bytearray(path.read_bytes())
    data[150] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(StoreCorrupt, match="damaged"):
        back_up(FolderReader(store.path), to_folder(tmp_path / "backup"))
    with pytest.raises(StoreUnavailable, match="never completed"):
        open_reader(tmp_path / "backup").check_readable()


def test_an_edit_of_what_was_copied_earlier_is_found_by_a_check(store: SegmentStore, tmp_path: Path) -> None:
    write(store, 30)
    back_up(store, to_folder(tmp_path / "backup"))
    first = min(store.path.glob("*.seg"))
    data = first.read_bytes()
    first.write_bytes(data[:150] + bytes([data[150] ^ 1]) + data[151:])
    write(store, 1)
    with pytest.raises(StoreCorrupt, match="damaged"):
        back_up(store, to_folder(tmp_path / "backup"), check=True)
    first.write_bytes(data)
    assert back_up(store, to_folder(tmp_path / "backup"), check=True).events == 1


def test_two_runs_at_once_do_not_write_into_one_backup(store: SegmentStore, tmp_path: Path) -> None:
    write(store, 3)
    busy = to_folder(tmp_path / "backup")
    busy.begin(store.store_id() or b"")
    with pytest.raises(StoreLocked):
        back_up(store, to_folder(tmp_path / "backup"))
    busy.close()
    assert back_up(store, to_folder(tmp_path / "backup")).events == 3


def test_no_system_runs_on_a_backup(store: SegmentStore, tmp_path: Path) -> None:
    write(store, 3)
    back_up(store, to_folder(tmp_path / "backup"))
    with pytest.raises(StoreUnavailable, match="perdure restore"):
        SegmentStore(tmp_path / "backup").open()


def test_a_restore_over_a_live_folder_is_refused(store: SegmentStore, tmp_path: Path) -> None:
    write(store, 3)
    back_up(store, to_folder(tmp_path / "backup"))
    with pytest.raises(StoreUnavailable, match=r"process \d+ uses it"):
        restore_log(BackupReader(tmp_path / "backup"), open_target(store.path))
    assert len(list(store.frames())) == 3


def test_rot_in_a_backup_is_found_and_not_restored(store: SegmentStore, tmp_path: Path) -> None:
    write(store, 30)
    back_up(store, to_folder(tmp_path / "backup"))
    newest = max((tmp_path / "backup").glob("*.seg"))
    newest.write_bytes(newest.read_bytes()[:-20])  # to a plain reader this is a torn end, which is no damage
    assert [finding.problem for finding in verify(open_reader(tmp_path / "backup")).findings][-1].startswith("backup.json says")
    with pytest.raises(StoreCorrupt, match="says that it ends at 30"):
        restore_log(BackupReader(tmp_path / "backup"), open_target(tmp_path / "restored"))
    with pytest.raises(StoreUnavailable, match="cut off"):
        open_reader(tmp_path / "restored").check_readable()


def test_a_backup_json_that_was_edited_is_damage(store: SegmentStore, tmp_path: Path) -> None:
    write(store, 3)
    back_up(store, to_folder(tmp_path / "backup"))
    path = tmp_path / "backup" / "backup.json"
    path.write_text(path.read_text().replace('"last_seq": 3', '"last_seq": 2'))
    with pytest.raises(StoreCorrupt, match="its checksum does not match"):
        back_up(store, to_folder(tmp_path / "backup"))
    path.unlink()
    assert repair(open_reader(tmp_path / "backup"), open_target(tmp_path / "repaired")).lost == []
    assert [*open_reader(tmp_path / "repaired").frames()] == [*store.frames()]


# --- cut off at any point ------------------------------------------------------------------------------------------------


def filled(frames: int) -> MemoryStore:
    store = MemoryStore()
    store.open()
    write(store, frames)
    store.save_snapshot(Snapshot(frames, b"state"))
    return store


def on_disk(disk: MemoryDisk) -> BackupFolder:
    return BackupFolder("/data", disk=disk, segment_bytes=700, now_us=lambda: 1)


def test_a_power_cut_at_any_operation_leaves_the_last_complete_run_and_the_next_completes_it() -> None:
    store, disk = filled(5), MemoryDisk()
    rng = random.Random(7)
    cuts = PowerCuts(rng, samples=1)
    completed = 0

    def check(_name: str) -> None:
        for state in cuts.states(disk):
            if completed:
                assert BackupReader("/data", disk=state).state().completed_seq >= completed
                restored = FolderCopy("/data", disk=MemoryDisk())
                assert restore_log(BackupReader("/data", disk=state), restored).last_seq >= completed
            done = back_up(store, on_disk(state))
            assert done.last_seq == store.last_seq
            found = BackupReader("/data", disk=state)
            assert [*found.frames()] == [*store.frames()]
            assert verify(found).ok

    disk.before_each = check
    completed = back_up(store, on_disk(disk)).last_seq
    write(store, 5)
    store.save_snapshot(Snapshot(10, b"later state"))
    back_up(store, on_disk(disk))
    assert disk.operations > 20


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_each_operation_failing_once_leaves_what_was_completed(code: int) -> None:
    for at in range(1, 200):
        store, disk = filled(8), MemoryDisk()
        back_up(store, on_disk(disk))
        write(store, 9)
        disk.faults = [Fault(at, code, part=3)]
        try:
            back_up(store, on_disk(disk))
        except StoreUnavailable as error:
            assert "could not" in str(error)  # noqa: PT017 - most, not all, of them fail
            assert BackupReader("/data", disk=disk).state().completed_seq in {8, 17}
        if disk.faults:
            break
        disk.faults = []
        assert back_up(store, on_disk(disk)).last_seq == 17
        assert [*BackupReader("/data", disk=disk).frames()] == [*store.frames()]
    else:
        pytest.fail("the run never came to its end")


def test_a_restore_that_is_killed_at_any_operation_is_no_log_and_is_begun_anew() -> None:
    store, disk = filled(8), MemoryDisk()
    back_up(store, on_disk(disk))
    source = BackupReader("/data", disk=disk)
    for at in range(1, 200):
        target = MemoryDisk()
        target.kill_at = at
        try:
            restore_log(source, FolderCopy("/data", disk=target, segment_bytes=500))
        except Killed:
            target.kill_at, target.owner = 0, None
            names = target.names_seen
            if names and "unfinished.copy" in names:
                with pytest.raises(StoreUnavailable, match="cut off"):
                    SegmentStore("/data", disk=target).open()
                restore_log(source, FolderCopy("/data", disk=target, segment_bytes=500))
            assert not names or [*FolderReader("/data", disk=target).frames()] == [*store.frames()]
        else:
            return
    pytest.fail("the restore never came to its end")


def test_a_full_disk_is_an_error_that_says_what_to_do(store: SegmentStore, tmp_path: Path) -> None:
    class Full(Disk):
        def write(self, fd: int, data: bytes) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    write(store, 3)
    back_up(store, to_folder(tmp_path / "backup"))
    write(store, 3)
    with pytest.raises(StoreUnavailable, match="What earlier runs completed is as it was"):
        back_up(store, BackupFolder(tmp_path / "backup", disk=Full()))
    assert not [*(tmp_path / "backup").glob("*.tmp")]
    shutil.copytree(tmp_path / "backup", tmp_path / "elsewhere")  # a backup is plain files
    assert restore_log(BackupReader(tmp_path / "elsewhere"), open_target(tmp_path / "restored")).last_seq == 3
