"""Real power cuts and real failed syncs on file systems in image files. Root only; PERDURE_CUTS=all cuts at each operation.

The states that a cut could leave in theory are visited in `test_crash_states`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from perdure.chaos.disk.kernel_power_cuts import PowerCutSweep
from perdure.chaos.disk.mounts import LoopFolder, Tmpfs, why_no_loop
from perdure.chaos.disk.store_contract import Contract, Lost, check_recovery
from perdure.events.errors import StoreUnavailable
from perdure.store import SegmentStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from perdure.store.disk.disk import Disk

MOST = 0 if os.environ.get("PERDURE_CUTS") == "all" else 16


@pytest.fixture(scope="module", params=["ext4", "xfs"])
def mount(request: pytest.FixtureRequest) -> Iterator[LoopFolder]:
    """A file system in an image file."""
    if reason := why_no_loop(request.param):
        pytest.skip(reason)
    with LoopFolder(request.param) as made:
        yield made


def test_power_cuts(mount: LoopFolder) -> None:
    """Scenarios 29 and 32 on real file systems: all that was acknowledged is there when the power is back."""
    sweep = PowerCutSweep(mount)
    sweep.run(MOST)
    assert sweep.cuts >= 16
    print(f"{mount.filesystem}: {sweep.cuts} power cuts")


class AcknowledgesUnsynced(SegmentStore):
    """Acknowledges without a sync."""

    def sync(self) -> None:
        self._writable()
        self.synced_seq = self.last_seq


def test_a_planted_missing_sync_is_found(mount: LoopFolder) -> None:
    def with_bug(folder: Path, disk: Disk | None) -> SegmentStore:
        return AcknowledgesUnsynced(folder, segment_bytes=2048, disk=disk)

    with pytest.raises(Lost, match="acknowledged"):
        PowerCutSweep(mount, with_bug).run(MOST)


def test_a_sync_that_really_fails() -> None:
    """Scenario 34 on a disk smaller than it reports: there is an error, nothing acknowledged is lost, and the store goes on later.

    On ext4 a second sync of the same file would succeed. If the file system's own journal also met the end of the disk, the file
    system is read-only and must be mounted again.
    """
    if reason := why_no_loop("ext4"):
        pytest.skip(reason)
    with Tmpfs(14 << 20) as disk, LoopFolder("ext4", within=disk.path) as mount:
        folder = mount.path / "data"
        store = SegmentStore(folder, segment_bytes=4 << 20)
        store.open()
        contract = Contract()
        try:
            with pytest.raises(StoreUnavailable, match=r"could not be (synced|written)"):
                fill(store, contract, 10_000)
            assert contract.acknowledged > 10
            with pytest.raises(StoreUnavailable):
                store.sync()  # it never syncs that file again
            disk.resize(60 << 20)
            try:
                store.reopen(void_after=contract.acknowledged)
            except StoreUnavailable:
                store.abandon()
                mount.unmount()
                mount.mount()
                store.open()
            assert store.last_seq >= contract.acknowledged
            del contract.sent[store.last_seq :]
            fill(store, contract, 3)
            store.close()
        finally:
            store.abandon()
        mount.unmount()
        mount.mount()
        recovered = check_recovery(lambda: SegmentStore(folder, segment_bytes=4 << 20), contract)
        assert recovered.last_seq == contract.acknowledged == len(contract.sent)


def fill(store: SegmentStore, contract: Contract, frames: int) -> None:
    for _ in range(frames):
        contract.sent.append(os.urandom(200_000))
        store.append(contract.sent[-1], 1, expected_seq=store.last_seq + 1)
        store.sync()
        contract.acknowledged = store.last_seq
