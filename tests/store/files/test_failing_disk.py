"""Full and failing disks: the store stops at the first error, and its successor has everything that was acknowledged.

The errors come from a `Disk` that fails on demand, and from a real file-size limit in a process of its own.
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from perdure.events.errors import StoreCorrupt, StoreUnavailable
from perdure.store import FolderReader, Frame, SegmentStore, Snapshot, open_reader, verify
from perdure.store.disk.disk import Disk
from perdure.store.format import segment as sg

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class FailingDisk(Disk):
    """A disk whose n-th call (from 1) of one method fails; it lists all calls on descriptors."""

    def __init__(self) -> None:
        self.failing: dict[str, int] = {}
        self.error = errno.EIO
        self.part = 0
        self.calls: list[tuple[str, int]] = []

    def _perhaps(self, method: str, fd: int = -1) -> None:
        self.calls.append((method, fd))
        left = self.failing.get(method, 0)
        if left:
            self.failing[method] = left - 1
            if left == 1:
                raise OSError(self.error, os.strerror(self.error))

    def create(self, path: Path) -> int:
        self._perhaps("create")
        return super().create(path)

    def write(self, fd: int, data: bytes) -> None:
        try:
            self._perhaps("write", fd)
        except OSError:
            os.write(fd, data[: self.part])
            raise
        super().write(fd, data)

    def remove(self, path: Path) -> None:
        self._perhaps("remove")
        super().remove(path)

    def sync_data(self, fd: int) -> None:
        self._perhaps("sync_data", fd)
        super().sync_data(fd)

    def sync(self, fd: int) -> None:
        self._perhaps("sync", fd)
        super().sync(fd)

    def sync_folder(self, path: Path) -> None:
        self._perhaps("sync_folder")
        super().sync_folder(path)

    def cut(self, fd: int, size: int) -> None:
        self._perhaps("cut", fd)
        super().cut(fd, size)

    def truncate(self, path: Path, size: int) -> None:
        self._perhaps("truncate")
        super().truncate(path, size)

    def rename(self, old: Path, new: Path) -> None:
        self._perhaps("rename")
        super().rename(old, new)


@pytest.fixture
def disk() -> FailingDisk:
    return FailingDisk()


def opened(folder: Path, disk: Disk, segment_bytes: int = 64 << 20) -> SegmentStore:
    store = SegmentStore(folder, disk=disk, segment_bytes=segment_bytes)
    store.open()
    return store


def put(store: SegmentStore, body: bytes) -> Frame:
    frame = Frame(store.last_seq + 1, 1, body)
    store.append(body, 1, expected_seq=frame.first_seq)
    store.sync()
    return frame


@pytest.mark.parametrize("part", [0, 1, 56, 57, 60])
@pytest.mark.parametrize("cut_fails", [False, True], ids=["cut back", "left torn"])
def test_a_write_that_fails_on_a_full_disk_leaves_nothing(tmp_path: Path, disk: FailingDisk, part: int, cut_fails: bool) -> None:
    """Scenario 34: however much of the frame reached the file, and whether or not it could be cut off again."""
    store = opened(tmp_path, disk)
    kept = put(store, b"kept")
    disk.failing, disk.error, disk.part = {"write": 1, "cut": int(cut_fails)}, errno.ENOSPC, part
    with pytest.raises(StoreUnavailable, match="No space left on device") as caught:
        store.append(b"refused", 1, expected_seq=2)
    assert isinstance(caught.value.__cause__, OSError)
    attempts: list[Callable[[], None]] = [lambda: store.append(b"x", 1, expected_seq=2), store.sync, store.seal]
    for again in attempts:
        with pytest.raises(StoreUnavailable):
            again()
    assert store.reopen().last_seq == 1
    after = put(store, b"when there is room again")
    assert list(store.frames()) == [kept, after]
    store.close()
    assert verify(open_reader(tmp_path)).findings == []


def test_a_failed_sync_is_never_tried_again(tmp_path: Path, disk: FailingDisk) -> None:
    """Scenario 34: the second sync would report success, and the bytes would be gone."""
    store = opened(tmp_path, disk)
    put(store, b"kept")
    disk.failing = {"sync_data": 1}
    with pytest.raises(StoreUnavailable, match="Input/output error"):
        put(store, b"in doubt")
    disk.calls.clear()
    attempts: list[Callable[[], None]] = [store.sync, store.seal, lambda: store.append(b"x", 1, expected_seq=3)]
    for again in attempts:
        with pytest.raises(StoreUnavailable):
            again()
    store.close()
    assert disk.calls == []


def test_what_a_failed_sync_left_does_not_come_back(tmp_path: Path, disk: FailingDisk) -> None:
    """Scenario 34: the frame can still be read from the cache, but it is void and never shows again."""
    store = opened(tmp_path, disk)
    frames = [put(store, b"kept")]
    disk.failing = {"sync_data": 1}
    with pytest.raises(StoreUnavailable):
        put(store, b"in doubt")
    old_size = (tmp_path / sg.file_name(1)).stat().st_size
    recovered = store.reopen(void_after=1)
    assert (recovered.last_seq, recovered.cut_from_seq) == (1, 2)
    assert (tmp_path / sg.file_name(1)).stat().st_size == old_size - recovered.cut_bytes
    assert (tmp_path / sg.file_name(2)).exists()
    frames.append(put(store, b"accepted"))
    store.close()
    store = opened(tmp_path, Disk())
    assert list(store.frames()) == frames
    store.close()
    assert verify(open_reader(tmp_path)).findings == []


def test_a_successor_does_not_need_the_old_file_to_be_cut(tmp_path: Path, disk: FailingDisk) -> None:
    """Scenario 34: a file whose sync failed may fail again when it is cut; the later segment wins, so nothing is lost."""
    store = opened(tmp_path, disk)
    frames = [put(store, b"kept")]
    disk.failing = {"sync_data": 1, "truncate": 1}
    with pytest.raises(StoreUnavailable):
        put(store, b"in doubt")
    assert store.reopen(void_after=1).last_seq == 1
    frames.append(put(store, b"accepted"))
    assert list(store.frames()) == frames
    store.close()
    store = opened(tmp_path, Disk())
    assert list(store.frames()) == frames
    store.close()
    assert verify(open_reader(tmp_path)).findings == []


def test_a_successor_that_cannot_find_what_was_synced_reports_damage(tmp_path: Path, disk: FailingDisk) -> None:
    """Scenario 33: within one process it is known what was synced, so its loss cannot pass for a torn tail."""
    store = opened(tmp_path, disk)
    put(store, b"acknowledged")
    disk.failing = {"sync_data": 1}
    with pytest.raises(StoreUnavailable):
        put(store, b"in doubt")
    os.truncate(tmp_path / sg.file_name(1), sg.HEADER_BYTES + 3)
    with pytest.raises(StoreCorrupt, match="sequence 1"):
        store.reopen(void_after=1)
    store.abandon()


def test_what_a_roll_synced_outlives_a_later_failed_sync(tmp_path: Path, disk: FailingDisk) -> None:
    """Scenario 34: the owner's last own sync was earlier, but the store synced the full segment before it began the next."""
    store = opened(tmp_path, disk, segment_bytes=150)
    frames = [put(store, b"synced")]
    store.append(b"synced by the roll", 1, expected_seq=2)
    frames.append(Frame(2, 1, b"synced by the roll"))
    disk.failing = {"sync_data": 1}
    with pytest.raises(StoreUnavailable):
        put(store, b"in doubt")
    assert len(store.reader.segments()) == 2
    assert store.reopen(void_after=1).last_seq == 2
    frames.append(put(store, b"accepted"))
    assert list(store.frames()) == frames
    store.close()
    assert verify(open_reader(tmp_path)).findings == []


