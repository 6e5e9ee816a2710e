"""A log whose last write was torn goes on; a damaged log refuses to run, and the error says where.

Damage is done here to real files; what the whole-folder check makes of it is in `test_verify`.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from perdure.events.errors import StoreCorrupt, StoreUnavailable
from perdure.store import FolderReader, Frame, SegmentStore, Snapshot, open_reader, verify
from perdure.store.format import frame as fr
from perdure.store.format import segment as sg

if TYPE_CHECKING:
    from pathlib import Path

Ends = list[tuple[int, Frame]]


def write(folder: Path, bodies: list[bytes], *, seal: bool = False, sync_each: bool = True) -> Ends:
    """Write one frame of two events for each body; return where each frame ends in the first segment."""
    store = SegmentStore(folder)
    store.open()
    ends = []
    for body in bodies:
        frame = Frame(store.last_seq + 1, 2, body)
        store.append(body, 2, expected_seq=store.last_seq + 1)
        ends.append(((folder / sg.file_name(1)).stat().st_size, frame))
        if sync_each:
            store.sync()
    if seal:
        store.close()
    else:
        store.abandon()
    return ends


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 0x10
    path.write_bytes(data)


def goes_on(folder: Path, frames: list[Frame]) -> None:
    """Open, find exactly these frames, add one, and find it after another restart."""
    store = SegmentStore(folder)
    try:
        recovered = store.open()
        assert list(store.frames()) == frames
        assert recovered.last_seq == (frames[-1].last_seq if frames else 0)
        store.append(b"next", 1, expected_seq=recovered.last_seq + 1)
        store.close()
        store.open()
        assert list(store.frames()) == [*frames, Frame(recovered.last_seq + 1, 1, b"next")]
    finally:
        store.abandon()
    assert verify(open_reader(folder)).findings == []


def test_the_last_frame_torn_at_every_byte(tmp_path: Path) -> None:
    """Scenario 32: every whole frame is kept, and the numbers go on."""
    ends = write(tmp_path / "whole", [b"one", b"two", b"three"])
    frames = [frame for _, frame in ends]
    data = (tmp_path / "whole" / sg.file_name(1)).read_bytes()
    for size in range(ends[1][0], ends[2][0] + 1):
        folder = tmp_path / str(size)
        folder.mkdir()
        (folder / sg.file_name(1)).write_bytes(data[:size])
        goes_on(folder, frames if size == len(data) else frames[:2])
        shutil.rmtree(folder)


@pytest.mark.parametrize("tail", [b"\0" * 600, b"PdFr" * 50, b"\xff" * 57, b"PdFr\x01"])
def test_a_last_frame_that_reached_the_disk_as_something_else(tmp_path: Path, tail: bytes) -> None:
    """Scenario 32."""
    ends = write(tmp_path, [b"one", b"two", b"three"])
    path = tmp_path / sg.file_name(1)
    path.write_bytes(path.read_bytes()[: ends[1][0]] + tail)
    goes_on(tmp_path, [frame for _, frame in ends[:2]])


def test_the_only_frame_torn(tmp_path: Path) -> None:
    """Scenario 32: the cut segment is replaced by one of the same name."""
    ends = write(tmp_path, [b"one"])
    path = tmp_path / sg.file_name(1)
    path.write_bytes(path.read_bytes()[: ends[0][0] - 1])
    goes_on(tmp_path, [])


def test_recovery_says_what_it_cut(tmp_path: Path) -> None:
    """Scenario 57, the store's part."""
    ends = write(tmp_path, [b"one", b"two"])
    path = tmp_path / sg.file_name(1)
    path.write_bytes(path.read_bytes()[: ends[0][0] + 40])
    store = SegmentStore(tmp_path)
    recovered = store.open()
    store.close()
    assert (recovered.cut_bytes, recovered.cut_from_seq, recovered.clean) == (40, 3, False)


def test_unsynced_writes_that_reached_the_disk_out_of_order_are_a_tear(tmp_path: Path) -> None:
    """Scenario 32: a whole frame behind the torn one is no proof that the torn one had been synced."""
    ends = write(tmp_path, [b"one", b"two", b"three", b"four"], sync_each=False)
    flip(tmp_path / sg.file_name(1), ends[1][0] - 1)
    goes_on(tmp_path, [ends[0][1]])


