"""What a soak reads off at an interval: counts of the queue, and what its process and its folder take. With the CSV of it."""

from __future__ import annotations

import csv
import ctypes
import gc
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from perdure.chaos.soak.trend import trend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perdure.operations.metrics import Metrics

__all__ = ["BOUNDS", "Bound", "InUse", "Reading", "Table", "growing", "settled", "take"]

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
SETTLING = 1 / 3
"""The first part of a run, in which caches and the like fill, is not judged."""


@attrs.frozen
class Reading:
    """One line of the CSV. Times in seconds of the run, kills since the beginning."""

    at_s: float
    published: int
    completed: int
    dead_lettered: int
    replayed: int
    purged: int
    dead_letters: int
    waiting: int
    kills: int
    snapshots: int
    segments_retired: int
    rss_mib: float
    blocks: int
    """Blocks of memory that Python has given out since the run began: what is in use, whatever holes the heap has."""
    native_mib: float
    """The same of the C library's heap, which libraries hold, and what is large in Python. 0 where it cannot be told."""
    files: int
    threads: int
    disk_mib: float
    """All files of the data folder."""
    beside_log_mib: float
    """The same without the segments of the log: with history kept, only the log may grow."""


@attrs.frozen
class InUse:
    """What a process has in use of its memory."""

    blocks: int
    native_bytes: int

    @classmethod
    def now(cls) -> InUse:
        """Look."""
        return cls(sys.getallocatedblocks(), _native_bytes())


def take(folder: Path, numbers: Metrics, kills: int, at_s: float, before: InUse) -> Reading:
    """Read off how things are now; `before`: when the run began, whose process may have held more than the run will take."""
    gc.collect()
    _give_back_free_memory()
    sizes = {entry.name: _size(entry) for entry in os.scandir(folder)}
    used = InUse.now()
    log = sum(size for name, size in sizes.items() if name.endswith(".seg"))
    whole = sum(sizes.values())
    return Reading(
        at_s=round(at_s, 1),
        published=numbers.published,
        completed=numbers.completed,
        dead_lettered=numbers.dead_lettered,
        replayed=numbers.replayed,
        purged=numbers.purged,
        dead_letters=numbers.dead_letters,
        waiting=numbers.ready + numbers.delayed + numbers.held + numbers.in_flight,
        kills=kills,
        snapshots=numbers.runtime_counters.get("snapshots", 0),
        segments_retired=numbers.runtime_counters.get("segments_retired", 0),
        rss_mib=round(int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE_BYTES / 2**20, 1),
        blocks=used.blocks - before.blocks,
        native_mib=round((used.native_bytes - before.native_bytes) / 2**20, 2),
        files=len(os.listdir("/proc/self/fd")),  # noqa: PTH208 - names are all that is wanted
        threads=threading.active_count(),
        disk_mib=round(whole / 2**20, 3),
        beside_log_mib=round((whole - log) / 2**20, 3),
    )


def _give_back_free_memory() -> None:
    """Have glibc give back what is free, so that what is measured is in use.

    Each successor of a dead actor takes memory for a moment that grows with what it recalls (dead letters, above all); the holes
    that it leaves between longer-lived blocks climb for an hour, and would hide a small leak beneath them.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # another C library has no such thing
    if trim is not None:
        trim(0)


class _Mallinfo2(ctypes.Structure):
    """See `man 3 mallinfo2`; all sizes in bytes."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def _native_bytes() -> int:
    mallinfo2 = getattr(ctypes.CDLL(None), "mallinfo2", None)  # glibc 2.33 or later
    if mallinfo2 is None:
        return 0
    mallinfo2.restype = _Mallinfo2
    told = mallinfo2()
    return int(told.uordblks + told.hblkhd)  # on the heaps, and mapped by itself


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat().st_size if entry.is_file() else 0
    except FileNotFoundError:
        return 0  # dropped in between


@attrs.frozen
class Bound:
    """How much growth over a run is borne: a share of the median, and so much beside it."""

    share: float
    beside: float


BOUNDS = {
    "rss_mib": Bound(0.05, 8.0),
    "blocks": Bound(0.1, 20_000),
    "native_mib": Bound(0.1, 2.0),
    "files": Bound(0.0, 6.0),
    "threads": Bound(0.0, 4.0),
    "disk_mib": Bound(0.25, 1.0),
    "beside_log_mib": Bound(0.25, 1.0),
}


def settled(readings: Sequence[Reading]) -> Sequence[Reading]:
    """Give the readings that are judged."""
    return readings[int(len(readings) * SETTLING) :]


def growing(readings: Sequence[Reading], name: str) -> str | None:
    """Tell how something grew beyond its bound in the part that is judged; None where it did not, or nothing can be said."""
    judged = settled(readings)
    found = trend([reading.at_s for reading in judged], [getattr(reading, name) for reading in judged])
    bound = BOUNDS[name]
    if found is None or not found.grows(bound.share * max(0.0, found.median) + bound.beside):
        return None
    within_s = judged[-1].at_s - judged[0].at_s
    return f"{name} grew by {found.growth:.1f} within {within_s:.0f} s (median {found.median:.1f}, z {found.z:.1f})"


class Table:
    """The CSV file, begun anew; each reading is in it as soon as it is made."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._names = [field.name for field in attrs.fields(Reading)]
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow(self._names)

    def add(self, reading: Reading) -> None:
        """Write one."""
        with self._path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self._names).writerow(attrs.asdict(reading))
