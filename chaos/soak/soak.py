"""One soak: hours of ordinary work with ordinary failures and regular kills, and counts that must add up at the end.

Measurements and their bounds are in `readings`, the output in `view`.
"""

from __future__ import annotations

import ctypes
import gc
import random
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

import attrs

from perdure.chaos.soak.readings import SETTLING, InUse, Reading, Table, growth_of, take
from perdure.chaos.threads.monkey import Monkey
from perdure.events.errors import PerdureError
from perdure.events.handlers.backoff import Fixed
from perdure.options import HistoryPolicy, Options
from perdure.payloads.type_names import message
from perdure.system import System

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from perdure.operations.metrics import Metrics

__all__ = ["Seen", "Soak"]

PRODUCERS = 5
FAILING = 0.05
PER_PRODUCER_S = 40.0
CYCLE = 1_000
"""Which of so many consecutive numbers fail is drawn once, then repeated."""
FINISHED_MAX = 10_000
"""Ended messages that are remembered; fewer in a short run, so that they are complete before the readings are judged."""
DEAD_LETTER_KEPT_S = 3600.0
REPLAYED_EACH_READING = 3
DRAIN_S = 300.0
HEAP_SETTLES_S = 900.0
REFUSALS_LISTED = 3
LOOK_S = 1.0
M_ARENA_MAX = -8
ARENAS = 2


@message(name="soak.work")
@attrs.frozen
class Work:
    """One piece of work of a producer, numbered from 1."""

    producer: int
    number: int


