"""Payloads on the disk: snapshots are taken and history is dropped meanwhile, and their space follows the backlog."""

from __future__ import annotations

import gc
import random
import tempfile
import tracemalloc
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import msgspec
import pytest

import perdure
from perdure.events.codec.queue_snapshot import dump_queue
from perdure.events.codec.snapshot import States
from perdure.events.codec.snapshot_framing import unpack
from perdure.events.queue.folding import spilling
from perdure.events.queue.folding.plain_messages import complete, enter_plain, lease
from perdure.events.queue.folding.spilling import compact
from perdure.events.queue.state import QueueState
from perdure.store import FolderReader
from perdure.store.files.payload_spill import PayloadSpill
from perdure.store.format import snapshot_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Until = Callable[[Callable[[], object]], None]

MIB = 1 << 20
SPILLS = perdure.Options(
    resident_payload_bytes=20_000, gc_threshold=0, segment_bytes=64 << 10, snapshot_events=2_000, history="drop"
)


@perdure.message(name="tests.Waiting")
@attrs.frozen
class Waiting:
    number: int
    body: bytes


@perdure.message(name="tests.Passing")
@attrs.frozen
class Passing:
    number: int
    body: bytes


def body(i: int, size: int = 300) -> bytes:
    return random.Random(i).randbytes(size)


def spill_bytes(folder: Path) -> int:
    """Return the bytes of all unlinked files that this process has open in a folder."""
    total = 0
    for fd in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # closed since it was listed
            target = str(fd.readlink())
            if target.startswith(str(folder)) and target.endswith("(deleted)"):
                total += fd.stat().st_size
    return total


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "data"
    yield folder
    gc.collect()
    assert spill_bytes(folder) == 0, "what is stopped holds no room"


def burst(system: perdure.System, rounds: int = 30, each: int = 100) -> None:
    """Publish messages that are handled, and between them now and then one that stays."""
    for k in range(rounds):
        system.publish_many([Passing(k * each + i, body(k * each + i)) for i in range(each)])
        system.publish(Waiting(k, body(-k - 1)))


def system_with_passing(folder: Path, options: perdure.Options) -> tuple[perdure.System, list[int]]:
    system = perdure.System(folder, options=options)
    seen: list[int] = []

    @system.handler(Passing)
    def handle(message: Passing) -> None:
        assert message.body == body(message.number)
        seen.append(message.number)

    return system, seen


def test_few_that_wait_hold_little_room(folder: Path, monkeypatch: pytest.MonkeyPatch, until: Until) -> None:
    """After a burst of 1 MB, 30 messages spread over it stay, and take little more disk space than their size."""
    monkeypatch.setattr(spilling, "SLACK_BYTES", 1 << 16)
    system, seen = system_with_passing(folder, attrs.evolve(SPILLS, resident_payload_bytes=0))
    with system:
        system.admin.pause(Passing)
        burst(system)
        system.admin.metrics()
        assert spill_bytes(folder) > 800_000
        system.admin.resume(Passing)
        until(lambda: len(seen) == 3_000)
        until(lambda: spill_bytes(folder) < 1 << 17)
        assert system.admin.metrics().ready == 30
        waiting = [system.checkout(Waiting) for _ in range(30)]
        assert [d.message for d in waiting if d is not None] == [Waiting(k, body(-k - 1)) for k in range(30)]


def test_what_fits_into_memory_again_leaves_the_disk(folder: Path, monkeypatch: pytest.MonkeyPatch, until: Until) -> None:
    monkeypatch.setattr(spilling, "SLACK_BYTES", 0)
    system, seen = system_with_passing(folder, attrs.evolve(SPILLS, resident_payload_bytes=200_000))
    with system:
        system.admin.pause(Passing)
        burst(system)
        system.admin.resume(Passing)
        until(lambda: len(seen) == 3_000)
        until(lambda: spill_bytes(folder) <= 2 * 30 * 320)


def test_snapshots_and_history_go_on_while_payloads_wait(folder: Path, until: Until) -> None:
    """Five thousand messages are handled beside three thousand that wait: the log stays small, and a start reads little."""
    system, seen = system_with_passing(folder, SPILLS)
    with system:
        system.publish_many([Waiting(i, body(i)) for i in range(3_000)])
        for k in range(50):
            system.publish_many([Passing(i, body(i)) for i in range(k * 100, k * 100 + 100)])
        until(lambda: len(seen) == 5_000)
        until(lambda: FolderReader(folder).first_seq > 6_000)
        assert system.runtime.figures.spilled_bytes > 800_000
    assert len(FolderReader(folder).segments()) < 8
    again = perdure.System(folder, options=SPILLS)
    with again:
        assert again.recovery is not None
        assert again.recovery.events_replayed < 10
        assert again.runtime.figures.spilled_bytes > 800_000
        waiting = [again.checkout(Waiting) for _ in range(1_500)]
        assert [delivery.message for delivery in waiting if delivery is not None] == [Waiting(i, body(i)) for i in range(1_500)]