@pytest.mark.parametrize("method", ["create", "write", "sync", "rename", "sync_folder"])
@pytest.mark.parametrize("nth", [1, 2])
def test_a_roll_that_fails_at_any_step_loses_nothing(tmp_path: Path, disk: FailingDisk, method: str, nth: int) -> None:
    """Scenario 34: each step of beginning a segment fails once; acknowledged events stay, refused ones do not appear."""
    store = opened(tmp_path, disk, segment_bytes=1)
    frames = [put(store, b"1")]
    disk.failing = {method: nth}
    failures = 0
    while len(frames) < 5:
        try:
            frames.append(put(store, b"%d" % store.last_seq))
        except StoreUnavailable:
            failures += 1
            store.reopen()
    assert failures == 1
    assert list(store.frames()) == frames
    store.close()
    assert verify(open_reader(tmp_path)).findings == []


def test_recovery_that_fails_at_any_step_can_be_tried_again(tmp_path: Path) -> None:
    """Scenario 34: the disk that failed the owner may fail its successor too."""
    for method in ("sync", "create", "write", "rename", "sync_folder"):
        folder, disk = tmp_path / method, FailingDisk()
        store = opened(folder, disk)
        frames = [put(store, b"kept")]
        disk.failing = {"sync_data": 1}
        with pytest.raises(StoreUnavailable):
            put(store, b"in doubt")
        disk.failing = {method: 1}
        with pytest.raises(StoreUnavailable):
            store.reopen(void_after=1)
        with pytest.raises(StoreUnavailable, match="not open"):
            store.append(b"x", 1, expected_seq=store.last_seq + 1)
        assert store.reopen(void_after=1).last_seq == 1, method
        frames.append(put(store, b"accepted"))
        assert list(store.frames()) == frames
        store.close()
        assert verify(open_reader(folder)).findings == []