def _bound_arenas() -> None:
    """Let glibc keep few heaps, as docs/OPERATIONS.md advises.

    Each kill makes a thread, and each thread may fill a heap of its own. Resident memory would rise for half an hour towards the
    sum of their peaks and hide a small leak.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # only glibc has it
    if mallopt is not None:
        mallopt(M_ARENA_MAX, ARENAS)


@attrs.define
class Seen:
    """The numbers that were seen at least once: all up to `floor`, and those in `beyond`. It stays small while the gaps do."""

    floor: int = 0
    beyond: set[int] = attrs.field(factory=set)

    def add(self, number: int) -> None:
        """Add a number."""
        if number > self.floor:
            self.beyond.add(number)
            while self.floor + 1 in self.beyond:
                self.floor += 1
                self.beyond.remove(self.floor)


@attrs.define
class Soak:
    """One run, on a new folder."""

    folder: Path
    seconds: float
    interval_s: float = 300.0
    seed: int = 0
    history: HistoryPolicy = "drop"
    kills_per_s: float = 1.0
    table: Path | None = None
    """The CSV file for the readings; None for none."""
    on_reading: Callable[[Reading], None] = lambda _reading: None
    """Called with each reading."""
    each_second: Callable[[float], None] = lambda _at_s: None
    """Called every second with the seconds since the run began."""
    readings: list[Reading] = attrs.field(factory=list)
    killed: Counter[str] = attrs.field(factory=Counter)
    """Kills by role."""
    slowest_return_s: float = 0.0
    interrupted: bool = False
    _seen: list[Seen] = attrs.field(factory=lambda: [Seen() for _ in range(PRODUCERS)], init=False)
    _sent: list[int] = attrs.field(factory=lambda: [0] * PRODUCERS, init=False)
    _refused: list[str] = attrs.field(factory=list, init=False)
    _ended: threading.Event = attrs.field(factory=threading.Event, init=False)
    _before: InUse = attrs.field(factory=InUse.now, init=False)
    _guard: threading.Lock = attrs.field(factory=threading.Lock, init=False)

    def run(self) -> list[str]:
        """Work for `seconds`, let everything be handled, and count. Return what did not add up or grew; empty if all is well."""
        table = None if self.table is None else Table(self.table)
        _bound_arenas()
        self._before = InUse.now()
        gc.freeze()  # each reading collects garbage, and need not search what existed before the run
        try:
            return self._run(table)
        finally:
            gc.unfreeze()

    def _run(self, table: Table | None) -> list[str]:
        options = Options(
            segment_bytes=128 << 10,
            snapshot_events=5_000,
            finished_max=max(1, min(FINISHED_MAX, int(self.seconds * SETTLING / 2 * PRODUCERS * PER_PRODUCER_S))),
            history=self.history,
            log_failures=None,  # a twentieth of the work fails on purpose
            log_dead_letters=None,
        )
        system = System(self.folder, seed=self.seed, options=options)
        rng = random.Random(self.seed)
        failing = {n for n in range(CYCLE) if rng.random() < FAILING}

        @system.handler(Work, parallelism=4, retries=1, backoff=Fixed(0.05))
        def work(work: Work) -> None:
            with self._guard:
                self._seen[work.producer].add(work.number)
            if work.number % CYCLE in failing:
                raise ValueError(work.number)

        threads = [threading.Thread(target=self._produce, args=(system, n), daemon=True) for n in range(PRODUCERS)]
        with system:
            began_s = time.monotonic()
            monkey = Monkey(system, seed=self.seed, rate=self.kills_per_s)
            try:
                with monkey:
                    for thread in threads:
                        thread.start()
                    self._watch(system, monkey, began_s, table)
                    self._ended.set()
                    for thread in threads:
                        thread.join()
                system.drain(timeout=DRAIN_S)
                self._read(system, monkey, began_s, table)
                return self._problems(system.admin.metrics())
            except (PerdureError, TimeoutError) as error:
                return [*self._refused[:REFUSALS_LISTED], f"the run broke off: {error!r}"]
            finally:
                self._ended.set()

    def _produce(self, system: System, producer: int) -> None:
        while not self._ended.wait(1 / PER_PRODUCER_S):
            try:
                system.publish(Work(producer, self._sent[producer] + 1))
            except PerdureError as error:
                self._refused.append(f"a publish was refused: {error!r}")
                return
            self._sent[producer] += 1

    def _watch(self, system: System, monkey: Monkey, began_s: float, table: Table | None) -> None:
        """At each interval do what an operator would (snapshot, replay some dead letters, purge old ones), and take a reading."""
        due_s = self.interval_s
        try:
            while (at_s := time.monotonic() - began_s) < self.seconds and not self._refused:
                self.each_second(at_s)
                if at_s < due_s:
                    self._ended.wait(min(LOOK_S, due_s - at_s, self.seconds - at_s))
                    continue
                due_s += self.interval_s
                system.admin.snapshot()
                for letter in system.dead_letters.list(limit=REPLAYED_EACH_READING):
                    system.dead_letters.replay(letter.id)
                system.dead_letters.purge(older_than=min(DEAD_LETTER_KEPT_S, self.seconds / 4))
                self._read(system, monkey, began_s, table)
        except KeyboardInterrupt:
            self.interrupted = True

    def _read(self, system: System, monkey: Monkey, began_s: float, table: Table | None) -> None:
        kills = monkey.kills[:]
        del monkey.kills[: len(kills)]  # hours of kills would themselves look like a leak
        self.killed.update(kill.actor.partition(":")[0] for kill in kills)
        self.slowest_return_s = max([self.slowest_return_s, *(kill.back_after_s or 0.0 for kill in kills)])
        at_s = time.monotonic() - began_s
        reading = take(self.folder, system.admin.metrics(), self.killed.total(), at_s, self._before)
        self.readings.append(reading)
        if table is not None:
            table.add(reading)
        self.on_reading(reading)

    def _problems(self, now: Metrics) -> list[str]:
        """Return what does not add up at the end, and what grew."""
        problems = self._refused[:REFUSALS_LISTED]
        sent = sum(self._sent)
        unseen = [f"{n}: {self._sent[n] - seen.floor}" for n, seen in enumerate(self._seen) if seen.floor < self._sent[n]]
        if unseen:
            problems.append(f"published and never seen by a handler, by producer: {', '.join(unseen)}")
        for name, left, right in (
            ("published = acknowledged", now.published, sent),
            ("completed + dead-lettered - replayed = published", now.completed + now.dead_lettered - now.replayed, now.published),
            ("dead letters = dead-lettered - replayed - purged", now.dead_letters, now.dead_lettered - now.replayed - now.purged),
            ("waiting = 0", now.ready + now.delayed + now.held + now.in_flight, 0),
        ):
            if left != right:
                problems.append(f"not equal, {name}: {left:,} and {right:,}")
        return problems + [grown for name in self.judged if (grown := growth_of(self.readings[:-1], name)) is not None]

    @property
    def judged(self) -> tuple[str, ...]:
        """The readings that must not grow. Resident memory is one only after the first minutes, in which the heaps still grow."""
        resident = ("rss_mib",) if self.readings and self.readings[-1].at_s >= HEAP_SETTLES_S else ()
        return (*resident, "blocks", "native_mib", "files", "threads", "beside_log_mib" if self.history == "keep" else "disk_mib")
