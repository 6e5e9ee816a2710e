"""The whole trip: published, delivered, handled by one call a message, and completed. Also how soon an idle system starts one."""

from __future__ import annotations

import queue
import random
import statistics
import time
from typing import TYPE_CHECKING

import perdure
from benchmarks.figure import Measure
from benchmarks.load import Job, Load, job, together
from benchmarks.loads.floors import HAND_OFF, SYNC

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from benchmarks.effort import Effort

__all__ = ["IDLE_MEDIAN", "MANY_TO_MANY", "TRIP_100", "TRIP_500", "loads", "trip"]

TRIP_1 = "whole trip, published one by one, one producer, one worker"
TRIP_PIPELINED = "whole trip, submitted, one producer, one worker"
TRIP_100 = "whole trip, batches of 100, one producer, one worker"
TRIP_500 = "whole trip, batches of 500, one producer, one worker"
MANY_TO_MANY = "whole trip, batches of 500, four producers, four workers"
IDLE_MEDIAN = "idle, publish to start, median"
DRAIN_S = 120.0
PAUSE_S = (0.001, 0.005)


def trip(
    folder: Path, seconds: float, publish: Callable[[perdure.System, int], int], *, producers: int = 1, workers: int = 1
) -> float:
    """Publish for some seconds and wait until all is completed. Return messages a second, first publish to last completion."""
    system = perdure.System(folder)
    seen: list[int] = []

    @system.handler(Job, parallelism=workers)
    def handle(message: Job, _ctx: perdure.Context) -> None:
        seen.append(message.quantity)  # atomic, so that parallel workers lose no count

    with system:
        began = time.perf_counter()
        together(producers, seconds, lambda i: publish(system, i))
        system.drain(DRAIN_S)
        took_s = time.perf_counter() - began
        totals = system.admin.metrics()
    if not totals.completed == totals.published == len(seen):
        msg = f"{totals.published} messages were published, {len(seen)} handled and {totals.completed} completed"
        raise RuntimeError(msg)
    return totals.completed / took_s


def batches_of(size: int) -> Callable[[perdure.System, int], int]:
    """Return a producer of batches."""
    messages = [job(i) for i in range(size)]
    return lambda system, _: len(system.publish_many(messages))


def single(system: perdure.System, i: int) -> int:
    """Publish one message and wait for the disk."""
    system.publish(job(i))
    return 1


def submitted(folder: Path, seconds: float) -> float:
    """Make the trip with pipelined publishing, and read each future's id at the end."""
    futures: list[Future[str]] = []

    def submit(system: perdure.System, i: int) -> int:
        futures.append(system.submit(job(i)))
        return 1

    rate = trip(folder, seconds, submit)
    for future in futures:
        future.result(timeout=0)  # drained, so each is done
    return rate


def idle(folder: Path, samples: int) -> tuple[float, float, float]:
    """Publish to a worker that was idle for some milliseconds. Return ms from `publish` to the handler: median, p99, p99.9."""
    system = perdure.System(folder)
    starts: queue.SimpleQueue[float] = queue.SimpleQueue()

    @system.handler(Job)
    def handle(_job: Job, _ctx: perdure.Context) -> None:
        starts.put(time.perf_counter())

    rng = random.Random(7)
    waits_ms = []
    with system:
        for i in range(samples + 20):
            time.sleep(rng.uniform(*PAUSE_S))
            began = time.perf_counter()
            system.publish(job(i))
            waits_ms.append((starts.get(timeout=DRAIN_S) - began) * 1000)
    warm = sorted(waits_ms[20:])
    return statistics.median(warm), warm[len(warm) * 99 // 100], warm[len(warm) * 999 // 1000]


def loads(effort: Effort) -> Sequence[Load]:
    """Return the loads of this group."""
    seconds = effort.seconds

    def load(name: str, floor: str, run: Callable[[Path], float]) -> Load:
        return Load(name, (Measure(name, "messages/s", floor),), run)

    many = batches_of(500)
    latencies = (
        Measure(IDLE_MEDIAN, "ms", SYNC),
        Measure("idle, publish to start, p99", "ms", SYNC),
        Measure("idle, publish to start, p99.9", "ms", SYNC),
    )
    return [
        load(TRIP_1, SYNC, lambda folder: trip(folder, seconds, single)),
        load(TRIP_PIPELINED, HAND_OFF, lambda folder: submitted(folder, seconds)),
        load(TRIP_100, HAND_OFF, lambda folder: trip(folder, seconds, batches_of(100))),
        load(TRIP_500, HAND_OFF, lambda folder: trip(folder, seconds, many)),
        load(MANY_TO_MANY, HAND_OFF, lambda folder: trip(folder, seconds, many, producers=4, workers=4)),
        Load("idle latency", latencies, lambda folder: idle(folder, effort.idle_samples)),
    ]
