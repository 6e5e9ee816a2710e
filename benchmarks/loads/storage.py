"""The log itself: appending frames, taking a snapshot, opening from a snapshot, and replaying without one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import perdure
from benchmarks import folders
from benchmarks.figure import Measure
from benchmarks.load import Load, Prepared, job
from benchmarks.loads.floors import COPY, HAND_OFF, SYNC
from perdure.store import FolderReader, SegmentStore

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.effort import Effort

__all__ = ["AUDIT_MEMORY", "OPEN", "REPLAY", "loads"]

OPEN = "open from a snapshot, all messages waiting"
REPLAY = "open without a snapshot: replay"
FOLD = "fold the log for `audit.state_at`"
AUDIT = "stream the log through `audit.events`"
AUDIT_MEMORY = "memory that streaming takes beyond the first tenth"
SNAPSHOT = "take a snapshot"
FRAME_MESSAGES = 500
PAGE_BYTES = 4096


def resident_bytes() -> int:
    """Return the resident memory of this process, in bytes."""
    with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123 - a file of the kernel
        return int(statm.read().split()[1]) * PAGE_BYTES


def append(folder: Path, seconds: float, *, messages: int, sync: bool) -> tuple[float, float]:
    """Append frames as a queue writes them, and sync each or none. Return frames and MB (uncompressed) a second."""
    with perdure.System(folder / "source") as system:
        for _ in range(20):
            system.publish_many([job(i) for i in range(messages)])
    bodies = [frame for frame in FolderReader(folder / "source").frames() if frame.count >= messages]
    store = SegmentStore(folder / "log")
    store.open()
    frames = size = 0
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        frame = bodies[frames % len(bodies)]
        store.append(frame.body, frame.count, expected_seq=store.last_seq + 1)
        if sync:
            store.sync()
        frames += 1
        size += len(frame.body)
    took_s = time.perf_counter() - began
    store.close()
    return frames / took_s, size / 1e6 / took_s


def opened(folder: Path, size: int) -> float:
    """Open a folder in which `size` messages wait. Return messages a second."""
    system = perdure.System(folder, options=folders.roomy(size))
    began = time.perf_counter()
    with system:
        took_s = time.perf_counter() - began
        recovery = system.recovery
    if recovery is None or recovery.waiting != size or not recovery.snapshot_seq:
        msg = f"{size} messages should have come from a snapshot: {recovery}"
        raise RuntimeError(msg)
    return size / took_s


def replayed(folder: Path) -> tuple[float, float]:
    """Open a folder without a snapshot. Return events and MB of log a second."""
    folders.forget_snapshots(folder)
    size = folders.log_bytes(folder)
    system = perdure.System(folder)
    began = time.perf_counter()
    with system:
        took_s = time.perf_counter() - began
        recovery = system.recovery
    if recovery is None or recovery.snapshot_seq:
        msg = f"this start should have replayed all events: {recovery}"
        raise RuntimeError(msg)
    return recovery.events_replayed / took_s, size / 1e6 / took_s


def folded(folder: Path) -> float:
    """Let audit compute the state at the end of a log without a snapshot. Return events a second."""
    folders.forget_snapshots(folder)
    last_seq = max(frame.last_seq for frame in FolderReader(folder).frames())
    began = time.perf_counter()
    perdure.Audit(folder).state_at(last_seq)
    return last_seq / (time.perf_counter() - began)


def streamed(folder: Path) -> tuple[float, float]:
    """Read every event through audit. Return events a second, and the bytes by which memory grew after the first tenth."""
    total = sum(frame.count for frame in FolderReader(folder).frames())
    n, early, most = 0, 0, 0
    began = time.perf_counter()
    for _ in perdure.Audit(folder).events():
        n += 1
        if n == total // 10:
            early = resident_bytes()
        elif not n % 10_000:
            most = max(most, resident_bytes())
    return n / (time.perf_counter() - began), max(0, most - early)


def snapshot(folder: Path, size: int) -> tuple[float, float]:
    """Take a snapshot while `size` messages wait. Return messages and MB of snapshot a second."""
    system = perdure.System(folder, options=folders.roomy(size))
    with system:
        system.publish(job(0))
        began = time.perf_counter()
        seq = system.admin.snapshot()
        took_s = time.perf_counter() - began
        written = folder / f"snapshot-{seq:020d}.snap"
        return size / took_s, written.stat().st_size / 1e6 / took_s


def loads(effort: Effort) -> Sequence[Load]:
    """Return the loads of this group."""
    seconds, backlog, log = effort.seconds, effort.backlogs[-1], Prepared("ended", effort.logs[-1])
    waiting = Prepared("waiting", backlog)

    def appends(name: str, *, messages: int, sync: bool) -> Load:
        measures = (Measure(name, "frames/s", SYNC), Measure(f"{name}, bytes", "MB/s", COPY))
        return Load(name, measures, lambda folder: append(folder, seconds, messages=messages, sync=sync))

    return [
        appends("append frames of 1 message, synced", messages=1, sync=True),
        appends("append frames of 1 message, not synced", messages=1, sync=False),
        appends("append frames of 500 messages, synced", messages=FRAME_MESSAGES, sync=True),
        appends("append frames of 500 messages, not synced", messages=FRAME_MESSAGES, sync=False),
        Load(
            SNAPSHOT,
            (Measure(SNAPSHOT, "messages/s", HAND_OFF), Measure(f"{SNAPSHOT}, bytes", "MB/s", COPY)),
            lambda folder: snapshot(folder, backlog),
            waiting,
        ),
        Load(OPEN, (Measure(OPEN, "messages/s", HAND_OFF),), lambda folder: opened(folder, backlog), waiting),
        Load(REPLAY, (Measure(REPLAY, "events/s", HAND_OFF), Measure(f"{REPLAY}, bytes", "MB/s", COPY)), replayed, log),
        Load(FOLD, (Measure(FOLD, "events/s", HAND_OFF),), folded, log),
        Load(AUDIT, (Measure(AUDIT, "events/s", HAND_OFF), Measure(AUDIT_MEMORY, "B")), streamed, log),
    ]