@pytest.mark.parametrize("spot", ["first byte", "sequence", "body"])
def test_a_flipped_byte_in_the_middle_is_damage(tmp_path: Path, spot: str) -> None:
    """Scenario 33: it names file, offset and sequence, changes nothing, and all before it can still be read."""
    ends = write(tmp_path, [b"one", b"two", b"three"])
    path = tmp_path / sg.file_name(1)
    begins = ends[0][0]
    flip(path, {"first byte": begins, "sequence": begins + 12, "body": ends[1][0] - 1}[spot])
    before = path.read_bytes()
    with pytest.raises(StoreCorrupt, match=f"offset {begins}, sequence 3") as caught:
        SegmentStore(tmp_path).open()
    assert (caught.value.file, caught.value.offset, caught.value.seq) == (str(path), begins, 3)
    assert path.read_bytes() == before
    reader = FolderReader(tmp_path).frames()
    assert next(reader) == ends[0][1]
    with pytest.raises(StoreCorrupt, match="sequence 3"):
        next(reader)
    assert list(FolderReader(tmp_path).frames(until=2)) == [ends[0][1]]


def test_every_flipped_byte_of_a_sealed_log_is_damage(tmp_path: Path) -> None:
    """Scenario 33: a seal proves that the last frame was synced, so rot in it cannot pass for a torn write."""
    ends = write(tmp_path, [b"one", b"two"], seal=True)
    path = tmp_path / sg.file_name(1)
    data = path.read_bytes()
    for offset in range(ends[-1][0]):
        path.write_bytes(data)
        flip(path, offset)
        with pytest.raises((StoreCorrupt, StoreUnavailable)):
            SegmentStore(tmp_path).open()
    path.write_bytes(data)
    goes_on(tmp_path, [frame for _, frame in ends])


def test_a_rotten_seal_costs_nothing(tmp_path: Path) -> None:
    """Scenario 33: whatever happens to the seal itself, all frames are there."""
    ends = write(tmp_path, [b"one", b"two"], seal=True)
    flip(tmp_path / sg.file_name(1), ends[-1][0] + 20)
    goes_on(tmp_path, [frame for _, frame in ends])


def test_a_frame_removed_from_the_middle_is_damage(tmp_path: Path) -> None:
    """Scenario 33."""
    ends = write(tmp_path, [b"one", b"two", b"three"])
    path = tmp_path / sg.file_name(1)
    data = path.read_bytes()
    path.write_bytes(data[: ends[0][0]] + data[ends[1][0] :])
    with pytest.raises(StoreCorrupt, match="does not follow"):
        SegmentStore(tmp_path).open()


def test_a_frame_inside_a_body_is_no_frame(tmp_path: Path) -> None:
    """A host may publish what it read from its own log: a torn frame with an older one inside is torn all the same."""
    ends = write(tmp_path, [b"one"])
    path = tmp_path / sg.file_name(1)
    inner = path.read_bytes()[sg.HEADER_BYTES :]
    ends += write(tmp_path, [inner])
    path.write_bytes(path.read_bytes()[:-1])
    goes_on(tmp_path, [ends[0][1]])


def test_damage_in_an_earlier_segment_is_no_tear(tmp_path: Path) -> None:
    """Scenario 33: only the last segment can be torn."""
    store = SegmentStore(tmp_path, segment_bytes=1)
    store.open()
    for seq in (1, 2, 3):
        store.append(b"x", 1, expected_seq=seq)
    store.abandon()
    earlier = tmp_path / sg.file_name(2)
    earlier.write_bytes(earlier.read_bytes()[:-1])
    with pytest.raises(StoreCorrupt, match="sequence 2"):
        SegmentStore(tmp_path).open()


@pytest.mark.parametrize("missing", [1, 2])
def test_a_missing_segment_is_damage(tmp_path: Path, missing: int) -> None:
    """Scenario 33: a log that does not begin at the beginning is never taken for an empty one."""
    store = SegmentStore(tmp_path, segment_bytes=1)
    store.open()
    for seq in (1, 2, 3):
        store.append(b"x", 1, expected_seq=seq)
    store.abandon()
    (tmp_path / sg.file_name(missing)).unlink()
    with pytest.raises(StoreCorrupt):
        SegmentStore(tmp_path).open()


def test_snapshots_without_a_log_are_damage(tmp_path: Path) -> None:
    store = SegmentStore(tmp_path)
    store.open()
    store.append(b"x", 1, expected_seq=1)
    store.save_snapshot(Snapshot(1, b"state"))
    store.close()
    (tmp_path / sg.file_name(1)).unlink()
    with pytest.raises(StoreCorrupt, match="no log"):
        SegmentStore(tmp_path).open()


