"""Spool files: whatever a power cut, a full disk or rot leaves, what was acknowledged is read; a torn end is no damage."""

from __future__ import annotations

import errno
import itertools
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perdure.chaos.disk.crash_states import PowerCuts
from perdure.chaos.disk.memory_disk import Fault, MemoryDisk
from perdure.events.errors import QueueFull, StoreUnavailable
from perdure.store.disk.disk import Disk
from perdure.store.spool import spool_file
from perdure.store.spool.spool_file import SpoolDoubt, SpoolWriter, claim, names, survey_spool
from perdure.store.spool.spool_format import HEADER_BYTES, file_name, pack_header, pack_record, parse
from tests.effort import examples

FOLDER = Path("/data")
SALT = bytes(range(8))
HEADER = pack_header(SALT)


def writer(disk: Disk, folder: Path = FOLDER) -> SpoolWriter:
    times = itertools.count(1)
    rng = random.Random(1)
    return SpoolWriter(folder, disk, now_us=lambda: next(times), salt=lambda: rng.randbytes(8))


def held(disk: Disk, folder: Path = FOLDER) -> list[bytes]:
    return [item for name in names(disk, folder) if (file := claim(disk, folder / name)) for item in file.contents.items]


def whole(records: list[list[bytes]]) -> bytes:
    return HEADER + b"".join(pack_record(HEADER, n, items) for n, items in enumerate(records, 1))


RECORDS = st.lists(st.lists(st.binary(max_size=40), min_size=1, max_size=3), max_size=5)


@given(records=RECORDS)
def test_what_is_written_is_read(records: list[list[bytes]]) -> None:
    contents = parse(whole(records))
    assert contents.items == [item for items in records for item in items]
    assert not contents.problem


@given(records=RECORDS, data=st.data())
def test_a_file_that_ends_early_is_torn_and_not_damaged(records: list[list[bytes]], data: st.DataObject) -> None:
    raw = whole(records)
    end = data.draw(st.integers(0, len(raw)))
    contents = parse(raw[:end] + data.draw(st.sampled_from([b"", bytes(30)])))
    items = [item for items in records for item in items]
    assert contents.items == items[: len(contents.items)]
    assert not contents.problem


