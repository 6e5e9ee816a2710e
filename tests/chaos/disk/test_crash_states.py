"""Power cuts at every operation of the store, and failing operations: everything acknowledged is still there.

The last part plants bugs that these checks must find. PERDURE_STATES multiplies the number of seeds.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

import pytest

from perdure.chaos.disk.crash_states import CrashCheck, appends, appends_through_a_kill, appends_through_faults
from perdure.chaos.disk.memory_disk import Fault, MemoryDisk
from perdure.chaos.disk.store_contract import Lost
from perdure.events.errors import StoreUnavailable
from perdure.store import History, SegmentStore, Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from perdure.chaos.disk.store_contract import Contract
    from perdure.store.disk.disk import Disk

    Workload = Callable[[SegmentStore, Contract], None]

TIMES = int(os.environ.get("PERDURE_STATES", "1"))


def small(disk: MemoryDisk) -> SegmentStore:
    return SegmentStore("/data", disk=disk, segment_bytes=4096, new_id=lambda: b"i" * 16, now_us=lambda: 1)


WORKLOADS = {
    "one by one": appends(10),
    "in groups": appends(8, each=3, size=1500),
    "with snapshots": appends(12, each=2, size=900, snapshot_every=3),
    "many small": appends(30, each=2, size=40, snapshot_every=7),
}


@pytest.mark.parametrize("name", [pytest.param(name, marks=[] if name == "one by one" else pytest.mark.long) for name in WORKLOADS])
def test_every_state_that_a_power_cut_leaves(name: str) -> None:
    """Scenarios 29, 32 and 36 for the store: what was acknowledged is recovered in order, and nothing else."""
    states = 0
    checked: set[bytes] = set()
    for seed in range(2 * TIMES):
        check = CrashCheck(seed=seed, nested=0.05, checked=checked)
        check.run(WORKLOADS[name])
        states += check.states
    assert states > 200 * TIMES
    print(f"{name}: {states:,} states")


@pytest.mark.long(seconds=20)
@pytest.mark.timeout(600)
@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_each_operation_failing_once_and_the_power_cut_after_it(code: int) -> None:
    """Scenario 34 for the store: the first operation fails, then the second, until the workload ends before the failure.

    The two errors take turns; PERDURE_STATES=2 tries both at each operation.
    """
    states = 0
    checked: set[bytes] = set()  # up to the failure all runs are alike
    for at in range(1 if code == errno.EIO else TIMES % 2 + 1, 1000, 1 if TIMES > 1 else 2):
        disk = MemoryDisk()
        fault = Fault(at, code, part=at * 13 % 300)
        check = CrashCheck(seed=at, nested=0.0, checked=checked)
        check.run(appends_through_faults(7, fault), disk)
        states += check.states
        if fault.at > 0:  # the workload ended before it
            break
    else:
        pytest.fail("the workload never ended")
    assert at > 20
    print(f"{errno.errorcode[code]}: up to operation {at - 1}, {states:,} states")


@pytest.mark.long(seconds=10)
@pytest.mark.timeout(600)
@pytest.mark.parametrize("times", [2, 3, 5])
def test_operations_failing_in_a_row(times: int) -> None:
    checked: set[bytes] = set()
    for at in range(times, 60, 3 if TIMES > 1 else 6):
        CrashCheck(seed=at, nested=0.0, checked=checked).run(
            appends_through_faults(9, Fault(at, errno.EIO, times=times)), MemoryDisk()
        )


@pytest.mark.long
def test_process_killed_at_each_operation_and_the_power_cut_later() -> None:
    """Scenario 29 with both: what the dead process left unsynced must not destroy what its successor acknowledged."""
    checked: set[bytes] = set()
    for at in range(1, 400):
        disk = MemoryDisk()
        CrashCheck(seed=at, nested=0.0, checked=checked).run(appends_through_a_kill(4, at), disk)
        if disk.operations < at:
            break
    assert at > 25


# --- history that is dropped ---------------------------------------------------------------------------------------------


def dropping(disk: MemoryDisk, kind: type[SegmentStore] = SegmentStore) -> SegmentStore:
    return kind("/data", disk=disk, segment_bytes=600, new_id=lambda: b"i" * 16, now_us=lambda: 1, history=History("drop"))


DROPPING = {
    "synced": appends(24, size=900, snapshot_every=4),
    "several at once": appends(20, each=3, size=1200, snapshot_every=7),
    "synced now and then": appends(20, size=200, snapshot_every=3, sync_every=6),
    "hardly ever synced": appends(14, size=120, snapshot_every=2, sync_every=100),
}


@pytest.mark.long
@pytest.mark.parametrize("name", DROPPING)
def test_every_state_that_a_power_cut_leaves_while_history_is_dropped(name: str) -> None:
    """Scenarios 29 and 30: two snapshots contain whatever was dropped, and the log has no gap."""
    disk = MemoryDisk()
    states = 0
    checked: set[bytes] = set()
    for seed in range(TIMES):
        disk = MemoryDisk()
        check = CrashCheck(seed=seed, open_store=dropping, nested=0.02, checked=checked)
        check.run(DROPPING[name], disk)
        states += check.states
    gone = min(name for name in disk.contents() if name.endswith(".seg"))
    assert gone > "log-00000000000000000001.seg", "nothing was dropped, so nothing was tested"
    print(f"dropping, {name}: {states:,} states")


# --- planted bugs --------------------------------------------------------------------------------------------------------


class _Without:
    """Disables a method of the disk inside the `with` block."""

    def __init__(self, disk: Disk, method: str) -> None:
        self.disk, self.method = disk, method

    def __enter__(self) -> None:
        setattr(self.disk, self.method, lambda *_: None)

    def __exit__(self, *_: object) -> None:
        delattr(self.disk, self.method)


class AcknowledgesUnsynced(SegmentStore):
    def sync(self) -> None:
        self.synced_seq = self.last_seq


class NewSegmentNotInFolder(SegmentStore):
    def _begin_segment(self) -> None:
        with _Without(self.disk, "sync_folder"):
            super()._begin_segment()


class NewSegmentHeaderUnsynced(SegmentStore):
    def _begin_segment(self) -> None:
        with _Without(self.disk, "sync"):
            super()._begin_segment()


class OldSegmentUnsynced(SegmentStore):
    def _roll(self) -> None:
        fd, self._fd = self._fd, None
        assert fd is not None
        self.disk.close(fd)
        self.synced_seq = self.last_seq
        self._begin_segment()


class SnapshotsAheadStay(SegmentStore):
    def _set_aside_snapshots(self) -> None:
        return


class SyncTriedAgain(SegmentStore):
    def sync(self) -> None:
        try:
            super().sync()
        except StoreUnavailable:
            self._failed = None
            super().sync()


class WritesOnAfterAnError(SegmentStore):
    def append(self, body: bytes, count: int, *, expected_seq: int, durable: bool = False, taken: Sequence[int] = ()) -> None:
        with _Without(self.disk, "cut"):
            try:
                super().append(body, count, expected_seq=expected_seq, durable=durable, taken=taken)
            except StoreUnavailable:
                self._failed = None
                super().append(body, count, expected_seq=expected_seq, durable=durable, taken=taken)


class VoidedComesBack(SegmentStore):
    def reopen(self, *, void_after: int | None = None) -> Any:
        return super().reopen()


class LeavesItsTraces(SegmentStore):
    def _recover(self, void_after: int | None) -> Any:
        with _Without(self.disk, "remove"):
            return super()._recover(void_after)


class RecoversWithoutSync(SegmentStore):
    """Takes what a failed sync left in the cache for what is on the disk."""

    def _read_from_disk(self, path: Path) -> None:
        return


class DropsAllAtOnce(SegmentStore):
    """Syncs once after all removals, so that a power cut may undo some of them."""

    def retire_history(self) -> int:
        real, calls = self.disk.sync_folder, []

        def first_only(path: Path) -> None:
            calls.append(path)
            if len(calls) == 1:
                real(path)

        self.disk.sync_folder = first_only
        try:
            gone = super().retire_history()
        finally:
            del self.disk.sync_folder
        if gone:
            self.disk.sync_folder(self.path)
        return gone


class DropsForUnsyncedSnapshots(SegmentStore):
    """Relies on a snapshot whose events a power cut can still remove, and removes the older ones."""

    def retire_history(self) -> int:
        synced, self.synced_seq = self.synced_seq, self.last_seq
        try:
            return super().retire_history()
        finally:
            self.synced_seq = synced

    def _unneeded_snapshots(self) -> list[int]:
        return self.reader.snapshot_seqs()[: -self.snapshots_kept]


class DropsUpToTheNewestSnapshot(SegmentStore):
    """Keeps a single snapshot."""

    def retire_history(self) -> int:
        kept, self.snapshots_kept = self.snapshots_kept, 1
        try:
            return super().retire_history()
        finally:
            self.snapshots_kept = kept


class DropsBeforeTheSnapshotIsInItsFolder(SegmentStore):
    def save_snapshot(self, snapshot: Snapshot) -> None:
        with _Without(self.disk, "sync_folder"):
            super().save_snapshot(snapshot)
            super().retire_history()

    def retire_history(self) -> int:
        return 0


def unsynced_snapshots(store: SegmentStore, contract: Contract) -> None:
    """Snapshots ahead of the sync, as the snapshotter makes them."""
    store.open()
    for n in range(6):
        contract.sent.append(b"%d" % n)
        store.append(contract.sent[-1], 1, expected_seq=store.last_seq + 1)
        store.save_snapshot(Snapshot(store.last_seq, f"state at {store.last_seq}".encode() * 20))
        store.sync()
        contract.acknowledged = n + 1


def _with_faults() -> Iterator[Workload]:
    for only in ("sync", "write"):
        for at in range(1, 12):
            yield appends_through_faults(6, Fault(at, errno.EIO, part=at * 7, only=only))


class NamesNotSyncedAtTheStart(SegmentStore):
    def _recover(self, void_after: int | None) -> Any:
        real, calls = self.disk.sync_folder, []

        def all_but_the_first(path: Path) -> None:
            calls.append(path)
            if len(calls) > 2:
                real(path)

        self.disk.sync_folder = all_but_the_first
        try:
            return super()._recover(void_after)
        finally:
            del self.disk.sync_folder


def _with_kills() -> Iterator[Workload]:
    for at in range(1, 60):
        yield appends_through_a_kill(4, at)


PLANTED: dict[type[SegmentStore], Callable[[], Iterator[Workload]]] = {
    AcknowledgesUnsynced: lambda: iter(WORKLOADS.values()),
    NewSegmentNotInFolder: lambda: iter(WORKLOADS.values()),
    NewSegmentHeaderUnsynced: lambda: iter(WORKLOADS.values()),
    OldSegmentUnsynced: lambda: iter([appends(3, each=12, size=1500)]),
    SnapshotsAheadStay: lambda: iter([unsynced_snapshots]),
    SyncTriedAgain: _with_faults,
    WritesOnAfterAnError: _with_faults,
    VoidedComesBack: _with_faults,
    LeavesItsTraces: lambda: iter(WORKLOADS.values()),
    RecoversWithoutSync: _with_faults,
    NamesNotSyncedAtTheStart: _with_kills,
}


@pytest.mark.long
def test_without_a_bug_nothing_is_found() -> None:
    CrashCheck(nested=0.0).run(unsynced_snapshots)
    CrashCheck(nested=0.0).run(appends(3, each=12, size=1500))


@pytest.mark.long
@pytest.mark.parametrize(
    "bug",
    [DropsAllAtOnce, DropsForUnsyncedSnapshots, DropsUpToTheNewestSnapshot, DropsBeforeTheSnapshotIsInItsFolder],
    ids=lambda bug: bug.__name__,
)
def test_planted_bug_in_dropping_is_found(bug: type[SegmentStore]) -> None:
    def check_all() -> None:
        checked: set[bytes] = set()
        for workload in DROPPING.values():
            CrashCheck(open_store=lambda disk: dropping(disk, bug), nested=0.0, checked=checked).run(workload, MemoryDisk())

    with pytest.raises((Lost, AssertionError)):
        check_all()


@pytest.mark.long
@pytest.mark.parametrize("bug", PLANTED, ids=lambda bug: bug.__name__)
def test_planted_bug_is_found(bug: type[SegmentStore]) -> None:
    def with_bug(disk: MemoryDisk) -> SegmentStore:
        return bug("/data", disk=disk, segment_bytes=4096, new_id=lambda: b"i" * 16, now_us=lambda: 1)

    def check_all() -> None:
        checked: set[bytes] = set()
        for workload in PLANTED[bug]():
            CrashCheck(open_store=with_bug, nested=0.05, checked=checked).run(workload, MemoryDisk())

    with pytest.raises((Lost, AssertionError, StoreUnavailable, ValueError)):
        check_all()
