"""Publishing until a message is on disk: one by one, in parallel, pipelined and in batches. Nothing is handled."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import perdure
from benchmarks.figure import Measure
from benchmarks.load import Load, job, together
from benchmarks.loads.floors import HAND_OFF, SYNC

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from benchmarks.effort import Effort

__all__ = ["BATCHES_500", "ONE_BY_ONE", "PIPELINED", "WAITING_50", "loads", "one_by_one", "pipelined", "publish_batches"]

ONE_BY_ONE = "publish, one producer, no key"
UNIQUE_KEYS = "publish, one producer, unique keys"
REPEATED_KEYS = "publish, one producer, 100 keys again and again"
WAITING_10 = "publish, 10 producers"
WAITING_50 = "publish, 50 producers"
PIPELINED = "submit, one producer, pipelined"
BATCHES_100 = "publish_many of 100, one producer"
BATCHES_500 = "publish_many of 500, one producer"
KEYS = 100
BACKLOG_MAX = 10_000_000
"""Nothing is handled, and some seconds of batches exceed the default bound."""


def one_by_one(folder: Path, seconds: float, *, producers: int = 1, key: Callable[[int], str | None] = lambda _: None) -> float:
    """Publish and wait for the disk each time. Return messages a second."""
    with perdure.System(folder) as system:

        def publish(i: int) -> int:
            name = key(i)
            if name is None:
                system.publish(job(i))
            else:
                system.publish(job(i), key=name)
            return 1

        return together(producers, seconds, publish)


def pipelined(folder: Path, seconds: float) -> float:
    """Submit as fast as `Options.pipeline_max` allows. Return messages a second, until the last future has its id."""
    with perdure.System(folder) as system:
        futures: list[Future[str]] = []
        began = time.perf_counter()
        ends = began + seconds
        while time.perf_counter() < ends:
            futures.append(system.submit(job(len(futures))))
        ids = {future.result() for future in futures}
        took_s = time.perf_counter() - began
    if len(ids) != len(futures):
        msg = f"{len(futures)} messages were submitted, and {len(ids)} ids came back"
        raise RuntimeError(msg)
    return len(ids) / took_s


def publish_batches(folder: Path, seconds: float, size: int) -> float:
    """Publish batches and wait for each. Return messages a second."""
    with perdure.System(folder, options=perdure.Options(backlog_max=BACKLOG_MAX)) as system:
        messages = [job(i) for i in range(size)]
        return together(1, seconds, lambda _: len(system.publish_many(messages)))


def loads(effort: Effort) -> Sequence[Load]:
    """Return the loads of this group."""
    seconds = effort.seconds

    def load(name: str, floor: str, run: Callable[[Path], float]) -> Load:
        return Load(name, (Measure(name, "messages/s", floor),), run)

    return [
        load(ONE_BY_ONE, SYNC, lambda folder: one_by_one(folder, seconds)),
        load(UNIQUE_KEYS, SYNC, lambda folder: one_by_one(folder, seconds, key=lambda i: f"key-{i}")),
        load(REPEATED_KEYS, SYNC, lambda folder: one_by_one(folder, seconds, key=lambda i: f"key-{i % KEYS}")),
        load(WAITING_10, SYNC, lambda folder: one_by_one(folder, seconds, producers=10)),
        load(WAITING_50, SYNC, lambda folder: one_by_one(folder, seconds, producers=50)),
        load(PIPELINED, HAND_OFF, lambda folder: pipelined(folder, seconds)),
        load(BATCHES_100, HAND_OFF, lambda folder: publish_batches(folder, seconds, 100)),
        load(BATCHES_500, HAND_OFF, lambda folder: publish_batches(folder, seconds, 500)),
    ]
