"""Process handlers against thread handlers on work that holds the interpreter's lock: do they use all cores?

Beside them, the same work in as many bare processes as there are cores, without a queue: two cores that share caches, a clock rate
or a power budget are seldom twice as fast as one.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING

import perdure
from benchmarks.figure import Measure
from benchmarks.load import Job, Load, job

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from threading import Barrier

    from benchmarks.effort import Effort
    from perdure.handling.options.handler_options import Isolation

__all__ = ["BARE", "PROCESSES", "THREADS", "loads", "work"]

THREADS = "CPU-bound, thread handlers"
PROCESSES = "CPU-bound, process handlers"
BARE = "CPU-bound, bare processes without a queue"
HOST = "processor time of the host process, a call in a process handler"
CORES = os.cpu_count() or 1
ROUNDS_OF_WORK = 60_000
DRAIN_S = 300.0


def work(seed: int) -> int:
    """Compute for some milliseconds in pure Python, which holds the interpreter's lock."""
    x = seed | 1
    for _ in range(ROUNDS_OF_WORK):
        x = (x * 1_103_515_245 + 12_345) & 0x7FFF_FFFF
    return x


def handled(folder: Path, calls: int, isolation: Isolation) -> Sequence[float]:
    """Publish all calls at once, to as many workers as there are cores.

    Return calls a second until the last is completed, and the microseconds of this process's processor time a call.
    """
    system = perdure.System(folder)

    @system.handler(Job, parallelism=CORES, isolation=isolation)
    def handle(message: Job, _ctx: perdure.Context) -> None:
        work(message.quantity)

    with system:
        system.publish_many([job(i) for i in range(2 * CORES)])
        system.drain(DRAIN_S)  # each worker's process has started before the clock
        began, host_s = time.perf_counter(), time.process_time()
        system.publish_many([job(i) for i in range(calls)])
        system.drain(DRAIN_S)
        took_s, host_s = time.perf_counter() - began, time.process_time() - host_s
    return calls / took_s, host_s / calls * 1e6


_together: list[Barrier] = []


def _meet_at(barrier: Barrier) -> None:
    _together.append(barrier)


def _plain_calls(calls: int) -> tuple[float, float]:
    """Call the work in a loop, after all processes are ready. Return when it began and ended, by the machine's clock."""
    _together[0].wait()
    began = time.perf_counter()
    for i in range(calls):
        work(i)
    return began, time.perf_counter()


def bare(calls: int) -> float:
    """Make the calls in as many processes as there are cores. Return calls a second, from the first beginning to the last end."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(CORES, mp_context=context, initializer=_meet_at, initargs=(context.Barrier(CORES),)) as pool:
        spans = list(pool.map(_plain_calls, [calls // CORES] * CORES))
    return calls // CORES * CORES / (max(ended for _, ended in spans) - min(began for began, _ in spans))


def loads(effort: Effort) -> Sequence[Load]:
    """Return the loads of this group."""
    floor, calls = "plain loop of calls", effort.cpu_calls
    processes = Measure(PROCESSES, "calls/s", floor), Measure(HOST, "us", floor)
    return [
        Load(THREADS, (Measure(THREADS, "calls/s", floor),), lambda folder: handled(folder, calls, "thread")[0]),
        Load(BARE, (Measure(BARE, "calls/s", floor),), lambda _: bare(calls)),
        Load(PROCESSES, processes, lambda folder: handled(folder, calls, "process")),
    ]
