"""The readings of a soak: counts of the queue, and the memory, files, threads and disk space of its process. Also as CSV.

Whether a series grows is decided in `trend`; the run is in `soak`.
"""

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

__all__ = ["BOUNDS", "SETTLING", "Bound", "InUse", "Reading", "Table", "growth_of", "judged", "take"]

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
SETTLING = 1 / 3
"""The first part of a run, in which caches fill, is not judged."""


@attrs.frozen
class Reading:
    """One line of the CSV. Times are seconds of the run; counts are from its beginning."""

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
    """Python's memory blocks in use, without what was in use when the run began. Holes in the heap do not count."""
    native_mib: float
    """The same for the C library's heap: memory of libraries, and large objects of Python. 0 if it cannot be measured."""
    files: int
    threads: int
    disk_mib: float
    """All files of the data folder."""
    beside_log_mib: float
    """The same without the segments of the log. If history is kept, only the log may grow."""


@attrs.frozen
class InUse:
    """The memory that a process has in use."""

    blocks: int
    native_bytes: int

    @classmethod
    def now(cls) -> InUse:
        """Return the memory in use now."""
        return cls(sys.getallocatedblocks(), _native_bytes())


def take(folder: Path, numbers: Metrics, kills: int, at_s: float, before: InUse) -> Reading:
    """Return a reading of now. `before` is the memory in use when the run began."""
    gc.collect()
    _release_free_memory()
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
        files=len(os.listdir("/proc/self/fd")),  # noqa: PTH208 - only the number of names matters
        threads=threading.active_count(),
        disk_mib=round(whole / 2**20, 3),
        beside_log_mib=round((whole - log) / 2**20, 3),
    )


def _release_free_memory() -> None:
    """Let glibc return free memory to the system, so that resident memory is what is in use.

    The successor of a dead actor needs memory for a moment while it recovers, above all for dead letters. The holes that this
    leaves between longer-lived blocks add up for an hour and would hide a small leak.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # only glibc has it
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
    info = mallinfo2()
    return int(info.uordblks + info.hblkhd)  # on the heaps, and mapped directly


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat().st_size if entry.is_file() else 0
    except FileNotFoundError:
        return 0  # removed in between


@attrs.frozen
class Bound:
    """How much growth over a run is allowed: a share of the median plus an amount."""

    share: float
    amount: float


BOUNDS = {
    "rss_mib": Bound(0.05, 8.0),
    "blocks": Bound(0.1, 20_000),
    "native_mib": Bound(0.1, 2.0),
    "files": Bound(0.0, 6.0),
    "threads": Bound(0.0, 4.0),
    "disk_mib": Bound(0.25, 1.0),
    "beside_log_mib": Bound(0.25, 1.0),
}


def judged(readings: Sequence[Reading]) -> Sequence[Reading]:
    """Return the readings after the first part of a run."""
    return readings[int(len(readings) * SETTLING) :]


def growth_of(readings: Sequence[Reading], name: str) -> str | None:
    """Return a sentence if a series grew beyond its bound in the judged part; None if it did not, or has too few readings."""
    part = judged(readings)
    found = trend([reading.at_s for reading in part], [getattr(reading, name) for reading in part])
    bound = BOUNDS[name]
    if found is None or not found.grows(bound.share * max(0.0, found.median) + bound.amount):
        return None
    within_s = part[-1].at_s - part[0].at_s
    return f"{name} grew by {found.growth:.1f} within {within_s:.0f} s (median {found.median:.1f}, z {found.z:.1f})"


class Table:
    """A new CSV file. Each reading is written at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._names = [field.name for field in attrs.fields(Reading)]
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow(self._names)

    def add(self, reading: Reading) -> None:
        """Write a reading."""
        with self._path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self._names).writerow(attrs.asdict(reading))
