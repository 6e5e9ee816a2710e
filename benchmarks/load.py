"""What a load is: work that is run and timed, and its message. The loads are in the modules of their groups."""

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
"""Made beforehand, because their making is not measured. No two are alike, as with real orders."""


def job(i: int) -> Job:
    """Return a message."""
    return JOBS[i % len(JOBS)]


class Missing(Exception):
    """A load cannot be run here, with the reason. The table shows it."""


@attrs.frozen
class Prepared:
    """A folder that is made once, by `folders`; each run that needs it gets a copy."""

    kind: str
    size: int


@attrs.frozen
class Load:
    """One load. It runs in a process of its own, in an empty folder or a copy of a prepared one."""

    name: str
    measures: tuple[Measure, ...]
    run: Callable[[Path], float | Sequence[float]]
    """Takes the folder and returns a value for each measure, in their order."""
    prepared: Prepared | None = None
    note: str = ""


def together(producers: int, seconds: float, publish: Callable[[int], int]) -> float:
    """Let producers publish in parallel for some seconds. Return messages a second.

    `publish` gets a number that no other call gets, and returns how many messages it published. An error of one producer is raised
    here.
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
        except BaseException as error:  # noqa: BLE001 - raised in the waiting thread
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
