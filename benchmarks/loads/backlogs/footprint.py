"""The footprint of a message: memory while it waits, and bytes on disk when it has ended and the system has stopped."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import perdure
from benchmarks import folders
from benchmarks.figure import Measure
from benchmarks.load import Job, Load, Prepared, job
from benchmarks.loads.floors import PAYLOAD
from benchmarks.loads.storage import resident_bytes
from perdure import MessagePack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from benchmarks.effort import Effort

__all__ = ["DISK_BATCHES", "DISK_SINGLE", "MEMORY_OPENED", "MEMORY_PUBLISHED", "loads"]

MEMORY_PUBLISHED = "memory a waiting message over its payload, published here"
MEMORY_OPENED = "memory a waiting message over its payload, opened from a snapshot"
DISK_BATCHES = "log a message, whole life, batches of 500"
DISK_SINGLE = "log a message, whole life, one by one"
DRAIN_S = 300.0


def beyond_payload(before: int, count: int) -> float:
    """Return the memory a message since `before`, without the payload's own bytes."""
    gc.collect()
    payload = len(MessagePack().encode(job(count // 2)))
    return (resident_bytes() - before) / count - payload


def published(folder: Path, count: int) -> float:
    """Return the memory of waiting messages that this process published."""
    with perdure.System(folder, options=folders.roomy(count)) as system:
        folders.publish(system, folders.BATCH)  # one-time costs of the first batch do not count
        gc.collect()
        before = resident_bytes()
        folders.publish(system, count)
        return beyond_payload(before, count)


def opened(folder: Path, count: int) -> float:
    """Return the memory of waiting messages that this process read from a snapshot."""
    gc.collect()
    before = resident_bytes()
    with perdure.System(folder, options=folders.roomy(count)):
        return beyond_payload(before, count)


def on_disk(folder: Path, count: int, publish: Callable[[perdure.System, int], None]) -> tuple[float, float]:
    """Publish and handle messages, and stop. Return the bytes a message in the log, and in all files with snapshots."""
    system = perdure.System(folder)

    @system.handler(Job)
    def handle(_job: Job, _ctx: perdure.Context) -> None:
        pass

    with system:
        publish(system, count)
        system.drain(DRAIN_S)
    everything = sum(file.stat().st_size for file in folder.iterdir())
    return folders.log_bytes(folder) / count, everything / count


def one_by_one(system: perdure.System, count: int) -> None:
    """Publish messages, waiting for the disk each time."""
    for i in range(count):
        system.publish(job(i))


def loads(effort: Effort) -> Sequence[Load]:
    """Return the loads of this group."""
    count, few, backlog = effort.footprint, effort.footprint // 40, effort.backlogs[-1]

    def disk(name: str, run: Callable[[Path], tuple[float, float]]) -> Load:
        return Load(name, (Measure(name, "B", PAYLOAD), Measure(f"{name}, with snapshots", "B", PAYLOAD)), run)

    return [
        Load(MEMORY_PUBLISHED, (Measure(MEMORY_PUBLISHED, "B", PAYLOAD),), lambda folder: published(folder, backlog)),
        Load(
            MEMORY_OPENED,
            (Measure(MEMORY_OPENED, "B", PAYLOAD),),
            lambda folder: opened(folder, backlog),
            Prepared("waiting", backlog),
        ),
        disk(DISK_BATCHES, lambda folder: on_disk(folder, count, folders.publish)),
        disk(DISK_SINGLE, lambda folder: on_disk(folder, few, one_by_one)),
    ]