@settings(max_examples=examples(300))
@given(
    records=st.lists(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=3), min_size=2, max_size=5), data=st.data()
)
def test_a_changed_byte_before_a_whole_record_is_damage_and_costs_one_record(
    records: list[list[bytes]], data: st.DataObject
) -> None:
    raw = bytearray(whole(records))
    last = len(pack_record(HEADER, len(records), records[-1]))
    at = data.draw(st.integers(0, len(raw) - last - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    contents = parse(bytes(raw))
    assert contents.problem
    if at >= HEADER_BYTES:
        lost = len([item for items in records for item in items]) - len(contents.items)
        assert lost in [len(items) for items in records[:-1]]


@given(data=st.binary(max_size=300), with_header=st.booleans())
def test_any_bytes_are_read_without_an_error(data: bytes, *, with_header: bool) -> None:
    parse(HEADER + data if with_header else data)


def test_a_record_of_another_file_does_not_fit() -> None:
    other = pack_header(bytes(8))
    assert parse(HEADER + pack_record(other, 1, [b"x"])).items == []


def test_what_was_acknowledged_survives_a_power_cut_at_every_operation() -> None:
    disk = MemoryDisk()
    acknowledged: list[bytes] = []
    written: list[bytes] = []
    cuts = PowerCuts(random.Random(3))
    states = 0

    def stop(_name: str) -> None:
        nonlocal states
        for state in cuts.states(disk):
            states += 1
            found = held(state)
            assert found[: len(acknowledged)] == acknowledged
            assert found == written[: len(found)], "in order, and nothing else"
            assert all(not spool.problem for spool in survey_spool(state, FOLDER)), "a cut is no damage"

    disk.before_each = stop
    spool = writer(disk)
    for n in range(12):
        items = [f"{n}-{i}".encode() * (1 + n) for i in range(1 + n % 3)]
        written += items
        if n == 7:
            spool.close()  # another process goes on
            spool = SpoolWriter(FOLDER, disk, now_us=lambda: 100, salt=lambda: b"12345678")
        spool.write(items)
        acknowledged += items
    stop("end")
    assert states > 100


def test_a_file_that_is_removed_is_gone_after_a_power_cut() -> None:
    disk = MemoryDisk()
    writer(disk).write([b"x"])
    (name,) = names(disk, FOLDER)
    file = claim(disk, FOLDER / name)
    assert file is not None
    file.remove()
    cuts = PowerCuts(random.Random(1))
    assert all(names(state, FOLDER) == [] for state in cuts.states(disk))


@pytest.mark.parametrize("part", [0, 5, 50])
def test_a_write_that_fails_publishes_nothing_and_the_next_goes_to_another_file(part: int) -> None:
    disk = MemoryDisk()
    spool = writer(disk)
    spool.write([b"first"])
    disk.faults.append(Fault(1, errno.ENOSPC, part=part, only="write"))
    with pytest.raises(StoreUnavailable, match="Nothing was published"):
        spool.write([b"second" * 10, b"third"])
    cuts = PowerCuts(random.Random(1))
    assert all(held(state) == [b"first"] for state in cuts.states(disk))
    spool.write([b"fourth"])
    assert held(disk) == [b"first", b"fourth"]
    assert len(names(disk, FOLDER)) == 2


def test_the_files_of_one_process_stay_in_order_whatever_its_clock_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Owners read them by their names. Two may begin in one microsecond, or the clock may be set back."""
    monkeypatch.setattr(spool_file, "FILE_BYTES_MAX", 1)
    disk, times, rng = MemoryDisk(), iter([50, 50, 50, 7, 8, 60]), random.Random(3)
    spool = SpoolWriter(FOLDER, disk, now_us=lambda: next(times), salt=lambda: rng.randbytes(8))
    written = [b"%d" % n for n in range(6)]
    for item in written:
        spool.write([item])
    assert len(names(disk, FOLDER)) == len(written)
    assert held(disk) == written


def test_a_sync_that_fails_leaves_a_doubt_and_is_not_repeated() -> None:
    disk = MemoryDisk()
    spool = writer(disk)
    spool.write([b"first"])
    disk.faults.append(Fault(1, errno.EIO, only="sync"))
    with pytest.raises(SpoolDoubt):
        spool.write([b"second"])
    spool.write([b"third"])
    assert held(disk) == [b"first", b"second", b"third"]
    assert len(names(disk, FOLDER)) == 2


def test_a_file_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="Nothing was published"):
        writer(Disk(), tmp_path / "none").write([b"x"])


def test_a_writer_and_a_taker_do_not_wait_for_each_other(tmp_path: Path) -> None:
    disk = Disk()
    spool = writer(disk, tmp_path)
    spool.write([b"first"])
    (name,) = names(disk, tmp_path)
    taken = claim(disk, tmp_path / name)
    assert taken is not None
    assert claim(disk, tmp_path / name) is None, "one taker at a time"
    spool.write([b"second"])
    taken.remove()
    assert held(disk, tmp_path) == [b"second"]
    spool.write([b"third"])
    assert held(disk, tmp_path) == [b"second", b"third"]


def test_a_writer_does_not_go_on_in_a_file_that_was_taken_in(tmp_path: Path) -> None:
    disk = Disk()
    spool = writer(disk, tmp_path)
    spool.write([b"first"])
    (name,) = names(disk, tmp_path)
    taken = claim(disk, tmp_path / name)
    assert taken is not None
    taken.remove()
    spool.write([b"second"])
    assert held(disk, tmp_path) == [b"second"]


def test_a_damaged_file_is_kept_under_another_name(tmp_path: Path) -> None:
    path = tmp_path / file_name(1, SALT)
    raw = bytearray(whole([[b"first"], [b"second"]]))
    raw[HEADER_BYTES + 16] ^= 1
    path.write_bytes(raw)
    taken = claim(Disk(), path)
    assert taken is not None
    assert taken.contents.items == [b"second"]
    taken.remove()
    assert [p.name for p in tmp_path.iterdir()] == [f"{path.name}.damaged"]


def test_the_spool_has_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_file, "FILE_BYTES_MAX", 200)
    monkeypatch.setattr(spool_file, "FOLDER_BYTES_MAX", 600)
    disk = Disk()
    spool = writer(disk, tmp_path)

    def fill() -> None:
        for _ in range(100):
            spool.write([b"x" * 90])

    with pytest.raises(QueueFull, match="start an owner"):
        fill()
    assert len(names(disk, tmp_path)) > 1
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 600
