"""Soak: hours of ordinary work with ordinary failures and regular kills, and counts that must add up at the end.

Whether memory, file handles and threads stay flat is judged over the second half of the run.
"""

from __future__ import annotations

import csv
import os
import random
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from perdure.chaos.monkey import Monkey
from perdure.events.backoff import Fixed
from perdure.events.errors import PerdureError
from perdure.payloads import message
from perdure.system import System

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Reading", "Soak"]

PRODUCERS = 5
FAILING = 0.05
PER_PRODUCER_S = 40.0
GROWTH_MAX = 1.3
"""The last reading of the second half may be so many times its first, plus a little; more is a leak."""
_PAGE = os.sysconf("SC_PAGE_SIZE")


@message(name="soak.work")
@attrs.frozen
class Work:
    """A piece of work of one producer."""

    producer: int
    number: int


@attrs.frozen
class Reading:
    """One line of the CSV."""

    at_s: float
    published: int
    completed: int
    dead_letters: int
    waiting: int
    kills: int
    rss_mib: float
    files: int
    threads: int
    disk_mib: float


@attrs.define
class Soak:
    """One run. `run` gives what did not add up or grew; nothing, if all is well."""

    folder: Path
    seconds: float
    interval_s: float = 300.0
    seed: int = 0
    table: Path | None = None
    """Where to write the readings as CSV."""
    tell: Callable[[Reading], None] = lambda _reading: None
    readings: list[Reading] = attrs.field(factory=list)

    def run(self) -> list[str]:
        """Work for so long, then let everything be handled, and count."""
        system = System(self.folder, seed=self.seed)
        chance = random.Random(self.seed)  # noqa: S311 - which work fails is to be repeated
        failing = {n for n in range(1_000) if chance.random() < FAILING}
        acknowledged: list[list[str]] = [[] for _ in range(PRODUCERS)]
        refused: list[PerdureError] = []
        ended = threading.Event()

        @system.handler(Work, parallelism=4, retries=1, backoff=Fixed(0.05))
        def work(work: Work) -> None:
            if work.number % 1_000 in failing:
                raise ValueError(work.number)

        def produce(producer: int) -> None:
            number = 0
            while not ended.wait(1 / PER_PRODUCER_S):
                number += 1
                try:
                    acknowledged[producer].append(system.publish(Work(producer, number)))
                except PerdureError as error:
                    refused.append(error)

        threads = [threading.Thread(target=produce, args=(n,), daemon=True) for n in range(PRODUCERS)]
        with system:
            began_s = time.monotonic()
            monkey = Monkey(system, seed=self.seed, rate=1.0)
            with monkey:
                for thread in threads:
                    thread.start()
                while (passed_s := time.monotonic() - began_s) < self.seconds:
                    ended.wait(min(self.interval_s, self.seconds - passed_s))
                    system.admin.snapshot()
                    self._read(system, monkey, time.monotonic() - began_s)
                ended.set()
                for thread in threads:
                    thread.join()
            system.drain(timeout=300.0)
            self._read(system, monkey, time.monotonic() - began_s)
            numbers = system.admin.metrics()
        sent = sum(map(len, acknowledged))
        wrong = [f"a publish was refused: {error!r}" for error in refused[:3]]
        if not sent == numbers.published == numbers.completed + numbers.dead_lettered:
            wrong.append(f"{sent} sent, {numbers.published} published, {numbers.completed} + {numbers.dead_lettered} ended")
        return wrong + self._growth()

    def _read(self, system: System, monkey: Monkey, at_s: float) -> None:
        numbers = system.admin.metrics()
        reading = Reading(
            at_s=round(at_s, 1),
            published=numbers.published,
            completed=numbers.completed,
            dead_letters=numbers.dead_letters,
            waiting=numbers.ready + numbers.delayed + numbers.held + numbers.in_flight,
            kills=len(monkey.kills),
            rss_mib=round(int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE / 2**20, 1),
            files=len(list(Path("/proc/self/fd").iterdir())),
            threads=threading.active_count(),
            disk_mib=round(sum(f.stat().st_size for f in self.folder.iterdir()) / 2**20, 2),
        )
        self.readings.append(reading)
        self.tell(reading)
        if self.table is not None:
            fresh = not self.table.exists()
            with self.table.open("a", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, [field.name for field in attrs.fields(Reading)])
                if fresh:
                    writer.writeheader()
                writer.writerow(attrs.asdict(reading))

    def _growth(self) -> list[str]:
        half = self.readings[len(self.readings) // 2 : -1]
        if len(half) < 2:  # noqa: PLR2004 - of one reading nothing can be said
            return []
        first, last = half[0], half[-1]
        found = []
        for name, slack in (("rss_mib", 32.0), ("files", 8), ("threads", 4)):
            before, after = getattr(first, name), getattr(last, name)
            if after > before * GROWTH_MAX + slack:
                found.append(f"{name} grew from {before} to {after} over the second half")
        return found
