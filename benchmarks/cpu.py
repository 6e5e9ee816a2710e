"""Process handlers against thread handlers on work that holds the interpreter: do they use both cores?"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import perdure
from benchmarks.figure import Measure
from benchmarks.load import Job, Load, job

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.effort import Effort

__all__ = ["PROCESSES", "THREADS", "loads", "work"]

THREADS = "CPU-bound, thread handlers"
PROCESSES = "CPU-bound, process handlers"
ROUNDS_OF_WORK = 60_000
DRAIN_S = 300.0


def work(seed: int) -> int:
    """Compute for some milliseconds in pure Python: it holds the interpreter's lock throughout."""
    x = seed | 1
    for _ in range(ROUNDS_OF_WORK):
        x = (x * 1_103_515_245 + 12_345) & 0x7FFF_FFFF
    return x


def handled(folder: Path, calls: int, isolation: str) -> float:
    """Publish all calls at once to as many workers as there are cores; gives calls a second until the last is completed."""
    system = perdure.System(folder)

    @system.handler(Job, parallelism=os.cpu_count() or 1, isolation=isolation)
    def handle(message: Job, _ctx: perdure.Context) -> None:
        work(message.quantity)

    with system:
        system.publish_many([job(i) for i in range(2 * (os.cpu_count() or 1))])
        system.drain(DRAIN_S)  # each worker's process is there before the clock starts
        began = time.perf_counter()
        system.publish_many([job(i) for i in range(calls)])
        system.drain(DRAIN_S)
        return calls / (time.perf_counter() - began)


def loads(effort: Effort) -> Sequence[Load]:
    """Give the loads of this group."""
    floor, calls = "plain loop of calls", effort.cpu_calls
    return [
        Load(THREADS, (Measure(THREADS, "calls/s", floor),), lambda folder: handled(folder, calls, "thread")),
        Load(PROCESSES, (Measure(PROCESSES, "calls/s", floor),), lambda folder: handled(folder, calls, "process")),
    ]