@pytest.mark.parametrize("method", ["create", "write", "sync", "rename"])
def test_a_snapshot_that_fails_leaves_the_older_ones_and_no_litter(tmp_path: Path, disk: FailingDisk, method: str) -> None:
    """Scenario 35, the store's part: on a full disk a failed attempt must not leave it fuller."""
    store = opened(tmp_path, disk)
    frame = put(store, b"x")
    store.save_snapshot(Snapshot(1, b"older"))
    disk.failing, disk.error, disk.part = {method: 1}, errno.ENOSPC, 10
    with pytest.raises(StoreUnavailable, match=r"snapshot at 1 .* No space left"):
        store.save_snapshot(Snapshot(1, b"newer"))
    assert list(store.snapshots()) == [Snapshot(1, b"older")]
    assert not list(tmp_path.glob("*.tmp"))
    assert list(store.frames()) == [frame]
    put(store, b"the log goes on")
    store.close()


def test_an_older_snapshot_that_cannot_be_removed_is_named_as_that(tmp_path: Path, disk: FailingDisk) -> None:
    """The new one is there and counts; the next snapshot removes what is too many."""
    store = opened(tmp_path, disk)
    for number in (1, 2):
        put(store, b"x")
        store.save_snapshot(Snapshot(number, b"older"))
    put(store, b"x")
    disk.failing = {"remove": 1}
    with pytest.raises(StoreUnavailable, match=r"snapshot at 3 is written, but an older one cannot be removed"):
        store.save_snapshot(Snapshot(3, b"newer"))
    assert [snapshot.seq for snapshot in store.snapshots()] == [3, 2, 1]
    put(store, b"x")
    store.save_snapshot(Snapshot(4, b"newest"))
    assert [snapshot.seq for snapshot in store.snapshots()] == [4, 3]
    store.close()


LIMITED = """
import resource, signal, sys
from perdure.events.errors import StoreUnavailable
from perdure.store import SegmentStore

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = SegmentStore(sys.argv[1])
store.open()
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, hard))
refused = 0
try:
    while True:
        store.append(b"%d" % store.last_seq * 10, 1, expected_seq=store.last_seq + 1)
        store.sync()
        print("ack", store.last_seq, flush=True)
except StoreUnavailable as error:
    print("refused", error, flush=True)
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
last = store.reopen().last_seq
store.append(b"room again", 1, expected_seq=last + 1)
store.sync()
print("ack", store.last_seq, flush=True)
"""


def test_a_real_limit_on_file_size(tmp_path: Path) -> None:
    """Scenario 34: the system writes part of a frame, then refuses; the same process goes on once there is room."""
    ran = subprocess.run([sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, timeout=60, check=True)
    lines = ran.stdout.splitlines()
    acknowledged = [int(line.split()[1]) for line in lines if line.startswith("ack")]
    assert sum(line.startswith("refused") and "File too large" in line for line in lines) == 1
    assert acknowledged == list(range(1, len(acknowledged) + 1))
    assert len(acknowledged) > 10
    store = opened(tmp_path, Disk())
    bodies = [frame.body for frame in store.frames()]
    store.close()
    assert bodies == [*(b"%d" % n * 10 for n in range(len(acknowledged) - 1)), b"room again"]


def test_a_folder_that_cannot_be_listed_is_unavailable_to_each_reader(tmp_path: Path) -> None:
    """For example because no descriptor is left (EMFILE): that passes, and must not count as a fault of the reader."""

    class Unlisted(Disk):
        def names(self, folder: Path) -> list[str]:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), str(folder))

    store = SegmentStore(tmp_path)
    store.open()
    store.append(b"one", 1, expected_seq=1)
    store.sync()
    store.save_snapshot(Snapshot(1, b"state"))
    store.close()
    reader = FolderReader(tmp_path, disk=Unlisted())
    questions: list[Callable[[], object]] = [
        lambda: list(reader.frames()),
        lambda: list(reader.snapshots()),
        lambda: reader.whole_snapshots(1, 2),
        lambda: reader.first_seq,
        reader.segments,
        reader.snapshot_seqs,
        reader.size,
        reader.store_id,
    ]
    for ask in questions:
        with pytest.raises(StoreUnavailable, match=r"Too many open files\. Close files.*ulimit -n"):
            ask()
