"""Real power cuts: ext4 or xfs in an image file, shut down without a flush of its log (FS_IOC_SHUTDOWN), and mounted again.

Needs root. What a cut could leave in theory is enumerated in `crash`; here it is whatever the kernel leaves.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING, Any

import attrs

from perdure.chaos.oracle.contract import Lost, hold
from perdure.chaos.processes.sweep import spread
from perdure.chaos.processes.workload import StoreWork, heard, open_small
from perdure.events.errors import PerdureError, StoreUnavailable
from perdure.store.disk.disk import Disk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from perdure.chaos.disk.mounts import LoopFolder
    from perdure.store import SegmentStore

__all__ = ["CuttingDisk", "PowerCutSweep"]


class CuttingDisk(Disk):
    """The real disk, with the power cut before the N-th operation that changes something."""

    def __init__(self, cut_at: int, cut: Callable[[], None]) -> None:
        self.operations = 0
        self.is_cut = False
        self._cut_at, self._cut = cut_at, cut

    def __getattribute__(self, name: str) -> Any:
        """Count whatever changes something when the store asks for it, which is when it is about to call it."""
        if name in _CHANGES:
            self.operations += 1
            if self.operations == self._cut_at:
                self.is_cut = True
                self._cut()
        return super().__getattribute__(name)


_CHANGES = frozenset({"create", "write", "sync_data", "sync", "sync_folder", "truncate", "cut", "rename", "remove"})


@attrs.define
class PowerCutSweep:
    """Cuts the power at one operation after another of a workload, and checks each time what is there once it is back.

    `make` opens the store on a disk; a test gives one with a bug in it, to see that it is found.
    """

    place: LoopFolder
    make: Callable[[Path, Disk | None], SegmentStore] = open_small
    frames: int = 16
    cuts: int = 0

    def run(self, most: int = 0, progress: Callable[[int, int], None] = lambda _done, _of: None) -> None:
        """Cut before each operation, or before at most so many, evenly spread.

        Raises:
            Lost: a promise was broken; says at which operation.
        """
        points: Sequence[int] = spread(range(1, self._count() + 1), most)
        for done, at in enumerate(points):
            self._one(at)
            progress(done + 1, len(points))

    def _count(self) -> int:
        disk = CuttingDisk(0, self.place.cut)
        with self._folder() as folder:
            StoreWork(folder, lambda _: None, self.frames, lambda path: self.make(path, disk)).run()
        return disk.operations

    def _one(self, at: int) -> None:
        told: list[str] = []
        disk = CuttingDisk(at, self.place.cut)
        stores: list[SegmentStore] = []

        def make(path: Path) -> SegmentStore:
            stores.append(self.make(path, disk))
            return stores[-1]

        def tell(line: str) -> None:
            if not disk.is_cut:  # what is said after the lights went out was heard by nobody
                told.append(line)

        with self._folder() as folder:
            with contextlib.suppress(StoreUnavailable, OSError):  # the power is gone; it can only give up
                StoreWork(folder, tell, self.frames, make).run()
            for store in stores:
                store.abandon()
            if not disk.is_cut:
                raise Lost(f"the work ended before operation {at}")
            self.place.unmount()
            self.place.mount()
            self.cuts += 1
            try:
                hold(lambda: self.make(folder, None), heard(told))
            except (PerdureError, AssertionError, OSError, ValueError) as error:
                raise Lost(f"power cut before operation {at}: {error!r}; it told {told[-3:]}") from error

    @contextlib.contextmanager
    def _folder(self) -> Iterator[Path]:
        parent = self.place.path / "work"
        parent.mkdir(exist_ok=True)
        os.sync()  # the folder it works in is no part of what is tried
        try:
            yield parent / "data"
        finally:
            shutil.rmtree(parent, ignore_errors=True)
