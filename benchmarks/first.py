"""What a durable message costs, against the two things it is made of: a bare synced write, and a hand-off between threads.

One run prints all figures as one table, so that the ratios are of one machine in one mood. Peers are not measured here.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
from rich.console import Console
from rich.table import Table

import perdure

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

RUNS = 3
WRITE_BYTES = 200
PRODUCERS = 50
TRIP_PRODUCERS = 4
IN_FLIGHT = 256
BATCH = 500
IDLE_TIMEOUT_S = 120.0


@perdure.message(name="benchmark.Job")
@attrs.frozen
class Job:
    """A small message, of the size of a row."""

    order_id: str
    customer: str
    amount: float
    quantity: int


@attrs.frozen
class Load:
    """One thing that is measured. `run` works for about `seconds` in `folder` and gives operations a second."""

    name: str
    unit: str
    run: Callable[[Path, float], float]


@attrs.frozen
class Figure:
    """The rates of all runs of one load, a second."""

    name: str
    unit: str
    rates: list[float]

    @property
    def median(self) -> float:
        """The rate that counts."""
        return statistics.median(self.rates)


def job(i: int) -> Job:
    """Make a message."""
    return Job(f"ORD-{i}", "Ada Lovelace", 99.5, i % 7)


def bare_sync(folder: Path, seconds: float) -> float:
    """`write` and `fdatasync` of 200 B to one growing file: what no durable publish that waits can beat."""
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


def hand_off(bound: int) -> Callable[[Path, float], float]:
    """Give the load: plain integers from one thread to another through a `queue.Queue`, put until got. Bound 0: none."""

    def run(_folder: Path, seconds: float) -> float:
        line: queue.Queue[int] = queue.Queue(bound)

        def take() -> None:
            while line.get() >= 0:
                pass

        taker = threading.Thread(target=take)
        taker.start()
        n, began = 0, time.perf_counter()
        while time.perf_counter() - began < seconds:
            for _ in range(1000):
                line.put(n)
            n += 1000
        line.put(-1)
        taker.join()
        return n / (time.perf_counter() - began)

    return run


def one_by_one(folder: Path, seconds: float) -> float:
    """One producer that waits for each publish."""
    with perdure.System(folder / "data") as system:
        n, began = 0, time.perf_counter()
        while time.perf_counter() - began < seconds:
            system.publish(job(n))
            n += 1
        return n / (time.perf_counter() - began)


def many_waiting(folder: Path, seconds: float) -> float:
    """50 producers that each wait for each publish: group commit."""
    with perdure.System(folder / "data") as system:
        return _together(PRODUCERS, seconds, lambda i: len([system.publish(job(i))]))


def pipelined(folder: Path, seconds: float) -> float:
    """One producer, 256 publishes under way; the end counts when the last is on disk."""
    with perdure.System(folder / "data") as system:
        room = threading.Semaphore(IN_FLIGHT)

        def landed(future: Future[str]) -> None:
            room.release()
            future.result()

        n, began = 0, time.perf_counter()
        while time.perf_counter() - began < seconds:
            room.acquire()
            system.submit(job(n)).add_done_callback(landed)
            n += 1
        for _ in range(IN_FLIGHT):
            room.acquire()
        return n / (time.perf_counter() - began)


def batches(folder: Path, seconds: float) -> float:
    """One producer that waits for each `publish_many` of 500."""
    with perdure.System(folder / "data") as system:
        messages = [job(i) for i in range(BATCH)]
        return _together(1, seconds, lambda _: len(system.publish_many(messages)))


def whole_trip(size: int) -> Callable[[Path, float], float]:
    """Give the load: published by four producers in batches, one handler call each, completed, nothing left."""

    def run(folder: Path, seconds: float) -> float:
        system = perdure.System(folder / "data")
        handled = 0

        @system.handler(Job)
        def handle(_job: Job, _ctx: perdure.Context) -> None:
            nonlocal handled
            handled += 1

        messages = [job(i) for i in range(size)]
        with system:
            began = time.perf_counter()
            _together(TRIP_PRODUCERS, seconds, lambda _: len(system.publish_many(messages)))
            system.drain(IDLE_TIMEOUT_S)
            took_s = time.perf_counter() - began
            completed = system.admin.metrics().completed
        if completed != handled:
            msg = f"{handled} messages were handled and {completed} completed"
            raise RuntimeError(msg)
        return completed / took_s

    return run


def _together(producers: int, seconds: float, publish: Callable[[int], int]) -> float:
    """Let producers publish side by side for a time; gives messages a second. An error of one is an error of all."""
    totals: list[int] = []
    errors: list[BaseException] = []
    ends = time.perf_counter() + seconds

    def produce() -> None:
        n = 0
        try:
            while time.perf_counter() < ends:
                n += publish(n)
        except BaseException as error:  # noqa: BLE001 - told to the thread that waits
            errors.append(error)
        totals.append(n)

    threads = [threading.Thread(target=produce) for _ in range(producers)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return sum(totals) / (time.perf_counter() - began)


SYNC = Load("bare write + fdatasync, 200 B", "writes", bare_sync)
HAND_OFF = Load("queue.Queue hand-off, no bound", "items", hand_off(0))
LOADS = [
    SYNC,
    HAND_OFF,
    Load(f"queue.Queue hand-off, bound {IN_FLIGHT}", "items", hand_off(IN_FLIGHT)),
    Load("publish, one by one", "messages", one_by_one),
    Load(f"publish, {PRODUCERS} producers waiting", "messages", many_waiting),
    Load(f"submit, 1 producer, {IN_FLIGHT} in flight", "messages", pipelined),
    Load(f"publish_many of {BATCH}, 1 producer", "messages", batches),
    Load("whole trip, batches of 100", "messages", whole_trip(100)),
    Load("whole trip, batches of 500", "messages", whole_trip(500)),
]


def measure(seconds: float, beside: Path) -> list[Figure]:
    """Run all loads in turn, three times over, so that a slow moment of the machine does not fall on one load alone.

    Data lies in folders made under `beside` and removed again: it must be on the disk that is meant, not in memory.
    """
    rates: dict[str, list[float]] = {load.name: [] for load in LOADS}
    for _ in range(RUNS):
        for load in LOADS:
            with tempfile.TemporaryDirectory(dir=beside) as folder:
                rates[load.name].append(load.run(Path(folder), seconds))
    return [Figure(load.name, load.unit, rates[load.name]) for load in LOADS]


def table_of(figures: list[Figure]) -> Table:
    """Lay the figures out with their ratios to the two yardsticks."""
    by_name = {figure.name: figure.median for figure in figures}
    sync, hand = by_name[SYNC.name], by_name[HAND_OFF.name]
    table = Table(title=f"median of {RUNS} runs, durability fsync")
    table.add_column("load")
    for heading in ("a second", "lowest", "highest", "x bare fdatasync", "x queue.Queue"):
        table.add_column(heading, justify="right")
    for figure in figures:
        low, high = min(figure.rates), max(figure.rates)
        cells = (
            f"{figure.median:,.0f}",
            f"{low:,.0f}",
            f"{high:,.0f}",
            f"{figure.median / sync:.2f}",
            f"{figure.median / hand:.2f}",
        )
        table.add_row(figure.name, *cells)
    return table


def main() -> None:
    """Measure, print, and keep the raw rates where asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rate of every run to this file")
    parser.add_argument("--quick", action="store_true", help="a fifth of a second a run: to see that it works, not to quote")
    parser.add_argument(
        "--folder", type=Path, default=Path.cwd(), help="on which disk to measure; the current folder's unless given"
    )
    arguments = parser.parse_args()
    figures = measure(0.2 if arguments.quick else 1.5, arguments.folder)
    Console(width=120).print(table_of(figures))
    if arguments.json is not None:
        plain = [{"name": f.name, "unit": f"{f.unit}/s", "median": f.median, "rates": f.rates} for f in figures]
        arguments.json.write_text(json.dumps(plain, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
