"""The floors, which no durable queue in Python can beat: a bare synced write, a hand-off between threads, a copy, the bytes.

Each is measured just before and just after every load that is compared with it.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from typing import TYPE_CHECKING

from benchmarks.figure import Measure
from benchmarks.load import Load, job
from benchmarks.loads.cpu import work
from perdure import MessagePack

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.effort import Effort

__all__ = ["CALLS", "COPY", "HAND_OFF", "PAYLOAD", "SYNC", "loads"]

SYNC = "bare write + fdatasync"
HAND_OFF = "queue.Queue hand-off"
COPY = "memory copy"
PAYLOAD = "the payload's bytes"
CALLS = "plain loop of calls"
WRITE_BYTES = 200
COPY_BYTES = 64 << 20
HAND_OFF_BATCH = 1_000


def bare_sync(folder: Path, seconds: float) -> float:
    """Append 200 B to one file and `fdatasync`, repeatedly. Return writes a second."""
    fd = os.open(folder / "bare", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    data = os.urandom(WRITE_BYTES)
    n, began = 0, time.perf_counter()
    try:
        while time.perf_counter() - began < seconds:
            os.write(fd, data)
            os.fdatasync(fd)
            n += 1
        return n / (time.perf_counter() - began)
    finally:
        os.close(fd)


def hand_off(seconds: float) -> float:
    """Pass integers from one thread to another through an unbounded `queue.Queue`. Return items a second."""
    items: queue.Queue[int] = queue.Queue()

    def take() -> None:
        while items.get() >= 0:
            pass

    taker = threading.Thread(target=take)
    taker.start()
    n, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        for _ in range(HAND_OFF_BATCH):
            items.put(n)
        n += HAND_OFF_BATCH
    items.put(-1)
    taker.join()
    return n / (time.perf_counter() - began)


def memory_copy(seconds: float) -> float:
    """Copy 64 MiB repeatedly. Return MB a second."""
    source, target = memoryview(bytearray(os.urandom(COPY_BYTES))), memoryview(bytearray(COPY_BYTES))
    n, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        target[:] = source
        n += 1
    return n * COPY_BYTES / 1e6 / (time.perf_counter() - began)


def plain_calls(calls: int) -> float:
    """Call the CPU-bound function of the `cpu` loads in a loop, on one core and without a queue. Return calls a second."""
    began = time.perf_counter()
    for i in range(calls):
        work(i)
    return calls / (time.perf_counter() - began)


def loads(effort: Effort) -> Sequence[Load]:
    """Return all floors."""
    seconds = effort.seconds / 3  # run before and after each load
    return [
        Load(SYNC, (Measure(SYNC, "writes/s"),), lambda folder: bare_sync(folder, seconds)),
        Load(HAND_OFF, (Measure(HAND_OFF, "items/s"),), lambda _: hand_off(seconds)),
        Load(COPY, (Measure(COPY, "MB/s"),), lambda _: memory_copy(seconds)),
        Load(PAYLOAD, (Measure(PAYLOAD, "B"),), lambda _: len(MessagePack().encode(job(123_456)))),
        Load(CALLS, (Measure(CALLS, "calls/s"),), lambda _: plain_calls(effort.cpu_calls // 4)),
    ]
