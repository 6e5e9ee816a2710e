"""Reading beside the owner: a consistent prefix at every moment, no lock, bounded memory; and which history the owner drops.

Reading of damaged logs is in `test_torn_and_rotten`.
"""

from __future__ import annotations

import random
import threading
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from perdure.events.errors import StoreCorrupt, StoreUnavailable
from perdure.store import FolderReader, Frame, History, SegmentStore, Snapshot, open_reader, verify
from perdure.store.files import torn_or_damaged
from perdure.store.format import segment as sg

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SegmentStore]:
    made = SegmentStore(tmp_path, segment_bytes=1_000)
    made.open()
    yield made
    made.abandon()


def put(store: SegmentStore, body: bytes) -> Frame:
    frame = Frame(store.last_seq + 1, 1, body)
    store.append(body, 1, expected_seq=frame.first_seq)
    return frame


def test_readers_beside_a_writer_see_a_prefix_that_grows(tmp_path: Path) -> None:
    """Scenario 48: through rolls, seals and frames that are just being written."""
    store = SegmentStore(tmp_path, segment_bytes=200_000)
    store.open()
    rng = random.Random(48)
    bodies = [rng.randbytes(rng.randrange(30_000)) for _ in range(300)]
    done = threading.Event()
    failures: list[BaseException] = []

    def read() -> None:
        try:
            known = 0
            while True:
                last_round = done.is_set()
                frames = list(FolderReader(tmp_path).frames())
                assert [frame.first_seq for frame in frames] == list(range(1, len(frames) + 1))
                assert all(frame.body == bodies[frame.first_seq - 1] for frame in frames)
                assert len(frames) >= known
                known = len(frames)
                if last_round:
                    assert known == len(bodies)
                    return
        except BaseException as error:  # noqa: BLE001 - handed to the test's own thread
            failures.append(error)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for n, body in enumerate(bodies):
        put(store, body)
        if n % 10 == 0:
            store.sync()
            store.seal()
    done.set()
    for reader in readers:
        reader.join(60)
    store.close()
    assert failures == []


def test_a_frame_that_becomes_whole_while_it_is_read_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scenario 48: the reader saw half of a frame; when it looks for proof of damage, the owner has finished it."""
    store = SegmentStore(tmp_path)
    store.open()
    frames = [put(store, b"one"), put(store, b"two")]
    store.sync()
    frames.append(put(store, b"three"))
    store.abandon()
    path = tmp_path / sg.file_name(1)
    whole = path.read_bytes()
    path.write_bytes(whole[: sg.HEADER_BYTES + 59 + 20])
    look_for_proof = torn_or_damaged.is_damaged

    def finished_just_before(*args: Any) -> bool:
        path.write_bytes(whole)
        return look_for_proof(*args)

    monkeypatch.setattr(torn_or_damaged, "is_damaged", finished_just_before)
    assert list(FolderReader(tmp_path).frames()) == frames


def test_a_reader_goes_on_into_a_segment_begun_meanwhile(store: SegmentStore, tmp_path: Path) -> None:
    """Scenario 48."""
    frames = [put(store, b"x" * 100) for _ in range(3)]
    reader = FolderReader(tmp_path).frames()
    read = [next(reader)]
    frames += [put(store, b"y" * 100) for _ in range(40)]
    assert len(store.reader.segments()) > 2
    read += reader
    assert read == frames


def test_a_reader_whose_frames_were_taken_back_gets_an_error(tmp_path: Path) -> None:
    """Scenario 48: one reading must not hold both frames that a failed sync made void and those that replaced them."""
    store = SegmentStore(tmp_path)
    store.open()
    put(store, b"kept")
    put(store, b"void")
    reader = FolderReader(tmp_path).frames()
    assert [next(reader).body, next(reader).body] == [b"kept", b"void"]
    store.reopen(void_after=1)
    put(store, b"accepted")
    put(store, b"too")
    with pytest.raises(StoreUnavailable, match="cut back to 1 while it was read"):
        next(reader)
    assert [frame.body for frame in FolderReader(tmp_path).frames()] == [b"kept", b"accepted", b"too"]
    store.close()


def test_several_segments_read_as_one_log(store: SegmentStore, tmp_path: Path) -> None:
    frames = [put(store, b"%d" % n * 30) for n in range(100)]
    store.close()
    segments = FolderReader(tmp_path).segments()
    assert len(segments) > 5
    assert list(FolderReader(tmp_path).frames()) == frames
    for after in (0, *segments, *(seq - 1 for seq in segments), 99, 100, 1_000):
        assert list(FolderReader(tmp_path).frames(after)) == frames[after:]
    assert store.open().segments == len(segments)


def test_reading_takes_bounded_memory(tmp_path: Path) -> None:
    store = SegmentStore(tmp_path)
    store.open()
    for _ in range(100):
        put(store, bytes(300_000))
    store.close()
    tracemalloc.start()
    try:
        assert sum(len(frame.body) for frame in FolderReader(tmp_path).frames()) == 30_000_000
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


def test_reading_changes_nothing(store: SegmentStore, tmp_path: Path) -> None:
    """Scenario 48."""
    put(store, b"x")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert len(list(FolderReader(tmp_path).frames())) == 1
    assert list(FolderReader(tmp_path).snapshots()) == []
    verify(open_reader(tmp_path))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_only_what_no_kept_snapshot_needs_is_dropped(store: SegmentStore, tmp_path: Path) -> None:
    for n in range(100):
        put(store, b"%d" % n * 30)
    store.sync()
    segments = store.reader.segments()
    store.save_snapshot(Snapshot(50, b"older"))
    store.save_snapshot(Snapshot(95, b"newer"))
    assert store.retire_history() == 0, "history is kept by default"
    store.history = History("drop")
    dropped = store.retire_history()
    assert dropped == sum(seq <= 51 for seq in segments) - 1
    assert dropped > 0
    assert [frame.first_seq for frame in store.frames(50)] == list(range(51, 101))
    store.close()
    assert store.open().last_seq == 100
    assert verify(open_reader(tmp_path)).ok
    store.close()
    for path in tmp_path.glob("*.snap"):
        path.unlink()
    with pytest.raises(StoreCorrupt, match="no whole snapshot"):
        store.open()
