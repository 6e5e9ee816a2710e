"""A load: work that is run and timed, and what it gives. What the loads are, each group's module says."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import attrs

import perdure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from benchmarks.figure import Measure

__all__ = ["Job", "Load", "Missing", "Prepared", "job", "together"]


@perdure.message(name="benchmark.Job")
@attrs.frozen
class Job:
    """The message of all loads: a small dict, of the size of a row."""

    order_id: str
    customer: str
    amount: float
    quantity: int


CUSTOMERS = ("Ada Lovelace", "Grace Hopper", "Alan Turing", "Edsger Dijkstra", "Barbara Liskov", "Tony Hoare", "Leslie Lamport")
JOBS = tuple(Job(f"ORD-{i}", CUSTOMERS[i * 5 % 7], i * 7_919 % 100_000 / 100, i % 9) for i in range(10_000))
"""Made beforehand, as it is not the making of messages that is measured; no two alike, as no two orders are."""


def job(i: int) -> Job:
    """Give a message."""
    return JOBS[i % len(JOBS)]


class Missing(Exception):
    """A load cannot be run here; says why. It is shown in the table, not left out."""


@attrs.frozen
class Prepared:
    """A folder made once, of which each run that needs it gets a copy; how it is made is in `folders`."""

    kind: str
    size: int


@attrs.frozen
class Load:
    """One thing that is run, in a process of its own: `run` works in an empty folder, or a copy of a prepared one."""

    name: str
    measures: tuple[Measure, ...]
    run: Callable[[Path], float | Sequence[float]]
    """Gives a value for each measure, in their order."""
    prepared: Prepared | None = None
    note: str = ""


def together(producers: int, seconds: float, publish: Callable[[int], int]) -> float:
    """Let producers publish side by side for a time; gives messages a second. An error of one is an error of all.

    `publish` is told a number that no other call is told, and says how many messages it published.
    """
    totals: list[int] = []
    errors: list[BaseException] = []
    began = time.perf_counter()
    ends = began + seconds

    def produce(producer: int) -> None:
        total, turn = 0, producer
        try:
            while time.perf_counter() < ends:
                total += publish(turn)
                turn += producers
        except BaseException as error:  # noqa: BLE001 - told to the thread that waits
            errors.append(error)
        totals.append(total)

    threads = [threading.Thread(target=produce, args=(i,)) for i in range(producers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return sum(totals) / (time.perf_counter() - began)
