"""Real power cuts: ext4 or xfs in an image file is shut down without a flush of its log (FS_IOC_SHUTDOWN) and mounted again.

Needs root. Here the kernel decides what is left; `crash_states` enumerates what could be.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING, Any

import attrs

from perdure.chaos.disk.store_contract import Lost, check_recovery
from perdure.chaos.disk.workload import StoreWork, contract_of, open_small, spread
from perdure.events.errors import PerdureError, StoreUnavailable
from perdure.store.disk.disk import Disk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from perdure.chaos.disk.mounts import LoopFolder
    from perdure.store import SegmentStore

__all__ = ["CuttingDisk", "PowerCutSweep"]


class CuttingDisk(Disk):
    """The real disk, whose power is cut before the N-th operation that changes something."""

    def __init__(self, cut_at: int, cut: Callable[[], None]) -> None:
        self.operations = 0
        self.is_cut = False
        self._cut_at, self._cut = cut_at, cut

    def __getattribute__(self, name: str) -> Any:
        """Count a changing operation when the store looks it up, which is just before the call."""
        if name in _CHANGES:
            self.operations += 1
            if self.operations == self._cut_at:
                self.is_cut = True
                self._cut()
        return super().__getattribute__(name)


_CHANGES = frozenset({"create", "write", "sync_data", "sync", "sync_folder", "truncate", "cut", "rename", "remove"})


@attrs.define
class PowerCutSweep:
    """Cuts the power before one operation of a workload after another, and checks each time what the store finds afterwards.

    `make` opens the store on a disk. A test can pass a store with a bug, to see that the check finds it.
    """

    mount: LoopFolder
    make: Callable[[Path, Disk | None], SegmentStore] = open_small
    frames: int = 16
    cuts: int = 0

    def run(self, most: int = 0, progress: Callable[[int, int], None] = lambda _done, _of: None) -> None:
        """Cut before each operation, or before at most `most`, evenly spread.

        Raises:
            Lost: the contract was broken; says at which operation.
        """
        points: Sequence[int] = spread(range(1, self._count() + 1), most)
        for done, at in enumerate(points):
            self._one(at)
            progress(done + 1, len(points))

    def _count(self) -> int:
        disk = CuttingDisk(0, self.mount.cut)
        with self._folder() as folder:
            StoreWork(folder, lambda _: None, self.frames, lambda path: self.make(path, disk)).run()
        return disk.operations

    def _one(self, at: int) -> None:
        reports: list[str] = []
        disk = CuttingDisk(at, self.mount.cut)
        stores: list[SegmentStore] = []

        def make(path: Path) -> SegmentStore:
            stores.append(self.make(path, disk))
            return stores[-1]

        def report(line: str) -> None:
            if not disk.is_cut:  # later reports would have ended with the machine
                reports.append(line)

        with self._folder() as folder:
            with contextlib.suppress(StoreUnavailable, OSError):  # without power it can only give up
                StoreWork(folder, report, self.frames, make).run()
            for store in stores:
                store.abandon()
            if not disk.is_cut:
                raise Lost(f"the work ended before operation {at}")
            self.mount.unmount()
            self.mount.mount()
            self.cuts += 1
            try:
                check_recovery(lambda: self.make(folder, None), contract_of(reports))
            except (PerdureError, AssertionError, OSError, ValueError) as error:
                raise Lost(f"power cut before operation {at}: {error!r}; last reports: {reports[-3:]}") from error

    @contextlib.contextmanager
    def _folder(self) -> Iterator[Path]:
        parent = self.mount.path / "work"
        parent.mkdir(exist_ok=True)
        os.sync()  # the parent folder is no part of the test
        try:
            yield parent / "data"
        finally:
            shutil.rmtree(parent, ignore_errors=True)