@pytest.mark.parametrize("how", ["truncated", "zeroed", "flipped", "empty", "of another number"])
def test_a_damaged_snapshot_means_an_older_one(tmp_path: Path, how: str, caplog: pytest.LogCaptureFixture) -> None:
    """Scenario 31."""
    store = SegmentStore(tmp_path)
    store.open()
    store.append(b"x", 20, expected_seq=1)
    store.save_snapshot(Snapshot(10, b"older " * 50))
    store.save_snapshot(Snapshot(20, b"newer " * 50))
    path = tmp_path / f"snapshot-{20:020d}.snap"
    data = path.read_bytes()
    match how:
        case "truncated":
            path.write_bytes(data[:-1])
        case "zeroed":
            path.write_bytes(bytes(len(data)))
        case "flipped":
            flip(path, len(data) // 2)
        case "empty":
            path.write_bytes(b"")
        case _:
            path.write_bytes((tmp_path / f"snapshot-{10:020d}.snap").read_bytes())
    assert [s.seq for s in store.snapshots()] == [10]
    assert path.name in caplog.text
    store.close()
    store.open()
    assert next(store.snapshots()) == Snapshot(10, b"older " * 50)
    store.close()


def test_every_flipped_bit_of_a_snapshot_is_seen(tmp_path: Path) -> None:
    """Scenario 31."""
    store = SegmentStore(tmp_path)
    store.open()
    store.append(b"x", 1, expected_seq=1)
    store.save_snapshot(Snapshot(1, b"state"))
    store.close()
    path = tmp_path / f"snapshot-{1:020d}.snap"
    data = path.read_bytes()
    for offset in range(len(data)):
        path.write_bytes(data)
        flip(path, offset)
        assert list(FolderReader(tmp_path).snapshots()) == [], offset


def test_a_snapshot_that_knows_more_than_the_log_is_set_aside(tmp_path: Path) -> None:
    """Scenario 31: after a power cut a snapshot may hold events that the log lost; others get their numbers."""
    ends = write(tmp_path, [b"one", b"two"])
    store = SegmentStore(tmp_path)
    store.open()
    store.save_snapshot(Snapshot(2, b"one"))
    store.save_snapshot(Snapshot(4, b"one and two"))
    store.abandon()
    path = tmp_path / sg.file_name(1)
    path.write_bytes(path.read_bytes()[: ends[0][0]])
    store.open()
    assert [s.seq for s in store.snapshots()] == [2]
    store.append(b"another two", 2, expected_seq=3)
    store.close()
    store.open()
    assert [s.seq for s in store.snapshots()] == [2]
    store.close()
    assert (tmp_path / f"snapshot-{4:020d}.void").exists()


def test_a_cut_that_was_not_finished_is_finished_later(tmp_path: Path) -> None:
    """Scenario 32: a crash after the new segment began, before the torn end was cut off the old one."""
    ends = write(tmp_path, [b"one", b"two"])
    path = tmp_path / sg.file_name(1)
    torn = path.read_bytes()[:-1]
    path.write_bytes(torn)
    store = SegmentStore(tmp_path)
    store.open()
    store.abandon()
    path.write_bytes(torn)
    assert [frame.body for frame in FolderReader(tmp_path).frames()] == [b"one"]
    goes_on(tmp_path, [ends[0][1]])


def test_leftovers_of_unfinished_files_are_removed(tmp_path: Path) -> None:
    ends = write(tmp_path, [b"one"])
    (tmp_path / "log-00000000000000000003.tmp").write_bytes(b"PERD")
    (tmp_path / "snapshot-00000000000000000002.tmp").write_bytes(b"")
    goes_on(tmp_path, [ends[0][1]])
    assert not list(tmp_path.glob("*.tmp"))


def test_a_newer_format_is_refused_by_its_number(tmp_path: Path) -> None:
    write(tmp_path, [b"one"])
    path = tmp_path / sg.file_name(1)
    data = bytearray(path.read_bytes())
    data[8:10] = (sg.FORMAT + 1).to_bytes(2, "little")
    path.write_bytes(data)
    with pytest.raises(StoreUnavailable, match=f"of format {sg.FORMAT + 1}; .*knows up to {sg.FORMAT}. Upgrade"):
        SegmentStore(tmp_path).open()
    assert path.read_bytes() == data
    assert fr.VERSION == 1
