"""Damage to real files: no store runs on it, verify finds it, repair saves what is whole and reports the rest.

Flips of each bit and tens of thousands of damages are in `test_damage`, on a disk in memory.
"""

from __future__ import annotations

import random
import shutil
from typing import TYPE_CHECKING

import attrs
import pytest

import perdure
from perdure.store import FolderReader, SegmentStore, Snapshot, open_reader, open_target, repair, verify
from perdure.store.files.retention import History

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@attrs.frozen
class Job:
    number: int


def make(folder: Path, frames: int = 12) -> list[bytes]:
    """Write a sealed log of several segments with snapshots. Return the bodies of its frames."""
    store = SegmentStore(folder, segment_bytes=4096)
    store.open()
    bodies = [b"%d:" % n + random.Random(n).randbytes(900) for n in range(frames)]
    for n, body in enumerate(bodies):
        store.append(body, 1, expected_seq=n + 1)
        store.sync()
        if n in (4, 9):
            store.save_snapshot(Snapshot(n + 1, b"state"))
    store.close()
    return bodies


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def opens_whole_or_refuses(folder: Path, bodies: list[bytes], at_least: int | None = None) -> bool:
    """Open a folder. Return whether it ran; then it must have all frames, or `at_least` so many if only its end was damaged."""
    store = SegmentStore(folder, segment_bytes=4096)
    try:
        store.open()
        found = [frame.body for frame in store.frames()]
    except (perdure.StoreCorrupt, perdure.StoreUnavailable):
        return False
    finally:
        store.abandon()
    assert found == bodies[: len(found)]
    assert len(found) >= (len(bodies) if at_least is None else at_least), (
        f"the store runs with {len(found)} of {len(bodies)} frames"
    )
    return True


def _zero(data: bytes, rng: random.Random) -> bytes:
    at, size = rng.randrange(len(data)), rng.randrange(1, 200)
    return data[:at] + bytes(min(size, len(data) - at)) + data[at + size :]


def _cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data))]


def _swap(data: bytes, rng: random.Random) -> bytes:
    if len(data) < 300:
        return data
    a, b = sorted(rng.sample(range(0, len(data) - 100, 100), 2))
    return data[:a] + data[b : b + 100] + data[a + 100 : b] + data[a : a + 100] + data[b + 100 :]


def _repeat(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + data[at:] + data[at:]


@pytest.mark.parametrize(
    "harm", [_swap, *(pytest.param(harm, marks=pytest.mark.long(seconds=3)) for harm in (_zero, _cut, _repeat))]
)
def test_random_damage(tmp_path: Path, harm: Callable[[bytes, random.Random], bytes]) -> None:
    """Opening raises documented errors or has everything; repair makes a folder that runs, and does not change the old one."""
    whole = tmp_path / "whole"
    bodies = make(whole)
    rng = random.Random(harm.__name__)
    for n in range(60):
        damaged = tmp_path / f"damaged{n}"
        shutil.copytree(whole, damaged)
        name = rng.choice([name for name in contents(whole) if name != "owner.lock"])
        before = (damaged / name).read_bytes()
        after = harm(before, rng)
        (damaged / name).write_bytes(after)
        if after == before:
            continue
        assert not verify(open_reader(damaged)).ok, f"{name}: {harm.__name__}"
        untouched = contents(damaged)
        fixed = tmp_path / f"fixed{n}"
        report = repair(open_reader(damaged), open_target(fixed))
        assert contents(damaged) == untouched
        assert report.findings
        store = SegmentStore(fixed)
        store.open()
        found = [frame.body for frame in store.frames()]
        store.close()
        assert verify(open_reader(fixed)).ok
        assert found == bodies[report.first_seq - 1 : report.last_seq]
        assert report.events_kept == len(found)
        if len(found) < len(bodies) and name.endswith(".seg"):
            assert report.lost
        # A last segment that ends too early looks like one that a crash tore: the store goes on from its last whole frame.
        last = FolderReader(whole).segments()[-1]
        torn = name == f"log-{last:020d}.seg" and harm in (_cut, _zero)
        opens_whole_or_refuses(damaged, bodies, last - 1 if torn else None)


def test_removed_segment(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    bodies = make(whole)
    segments = FolderReader(whole).segments()
    assert len(segments) >= 3
    (whole / f"log-{segments[1]:020d}.seg").unlink()
    assert not verify(open_reader(whole)).ok
    assert not opens_whole_or_refuses(whole, bodies)
    report = repair(open_reader(whole), open_target(tmp_path / "fixed"))
    # The snapshot at 10 contains what came before the last segment, so nothing of the newest state is lost.
    assert (report.first_seq, report.last_seq) == (segments[2], len(bodies)) == (11, 12)
    assert report.lost == [(1, segments[2] - 1)]
    assert report.events_left_behind == segments[1] - 1
    (whole / "snapshot-00000000000000000010.snap").unlink()
    report = repair(open_reader(whole), open_target(tmp_path / "without"))
    assert (report.first_seq, report.last_seq) == (1, segments[1] - 1)
    assert report.lost == [(segments[1], len(bodies))]
    assert report.events_left_behind == len(bodies) - segments[2] + 1


def test_repair_of_a_log_without_its_beginning(tmp_path: Path) -> None:
    """Dropped segments are not damage: an undamaged folder is copied as it is."""
    bodies = make(tmp_path / "old")
    store = SegmentStore(tmp_path / "old", segment_bytes=4096, history=History("drop"))
    store.open()
    assert store.retire_history() == 1
    store.close()
    report = repair(open_reader(tmp_path / "old"), open_target(tmp_path / "new"))
    assert (report.findings, report.lost, report.snapshots_kept) == ([], [], 2)
    assert (report.first_seq, report.last_seq) == (6, len(bodies))
    assert opens_whole_or_refuses(tmp_path / "new", bodies[5:])


def test_damage_in_old_history_costs_no_waiting_message(tmp_path: Path) -> None:
    """Repair once left behind all that came after the damage, although a snapshot contained it. Found by random damages."""
    old, new = tmp_path / "old", tmp_path / "new"
    with perdure.System(old, options=perdure.Options(segment_bytes=4096)) as system:
        for n in range(100):
            system.publish(Job(n))
            if n in (60, 80):
                system.admin.snapshot()
    path = min(old.glob("*.seg"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    report = repair(open_reader(old), open_target(new))
    assert report.findings
    assert report.lost[0][0] == 1
    with perdure.System(new) as system:
        assert system.admin.metrics().ready == 100
        assert system.audit.verify().ok


def test_repaired_system_goes_on(tmp_path: Path) -> None:
    """A damaged system does not start; after a repair it runs on what is left."""
    old, new = tmp_path / "old", tmp_path / "new"
    with perdure.System(old) as system:
        ids = [system.publish(Job(n)) for n in range(20)]
    (path,) = old.glob("*.seg")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(perdure.StoreCorrupt):
        perdure.System(old).start()
    for snapshot in old.glob("*.snap"):
        snapshot.unlink()  # with a snapshot only history would be lost: see tests/host/recovery/test_repaired.py
    report = repair(open_reader(old), open_target(new))
    assert report.lost
    with perdure.System(new) as system:
        kept = system.admin.metrics().ready
        assert 0 < kept < 20
        assert system.audit.timeline(ids[0])[0].name == "Published"
        system.publish(Job(99))
    with pytest.raises(perdure.StoreUnavailable, match="not an empty folder"):
        repair(open_reader(old), open_target(new))
