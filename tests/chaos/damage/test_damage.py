"""Each bit of small folders flipped, and random damage to larger ones: found, and refused or run without loss; and repaired.

PERDURE_DAMAGES multiplies the random damages. Bytes that no store wrote are in `test_hostile_bytes`.
"""

from __future__ import annotations

import os
import random
import shutil
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure
from perdure.actors.journal.log_fold import fold_log
from perdure.chaos.disk.damage import HARMS, DamageCheck, each_flip, make_whole
from perdure.chaos.disk.store_contract import Lost
from perdure.events.codec.queue_snapshot import dump_queue
from perdure.events.codec.snapshot import dump_dead_letters, dump_handlers
from perdure.store import FolderReader, SegmentStore, open_reader, open_target, repair, verify
from perdure.store.files import log_end, torn_or_damaged
from perdure.store.format import frame as fr

if TYPE_CHECKING:
    from pathlib import Path

TIMES = int(os.environ.get("PERDURE_DAMAGES", "1"))

SMALL: dict[str, dict[str, Any]] = {
    "closed": {"end": "close"},
    "idle": {"end": "seal"},
    "crashed": {"end": "crash"},
    "with snapshots": {"snapshots": (1, 3)},
    "in one segment": {"segment_bytes": 1 << 20},
    "compressed": {"segment_bytes": 1 << 20, "body_bytes": 2},
}
LARGER: dict[str, dict[str, Any]] = {
    "closed": {"frames": 30, "snapshots": (8, 20)},
    "crashed": {"frames": 30, "snapshots": (8, 20), "end": "crash"},
    "idle, in one segment": {"frames": 12, "segment_bytes": 1 << 20, "end": "seal"},
    "large": {"frames": 250, "body_bytes": 900, "segment_bytes": 1 << 15, "snapshots": (100, 200)},
}


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.long(seconds=15)) for name in SMALL])
def test_each_bit_flipped(name: str) -> None:
    """Scenarios 33 and 47: verify finds each flip, and a start has everything or refuses; only an unproven end may be cut."""
    whole = make_whole(5, **{"body_bytes": 120, "segment_bytes": 300, **SMALL[name]})
    check = DamageCheck(whole)
    for what, files in each_flip(whole.files):
        check.check(what, files)
    assert check.counts["damages"] == check.counts["found"] == 8 * sum(map(len, whole.files.values()))
    assert check.counts["refused"] > check.counts["damages"] // 4
    assert (check.counts["ran, with a shorter end"] > 0) == (name == "crashed")
    print(f"{name}: {dict(check.counts)}")


@pytest.mark.long
@pytest.mark.parametrize("name", LARGER)
def test_random_damages(name: str) -> None:
    """Scenarios 31, 33 and 47 for frames and files that were removed, doubled, swapped, cut or filled with garbage."""
    check = DamageCheck(make_whole(**LARGER[name]))
    for seed in range((500 if name == "large" else 5000) * TIMES):
        check.random(seed)
    assert check.counts["found"] > check.counts["damages"] * 0.85
    assert check.counts["refused"] > check.counts["damages"] * 0.4
    print(f"{name}: {dict(check.counts)}")


@pytest.mark.long
def test_repair_of_random_damages(tmp_path: Path) -> None:
    """Repair makes a whole folder that runs, reports what is not in it, and changes no byte of the old one."""
    whole = make_whole(30, snapshots=(8, 20))
    lost = 0
    for seed in range(150 * TIMES):
        harm = HARMS[sorted(HARMS)[seed % len(HARMS)]]
        files = harm(whole.files, random.Random(seed))
        old, new = tmp_path / f"old{seed}", tmp_path / f"new{seed}"
        old.mkdir()
        for name, data in files.items():
            (old / name).write_bytes(data)
        report = repair(open_reader(old), open_target(new))
        assert {path.name: path.read_bytes() for path in old.iterdir()} == files
        assert verify(open_reader(new)).ok
        store = SegmentStore(new)
        last_seq = store.open().last_seq
        found = list(store.frames())
        store.close()
        first_seq = found[0].first_seq if found else last_seq + 1
        assert [frame.body for frame in found] == whole.bodies[first_seq - 1 : last_seq], seed
        assert (report.events_kept, report.last_seq) == (len(found), last_seq)
        assert report.findings == verify(open_reader(old)).findings
        if report.findings and len(found) < len(whole.bodies) and set(files) == set(whole.files):
            assert report.lost, seed
            lost += 1
        shutil.rmtree(old)
        shutil.rmtree(new)
    assert lost > 30 * TIMES


@attrs.frozen
class Job:
    number: int


@pytest.mark.long(seconds=3)
def test_systems_on_random_damages(tmp_path: Path) -> None:
    """Scenarios 31 and 33 for a whole system: a start refuses, or its state is the fold of what was written."""
    folder = tmp_path / "whole"
    with perdure.System(folder, options=perdure.Options(segment_bytes=4096)) as system:
        system.handler(Job, parallelism=2)(lambda job: None)
        for n in range(60):
            system.publish(Job(n), key=f"k{n % 7}")
            if n in (20, 40):
                system.admin.snapshot()
        system.drain(timeout=30.0)
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "owner.lock"}
    refused = ran = 0
    for seed in range(60 * TIMES):
        rng = random.Random(seed)
        damaged = tmp_path / str(seed)
        damaged.mkdir()
        for name, data in HARMS[rng.choice(sorted(HARMS))](files, rng).items():
            (damaged / name).write_bytes(data)
        system = perdure.System(damaged)
        try:
            system.start()
        except (perdure.StoreCorrupt, perdure.StoreUnavailable):
            refused += 1
        else:
            assert system.recovery is not None
            last_seq = system.recovery.last_seq
            system.stop()
            # The recovered state must be that of the undamaged log at that sequence number.
            now, _ = fold_log(FolderReader(damaged), last_seq)
            wanted, _ = fold_log(FolderReader(folder), last_seq)
            for dump, part in ((dump_queue, "queue"), (dump_handlers, "handlers"), (dump_dead_letters, "dead_letters")):
                assert dump(getattr(now, part)) == dump(getattr(wanted, part)), seed
            ran += 1
        shutil.rmtree(damaged)
    assert refused > 5 * TIMES
    assert ran > 5 * TIMES
    print(f"{refused} starts refused, {ran} ran")


# --- planted bugs -----------------------------------------------------------------------------------------------------------


def _cut_at_the_first_bad_frame(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(torn_or_damaged, "is_damaged", lambda *_: False)


def _no_checksum(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(fr, "check", lambda *_: None)


def _joint_not_checked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(log_end, "check_link", lambda *_: None)
    patch.setattr(FolderReader, "frames", lambda *_: iter(()))
    patch.setattr(SegmentStore, "frames", lambda *_: iter(()))  # its own check of where the log ends would find it


@pytest.mark.parametrize("plant", [_cut_at_the_first_bad_frame, _no_checksum, _joint_not_checked])
def test_planted_bug_is_found(monkeypatch: pytest.MonkeyPatch, plant: Any) -> None:
    whole = make_whole(12, segment_bytes=1024, snapshots=(3, 6))
    plant(monkeypatch)
    check = DamageCheck(whole)

    def check_all() -> None:
        for seed in range(1000):
            check.random(seed)
        for what, files in each_flip(whole.files, range(1)):
            check.check(what, files)

    with pytest.raises(Lost):
        check_all()
