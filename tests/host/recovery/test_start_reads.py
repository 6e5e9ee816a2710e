"""How much of the log a start reads: the last segment once, the end of the one before it, and nothing where all is known.

Counted in bytes, not in time.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING, BinaryIO, Self

import pytest

import perdure
from perdure.events.errors import StoreCorrupt
from perdure.store import SegmentStore, Snapshot
from perdure.store.disk.disk import Disk
from perdure.store.files import frame_index, log_end

if TYPE_CHECKING:
    from pathlib import Path


class CountedFile:
    """A file whose reads are counted."""

    def __init__(self, file: BinaryIO, read: Counter[str], name: str) -> None:
        self._file, self._read, self._name = file, read, name

    def __enter__(self) -> Self:
        """Enter."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self._file.close()

    def seek(self, at: int) -> int:
        return self._file.seek(at)

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._read[self._name] += len(data)
        return data


class CountingDisk(Disk):
    """The real disk; counts the bytes that are read of each file."""

    def __init__(self) -> None:
        self.read: Counter[str] = Counter()

    def open_read(self, path: Path) -> BinaryIO:
        return CountedFile(super().open_read(path), self.read, path.name)  # type: ignore[return-value]  # it has what is called of a file


def fill(store: SegmentStore, frames: int, size: int = 3000) -> None:
    for _ in range(frames):
        store.append(random.Random(store.last_seq).randbytes(size), 1, expected_seq=store.last_seq + 1)
    store.sync()


@pytest.fixture
def sizes(folder: Path) -> dict[str, int]:
    """Write two segments of some hundred kilobytes each, and return their sizes."""
    with perdure.System(folder, options=perdure.Options(segment_bytes=300_000)) as system:
        text = random.Random(1)
        for _ in range(260):
            system.publish({"text": text.randbytes(2000).hex()})
        system.admin.snapshot()
    found = {path.name: path.stat().st_size for path in folder.glob("*.seg")}
    assert len(found) == 2
    return found


def started(folder: Path) -> Counter[str]:
    """Return the bytes read until a system has started and answered a request."""
    disk = CountingDisk()
    with perdure.System(store=SegmentStore(folder, disk=disk, segment_bytes=300_000)) as system:
        assert system.admin.metrics().ready == 260
        return Counter(disk.read)


def test_a_start_after_a_stop_reads_the_last_segment_once(folder: Path, sizes: dict[str, int]) -> None:
    before, last = sorted(sizes)
    read = started(folder)
    assert sizes[last] <= read[last] < 1.1 * sizes[last] + 10_000
    assert read[before] <= log_end.TAIL_BYTES + 1000


def test_a_start_without_a_snapshot_reads_each_segment_but_to_fold_it(folder: Path, sizes: dict[str, int]) -> None:
    for path in folder.glob("*.snap"):
        path.unlink()
    before, last = sorted(sizes)
    read = started(folder)
    assert read[before] <= sizes[before] + log_end.TAIL_BYTES + 1000
    assert read[last] < 2.2 * sizes[last], "once to find its end, once to fold it"


def test_reading_the_newest_events_reads_no_others(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The snapshotter and a restarted actor read like this."""
    monkeypatch.setattr(frame_index, "INTERVAL_BYTES", 10_000)
    disk = CountingDisk()
    store = SegmentStore(folder, disk=disk)
    store.open()
    fill(store, 200)
    for reopened in (False, True):
        if reopened:
            store.reopen()
        disk.read.clear()
        assert [frame.first_seq for frame in store.frames(195)] == [196, 197, 198, 199, 200]
        assert sum(disk.read.values()) < 40_000
        assert [frame.first_seq for frame in store.frames(0)] == list(range(1, 201))
        for after in range(0, 200, 7):
            assert [frame.first_seq for frame in store.frames(after)] == list(range(after + 1, 201))
    store.close()


def test_remembered_position_that_was_cut_off_is_not_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_index, "INTERVAL_BYTES", 1000)
    store = SegmentStore(folder)
    store.open()
    fill(store, 20)
    known = store.reader.frame_index
    store.append(b"unsynced" * 100, 1, expected_seq=21)
    store.append(b"unsynced" * 300, 1, expected_seq=22)
    store.reopen(void_after=20)
    fill(store, 3, size=1700)
    store.reader.frame_index = known
    assert [frame.first_seq for frame in store.frames(0)] == list(range(1, 24))
    assert [frame.first_seq for frame in store.frames(20)] == [21, 22, 23]
    assert [frame.first_seq for frame in store.frames(21)] == [22, 23]
    store.close()


@pytest.mark.parametrize("size", [0, 100, 60_000, 200_000])
@pytest.mark.parametrize("sealed", [False, True])
def test_end_of_the_earlier_segment_is_found_for_any_last_frame(folder: Path, size: int, sealed: bool) -> None:
    store = SegmentStore(folder, segment_bytes=150_000)
    store.open()
    fill(store, 60)
    fill(store, 1, size=size)
    if sealed:
        store.seal()
    while len(list(folder.glob("*.seg"))) < 2:
        fill(store, 1)
        if sealed:
            store.seal()
    store.close()
    store.open()
    assert [frame.first_seq for frame in store.frames()] == list(range(1, store.last_seq + 1))
    store.close()


def test_a_payload_full_of_frames_does_not_hide_the_joint(folder: Path) -> None:
    store = SegmentStore(folder, segment_bytes=20_000)
    store.open()
    fill(store, 3)
    whole = next(folder.glob("*.seg")).read_bytes()
    for _ in range(8):
        store.append(whole[68:], 1, expected_seq=store.last_seq + 1)
    store.sync()
    store.close()
    assert len(list(folder.glob("*.seg"))) > 2
    store.open()
    assert len(list(store.frames())) == 11
    store.close()


def test_a_segment_that_is_not_continued_is_refused(folder: Path) -> None:
    store = SegmentStore(folder, segment_bytes=5000)
    store.open()
    fill(store, 12)
    store.save_snapshot(Snapshot(store.last_seq, b"state"))
    store.close()
    before = sorted(folder.glob("*.seg"))[-2]
    data = bytearray(before.read_bytes())
    data[-1] ^= 1
    before.write_bytes(data)
    with pytest.raises(StoreCorrupt, match=before.name):
        store.open()