@pytest.mark.long(seconds=2)
def test_a_snapshot_passes_through_memory_piece_by_piece(tmp_path: Path) -> None:
    """40 MB of waiting payloads are written to a snapshot and read from it with a tenth of that in memory."""
    options = attrs.evolve(SPILLS, resident_payload_bytes=MIB, segment_bytes=64 * MIB, snapshot_events=1_000_000)
    with perdure.System(tmp_path / "data", options=options) as system:
        for k in range(40):
            system.publish_many([Waiting(i, body(i, 10_000)) for i in range(k * 100, k * 100 + 100)])
        tracemalloc.start()
        try:
            system.admin.snapshot()
            assert tracemalloc.get_traced_memory()[1] < 20 * MIB
        finally:
            tracemalloc.stop()
    seq = FolderReader(tmp_path / "data").snapshot_seqs()[-1]
    reader = FolderReader(tmp_path / "data")
    tracemalloc.start()
    try:
        snapshot = snapshot_file.read(reader.disk, reader.path / snapshot_file.file_name(seq), None)
        states = States.decode(snapshot.chunks(), spill=PayloadSpill(tmp_path), resident_max=MIB)
        assert tracemalloc.get_traced_memory()[1] < 20 * MIB
    finally:
        tracemalloc.stop()
    assert states.queue.payload_bytes > 40 * MIB - 4 * MIB
    assert states.queue.live == 4_000


@pytest.mark.parametrize("spilled", [False, True])
def test_old_formats_of_a_snapshot_open(spilled: bool) -> None:
    """Format 2 had the lengths of its message blocks in front."""
    states = States()
    for first in (1, 3_001):
        enter_plain(states.queue, first, "t", [f"{first}.{i}" for i in range(3_000)], [body(i) for i in range(3_000)])
    plain = unpack(states.encode())
    rows = [msgspec.msgpack.encode(row) for row in plain["queue"]["parcels"]]
    head = msgspec.msgpack.encode({**plain, "format": 2, "queue": {**plain["queue"], "parcels": [len(row) for row in rows]}})
    old = b"".join((b"PdS2", len(head).to_bytes(8, "little"), head, *rows))
    pieces = [old[i : i + 1000] for i in range(0, len(old), 1000)]
    with tempfile.TemporaryDirectory() as folder:
        again = States.decode(pieces if spilled else old, spill=PayloadSpill(Path(folder)) if spilled else None)
        assert dump_queue(again.queue) == dump_queue(states.queue)
        assert bool(again.queue.spilled_bytes) == spilled


def test_what_is_needed_of_sparse_files_is_moved_in_bounded_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Payloads move to another file first, and into memory once there is room."""
    monkeypatch.setattr(spilling, "SLACK_BYTES", 0)
    monkeypatch.setattr(spilling, "STEP_BYTES", 1_000)
    state = QueueState(spill=PayloadSpill(tmp_path), resident_max=0)
    for k in range(20):
        enter_plain(state, k * 1_000 + 1, "t", [f"{k}.{i}" for i in range(1_000)], [body(k * 1_000 + i) for i in range(1_000)])
    assert state.spill is not None
    assert state.spill.size == state.spilled_bytes == 20_000 * 300
    for k in range(20):
        lease(state, range(k * 1_000 + 2, k * 1_000 + 1_001), 0, 5, prefetched=False)
        complete(state, range(k * 1_000 + 2, k * 1_000 + 1_001))
    assert state.spilled_bytes == 20 * 300
    steps = 1
    while compact(state):
        steps += 1
    assert steps >= 5
    assert state.spill.size <= 2 * state.spilled_bytes
    assert [state.look(k * 1_000 + 1).published.payload for k in range(20)] == [body(k * 1_000) for k in range(20)]  # type: ignore[union-attr]  # all are there
    state.resident_max = 1_000_000
    complete_one_in_line(state, 1)
    state.spill.put([bytes(50_000)])
    while compact(state):
        pass
    assert state.spilled_bytes == 0
    assert [state.look(k * 1_000 + 1).published.payload for k in range(1, 20)] == [body(k * 1_000) for k in range(1, 20)]  # type: ignore[union-attr]  # all are there


def complete_one_in_line(state: QueueState, number: int) -> None:
    lease(state, range(number, number + 1), 0, 5, prefetched=False)
    complete(state, (number,))


def test_a_full_disk_leaves_what_is_to_be_moved_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spilling, "SLACK_BYTES", 0)
    spill = PayloadSpill(tmp_path)
    state = QueueState(spill=spill, resident_max=0)
    enter_plain(state, 1, "t", [f"{i}" for i in range(1_000)], [body(i) for i in range(1_000)])
    lease(state, range(1, 900), 0, 5, prefetched=False)
    complete(state, range(1, 900))

    def full(_payloads: list[bytes]) -> list[bytes]:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(spill, "put", full)
        assert not compact(state)
    assert state.spilled_bytes == 101 * 300
    assert spill.size == 300_000
    compact(state)
    assert spill.size == 101 * 300
