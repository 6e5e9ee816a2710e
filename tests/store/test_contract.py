"""The contract of an event store, run against each implementation: what goes in comes out, in order, with one owner.

What only files can suffer (tears, rot, full disks) is in the other files of this folder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import perdure
from perdure.events.errors import HistoryDropped, StoreLocked, StoreUnavailable
from perdure.store import (
    EventStore,
    Frame,
    History,
    MemoryStore,
    RowsGone,
    SegmentStore,
    Snapshot,
    open_reader,
    open_target,
    repair,
    verify,
)
from perdure.store.memory import MemoryIngress
from perdure.store.survey import Stretch, WholeFrame
from tests.postgres_server import new_queue, shared_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from perdure.store.other_processes import Ingress


POSTGRES = pytest.param("postgres", marks=pytest.mark.xdist_group("postgres"))


@pytest.fixture(params=["files", "small files", "memory", POSTGRES])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EventStore]:
    made: EventStore
    match request.param:
        case "files":
            made = SegmentStore(tmp_path / "log")
        case "small files":
            made = SegmentStore(tmp_path / "log", segment_bytes=150)  # rolls after nearly every frame
        case "postgres":
            made = perdure.PostgresStore(shared_server().dsn, name=new_queue())
        case _:
            made = MemoryStore()
    yield made
    made.abandon()


def fill(store: EventStore, bodies: list[tuple[bytes, int]]) -> list[Frame]:
    frames = []
    for body, count in bodies:
        frames.append(Frame(store.last_seq + 1, count, body))
        store.append(body, count, expected_seq=store.last_seq + 1)
    store.sync()
    return frames


@pytest.fixture(params=["files", "memory", POSTGRES])
def forgetful(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EventStore]:
    """An open store that drops the history that no snapshot needs."""
    made: EventStore = MemoryStore(drop_history=True)
    if request.param == "files":
        made = SegmentStore(tmp_path / "log", segment_bytes=100, history=History("drop"))
    elif request.param == "postgres":
        made = perdure.PostgresStore(shared_server().dsn, name=new_queue(), drop_history=True)
    made.open()
    yield made
    made.abandon()


BODIES = [(b"one", 1), (b"", 2), (b"three" * 500, 3), (bytes(range(256)), 1), (b"PdFr" * 20, 7)]


def test_a_new_store_is_empty(store: EventStore) -> None:
    recovered = store.open()
    assert (recovered.last_seq, recovered.created, recovered.cut_bytes) == (0, True, 0)
    assert list(store.frames()) == []
    assert list(store.snapshots()) == []


def test_frames_come_back_as_they_went_in(store: EventStore) -> None:
    store.open()
    frames = fill(store, BODIES)
    assert list(store.frames()) == frames
    assert store.last_seq == 14 == frames[-1].last_seq


def test_frames_outlast_a_restart_and_numbers_go_on(store: EventStore) -> None:
    """Scenario 36."""
    first = store.open()
    frames = fill(store, BODIES)
    store.close()
    again = store.open()
    assert (again.last_seq, again.clean, again.created, again.cut_bytes) == (14, True, False, 0)
    assert again.epoch > first.epoch
    frames += fill(store, [(b"later", 1)])
    assert frames[-1].first_seq == 15
    assert list(store.frames()) == frames


def test_an_empty_store_that_was_closed_opens_clean(store: EventStore) -> None:
    store.open()
    store.close()
    recovered = store.open()
    assert (recovered.last_seq, recovered.clean) == (0, True)


@pytest.mark.parametrize("after", range(15))
def test_frames_are_those_within_the_range(store: EventStore, after: int) -> None:
    store.open()
    frames = fill(store, BODIES)
    assert list(store.frames(after)) == [frame for frame in frames if frame.last_seq > after]
    for until in range(16):
        expected = [frame for frame in frames if frame.last_seq > after and frame.first_seq <= until]
        assert list(store.frames(after, until)) == expected


def test_a_writer_out_of_step_is_refused(store: EventStore) -> None:
    """Scenario 36."""
    store.open()
    frames = fill(store, BODIES)
    for wrong in (0, 1, 14, 16):
        with pytest.raises(ValueError, match="15 is next"):
            store.append(b"x", 1, expected_seq=wrong)
    assert list(store.frames()) == frames


def test_a_frame_without_events_is_refused(store: EventStore) -> None:
    store.open()
    with pytest.raises(ValueError, match="a frame of 0 events"):
        store.append(b"x", 0, expected_seq=1)
    assert store.last_seq == 0


def test_what_was_appended_durably_is_synced_and_all_before_it_too(store: EventStore) -> None:
    store.open()
    store.append(b"bookkeeping", 2, expected_seq=1)
    store.append(b"published", 1, expected_seq=3, durable=True)
    assert store.synced_seq in (0, 3), "a store may sync with the append; it does not say that a part is"
    store.sync()
    assert store.synced_seq == 3 == store.last_seq


def test_an_owner_that_keeps_the_log_is_told_of_no_loss(store: EventStore) -> None:
    told: list[perdure.OwnershipLost] = []
    store.watch_ownership(told.append)
    store.open()
    fill(store, BODIES)
    store.close()
    store.open()
    store.close()
    assert told == []


def test_a_seal_is_no_frame_and_changes_no_number(store: EventStore) -> None:
    store.open()
    frames = fill(store, BODIES[:2])
    store.seal()
    store.seal()
    frames += fill(store, BODIES[2:])
    assert list(store.frames()) == frames


def test_a_second_open_is_refused(store: EventStore) -> None:
    """Scenario 37, within one process."""
    store.open()
    with pytest.raises(StoreLocked):
        store.open()
    fill(store, BODIES)  # the owner is not disturbed


@pytest.mark.parametrize("way", ["close", "abandon"])
def test_a_released_store_writes_no_more(store: EventStore, way: str) -> None:
    store.open()
    fill(store, BODIES)
    getattr(store, way)()
    attempts: list[Callable[[], None]] = [
        lambda: store.append(b"x", 1, expected_seq=15),
        store.sync,
        lambda: store.save_snapshot(Snapshot(14, b"late")),
    ]
    for write in attempts:
        with pytest.raises(StoreUnavailable, match="not open"):
            write()
    store.open()
    assert list(store.snapshots()) == []


def test_the_two_newest_snapshots_are_kept(store: EventStore) -> None:
    store.open()
    fill(store, [(b"x", 9)])
    for seq in (2, 5, 9):
        store.save_snapshot(Snapshot(seq, b"state %d" % seq * 100))
    assert list(store.snapshots()) == [Snapshot(9, b"state 9" * 100), Snapshot(5, b"state 5" * 100)]
    assert [s.seq for s in store.snapshots(at_most=8)] == [5]
    assert list(store.snapshots(at_most=4)) == []
    store.close()
    store.open()
    assert [s.seq for s in store.snapshots()] == [9, 5]


def test_a_snapshot_may_be_empty_and_may_be_made_again(store: EventStore) -> None:
    store.open()
    fill(store, [(b"x", 1)])
    store.save_snapshot(Snapshot(1, b""))
    assert list(store.snapshots()) == [Snapshot(1, b"")]
    store.save_snapshot(Snapshot(1, b"better"))
    assert list(store.snapshots()) == [Snapshot(1, b"better")]


def test_what_a_failed_sync_left_is_void_for_the_successor(store: EventStore) -> None:
    """Scenario 34: publishers were told that it failed, so neither the frame nor a snapshot that folded it may come back."""
    store.open()
    frames = fill(store, BODIES[:2])
    store.save_snapshot(Snapshot(3, b"kept"))
    store.append(b"refused", 2, expected_seq=4)
    store.save_snapshot(Snapshot(5, b"of what is void"))
    recovered = store.reopen(void_after=3)
    assert (recovered.last_seq, recovered.cut_from_seq, store.last_seq) == (3, 4, 3)
    assert list(store.snapshots()) == [Snapshot(3, b"kept")]
    frames += fill(store, [(b"accepted", 5)])
    assert list(store.frames()) == frames
    store.close()
    store.open()
    assert list(store.frames()) == frames
    assert [s.seq for s in store.snapshots()] == [3]


def test_a_successor_takes_over_what_is_whole(store: EventStore) -> None:
    store.open()
    frames = fill(store, BODIES)
    epoch = store.reopen().epoch
    frames += fill(store, BODIES)
    assert store.reopen().epoch > epoch
    assert list(store.frames()) == frames


# --- reading -----------------------------------------------------------------------------------------------------------------


def test_a_separate_reader_sees_what_the_owner_has_written(store: EventStore) -> None:
    store.open()
    frames = fill(store, BODIES)
    store.save_snapshot(Snapshot(14, b"state"))
    reader = store.separate_reader()
    reader.check_readable()
    assert list(reader.frames()) == frames
    assert [snapshot.body for snapshot in reader.snapshots()] == [b"state"]
    assert (reader.first_seq, reader.snapshot_seqs(), reader.store_id()) == (1, [14], store.store_id())
    assert reader.size() == store.size()


def test_an_address_leads_to_the_same_log(store: EventStore) -> None:
    store.open()
    frames = fill(store, BODIES)
    if store.address is not None:
        reader = open_reader(store.address)
        assert (list(reader.frames()), reader.address) == (frames, store.address)


def test_the_size_counts_what_is_kept(store: EventStore) -> None:
    store.open()
    empty = store.size()
    fill(store, BODIES)
    store.save_snapshot(Snapshot(14, bytes(range(256))))
    grown = store.size()
    assert grown.bytes > empty.bytes + 256
    assert (empty.segments, empty.snapshots, grown.snapshots) == (1, 0, 1)


def test_a_survey_yields_each_frame_and_the_chain_between_them(store: EventStore) -> None:
    store.open()
    frames = fill(store, BODIES)
    chain = b""
    found: list[Frame] = []
    for item in store.survey():
        assert not isinstance(item, Stretch) or item.restarts == (not found)
        if isinstance(item, WholeFrame):
            assert item.follows
            assert not chain or item.prev == chain
            chain = item.chain
            found.append(item.frame)
    assert found == frames


# --- verification and repair -------------------------------------------------------------------------------------------------


def test_a_whole_log_is_found_whole(store: EventStore) -> None:
    """Scenario 47."""
    store.open()
    frames = fill(store, BODIES)
    store.save_snapshot(Snapshot(3, b"older"))
    store.save_snapshot(Snapshot(14, b"newer"))
    read: list[int] = []
    result = verify(store, progress=read.append)
    assert (result.findings, result.events, result.last_seq, result.snapshots) == ([], 14, 14, 2)
    assert result.frames >= len(frames)
    assert 0 < read[0] < read[-1] <= result.bytes


def test_a_head_that_was_noted_proves_that_history_is_what_it_was(store: EventStore) -> None:
    store.open()
    fill(store, BODIES[:2])
    noted = verify(store).head
    fill(store, BODIES[2:])
    assert verify(store, head=noted).ok
    seq, _, chain = noted.partition(":")
    edited = f"{seq}:{'0' * len(chain)}"
    assert [finding.seq for finding in verify(store, head=edited).findings] == [int(seq)]
    with pytest.raises(ValueError, match="SEQ:HASH"):
        verify(store, head="no head")


def test_a_log_that_lost_what_was_noted_is_found(store: EventStore) -> None:
    store.open()
    fill(store, BODIES[:2])
    store.append(b"refused", 1, expected_seq=4)
    noted = verify(store).head
    store.reopen(void_after=3)
    assert ["what came after is gone" in finding.problem for finding in verify(store, head=noted).findings] == [True]


def test_a_repair_copies_a_whole_log_with_its_chain(store: EventStore, tmp_path: Path) -> None:
    store.open()
    frames = fill(store, BODIES)
    store.save_snapshot(Snapshot(14, b"state"))
    report = repair(store, open_target(tmp_path / "copy"))
    assert (report.findings, report.lost, report.events_kept, report.last_seq) == ([], [], 14, 14)
    copy = open_reader(tmp_path / "copy")
    assert list(copy.frames()) == frames
    assert [snapshot.body for snapshot in copy.snapshots()] == [b"state"]
    assert verify(copy, head=verify(store).head).ok, "a head that was noted before holds for the copy, too"


# --- where history begins ----------------------------------------------------------------------------------------------------


def grow(store: EventStore) -> int:
    """Write some events and a snapshot of them; return how many segments were dropped for it."""
    for _ in range(4):
        store.append(b"x" * 100, 1, expected_seq=store.last_seq + 1)
        store.sync()
    store.save_snapshot(Snapshot(store.last_seq, b"state"))
    return store.retire_history()


def test_history_begins_later_once_it_is_dropped(forgetful: EventStore) -> None:
    noted = verify(forgetful).head
    grow(forgetful)
    early = verify(forgetful).head
    while not grow(forgetful):
        pass
    while forgetful.first_seq <= 5:
        grow(forgetful)
    first_seq = forgetful.first_seq
    assert next(forgetful.frames()).first_seq == first_seq
    assert min(forgetful.snapshot_seqs()) >= first_seq - 1
    result = verify(forgetful)
    assert (result.findings, result.first_seq) == ([], first_seq)
    assert verify(forgetful, head=noted).ok, "the empty log is the beginning of any"
    with pytest.raises(HistoryDropped):
        verify(forgetful, head=early)
    assert verify(forgetful, head=result.head).ok


def test_a_copy_of_a_log_whose_beginning_was_dropped(forgetful: EventStore, tmp_path: Path) -> None:
    while not grow(forgetful):
        pass
    report = repair(forgetful, open_target(tmp_path / "copy"))
    assert (report.findings, report.lost, report.first_seq) == ([], [], forgetful.first_seq)
    copy = open_reader(tmp_path / "copy")
    assert list(copy.frames()) == list(forgetful.frames())
    assert copy.snapshot_seqs() == forgetful.snapshot_seqs()


def test_nothing_is_dropped_while_history_is_held(forgetful: EventStore) -> None:
    while not grow(forgetful):
        pass
    first_seq, kept = forgetful.first_seq, forgetful.snapshot_seqs()
    with forgetful.hold_history(), forgetful.hold_history():
        assert [grow(forgetful) for _ in range(3)] == [0, 0, 0]
        assert forgetful.first_seq == first_seq
        assert set(kept) <= set(forgetful.snapshot_seqs())
    assert grow(forgetful) > 0


# --- what only files have ----------------------------------------------------------------------------------------------------


def test_a_reopen_leaves_a_snapshot_that_is_being_written_alone(tmp_path: Path) -> None:
    """Scenario 39, found by the soak: the successor took the unfinished file for one that a dead process had left."""
    store = SegmentStore(tmp_path)
    store.open()
    fill(store, BODIES)
    rename = store.disk.rename

    def taken_over_meanwhile(old: Path, new: Path) -> None:
        store.disk.rename = rename
        store.reopen()
        rename(old, new)

    store.disk.rename = taken_over_meanwhile
    store.save_snapshot(Snapshot(14, b"state"))
    assert [snapshot.seq for snapshot in store.snapshots()] == [14]
    (tmp_path / "snapshot-00000000000000000009.tmp").write_bytes(b"its writer is dead")
    store.save_snapshot(Snapshot(14, b"again"))
    assert not list(tmp_path.glob("*.tmp"))
    (tmp_path / "snapshot-00000000000000000009.tmp").write_bytes(b"its process is dead")
    store.close()
    store.open()
    assert not list(tmp_path.glob("*.tmp"))
    store.close()


@pytest.fixture(params=["memory", POSTGRES])
def with_ingress(request: pytest.FixtureRequest) -> Iterator[tuple[EventStore, Ingress]]:
    """An open store, and its ingress with two rows."""
    memory = MemoryStore()
    postgres = None if request.param == "memory" else perdure.PostgresStore(shared_server().dsn, name=new_queue())
    made: EventStore = postgres or memory
    made.open()
    ingress: Ingress = MemoryIngress(memory) if postgres is None else postgres.ingress()
    ingress.add([b"one", b"two"])
    yield made, ingress
    ingress.close()
    made.abandon()


def test_a_frame_removes_the_rows_that_it_takes_in(with_ingress: tuple[EventStore, Ingress]) -> None:
    store, ingress = with_ingress
    [(first, _), (second, body)] = ingress.read(0, 10)
    store.append(b"frame", 1, expected_seq=1, durable=True, taken=[first])
    assert ingress.read(0, 10) == [(second, body)]
    store.append(b"frame", 1, expected_seq=2, taken=[second])
    assert ingress.read(0, 10) == []


def test_a_row_is_taken_in_once_or_nothing_is_done(with_ingress: tuple[EventStore, Ingress]) -> None:
    store, ingress = with_ingress
    [(first, _), (second, body)] = ingress.read(0, 10)
    store.append(b"frame", 1, expected_seq=1, durable=True, taken=[first])
    with pytest.raises(RowsGone):
        store.append(b"again", 1, expected_seq=2, durable=True, taken=[second, first])
    assert ingress.read(0, 10) == [(second, body)]
    store.append(b"later", 1, expected_seq=2, durable=True)
    assert [frame.body for frame in store.frames()] == [b"frame", b"later"]


def test_rows_are_read_up_to_a_number_and_up_to_a_size(with_ingress: tuple[EventStore, Ingress]) -> None:
    _, ingress = with_ingress
    ingress.add([b"x" * 100, b"four", b"five"])
    rows = ingress.read(0, 10)
    assert [len(body) for _, body in rows] == [3, 3, 100, 4, 4]
    ids = [row for row, _ in rows]
    assert ingress.read(ids[0], 2) == rows[1:3]
    assert ingress.read(0, 10, most_bytes=1) == rows[:1], "one is read however large it is"
    assert ingress.read(0, 10, most_bytes=6) == rows[:2]
    assert ingress.read(0, 10, most_bytes=7) == rows[:3]
    assert ingress.read(ids[1], 10, most_bytes=100) == rows[2:3]


def test_a_frame_that_takes_in_rows_that_are_not_there_is_not_written_and_the_store_goes_on(store: EventStore) -> None:
    store.open()
    with pytest.raises(RowsGone):
        store.append(b"frame", 1, expected_seq=1, durable=True, taken=[7, 1 << 40])
    with pytest.raises(ValueError, match="next"):
        store.append(b"frame", 1, expected_seq=3, taken=[7])
    fill(store, [(b"later", 1)])
    assert [frame.body for frame in store.frames()] == [b"later"]


def test_a_frame_that_is_voided_gives_back_the_rows_that_it_took_in(with_ingress: tuple[EventStore, Ingress]) -> None:
    """Its publisher was told that they are published; only the append was in doubt, or could not be synced."""
    store, ingress = with_ingress
    rows = ingress.read(0, 10)
    store.append(b"kept", 1, expected_seq=1, durable=True, taken=[rows[0][0]])
    store.append(b"void", 1, expected_seq=2, taken=[rows[1][0]])
    assert ingress.read(0, 10) == []
    store.last_seq = store.synced_seq = 1  # as when its answer was lost
    store.reopen(void_after=1)
    assert ingress.read(0, 10) == rows[1:]
    store.append(b"again", 1, expected_seq=2, durable=True, taken=[rows[1][0]])
    assert ingress.read(0, 10) == []
    assert [frame.body for frame in store.frames()] == [b"kept", b"again"]
