"""Performance targets, mostly as ratios within one run: required, measured, met or not. They are a report, not a gate."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

import attrs

from benchmarks.console import loads as console
from benchmarks.loads import cpu, publish, storage, trips
from benchmarks.loads.backlogs import footprint, growth, spill
from benchmarks.peers import peer_loads as peers
from benchmarks.postgres import database_loads as postgres

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from benchmarks.figure import Figure, Report

__all__ = ["Verdict", "judge"]


@attrs.frozen
class Verdict:
    """One target and the values of the rounds; no values if something was not measured."""

    text: str
    required: float
    at_least: bool
    unit: str
    values: list[float]
    group: str
    """The group that measures it."""

    @property
    def median(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.values)

    @property
    def met(self) -> bool:
        """Whether the median meets the target."""
        return self._meets(self.median)

    def _meets(self, value: float) -> bool:
        return value >= self.required if self.at_least else value <= self.required

    @property
    def word(self) -> str:
        """The verdict in words, which also say whether the rounds disagree."""
        rounds = {self._meets(value) for value in self.values}
        if self.met:
            return "yes" if rounds == {True} else "yes, not in each round"
        return "**no**" if rounds == {False} else "**no**, in some rounds"


@attrs.frozen
class _Target:
    text: str
    required: float
    group: str
    names: tuple[str, ...]
    """The measures that it needs; all must have a value."""
    values: Callable[..., list[float]]
    """Returns a value for each round from their figures, in that order."""
    at_least: bool = True
    unit: str = ""


def _ratios(figure: Figure) -> list[float]:
    return figure.ratios


def _plain(figure: Figure) -> list[float]:
    return figure.values


def _quotient(over: Figure, under: Figure) -> list[float]:
    if len(over.values) != len(under.values):
        return []  # one of them failed in some round, so the rounds cannot be matched
    return [a / b for a, b in zip(over.values, under.values, strict=True)]


def _seconds_for_a_million(figure: Figure) -> list[float]:
    return [1_000_000 / rate for rate in figure.values]


def _thousands(figure: Figure) -> list[float]:
    return [rate / 1000 for rate in figure.values]


def _times_peer(text: str, required: float, peer: str) -> _Target:
    return _Target(text, required, "peers", (peers.PERDURE_100, peer), _quotient, unit=" x")


def _times_by_hand(text: str, required: float, what: str) -> _Target:
    names = (postgres.of(postgres.OURS, what), postgres.of(postgres.BY_HAND, what))
    return _Target(text, required, "postgres", names, _quotient, unit=" x")


MILLION = 1_000_000
TARGETS = (
    _Target("publish one by one, of a bare write + fdatasync", 0.5, "publish", (publish.ONE_BY_ONE,), _ratios),
    _Target("50 producers waiting, of one", 5.0, "publish", (publish.WAITING_50, publish.ONE_BY_ONE), _quotient, unit=" x"),
    _Target("pipelined submit, of a `queue.Queue` hand-off", 0.6, "publish", (publish.PIPELINED,), _ratios),
    _Target("publish_many of 500, of a `queue.Queue` hand-off", 1.0, "publish", (publish.BATCHES_500,), _ratios),
    _Target("whole trip, of a `queue.Queue` hand-off (aim: 1.0)", 0.6, "trips", (trips.TRIP_500,), _ratios),
    _Target("idle publish to start, median, in fdatasyncs", 2.5, "trips", (trips.IDLE_MEDIAN,), _ratios, at_least=False),
    _times_peer("whole trip, of raw Redis Streams", 4.0, peers.REDIS_STREAMS),
    _times_peer("whole trip, of Dramatiq", 20.0, peers.DRAMATIQ),
    _times_peer("whole trip, of Huey", 20.0, peers.HUEY),
    _times_peer("whole trip, of Celery", 100.0, peers.CELERY),
    _Target("log a message, batches", 40, "footprint", (footprint.DISK_BATCHES,), _plain, at_least=False, unit=" B"),
    _Target("log a message, one by one", 250, "footprint", (footprint.DISK_SINGLE,), _plain, at_least=False, unit=" B"),
    _Target(
        "open a folder with 1 M waiting, from a snapshot",
        3.0,
        "growth",
        (growth.opening(MILLION),),
        _seconds_for_a_million,
        at_least=False,
        unit=" s",
    ),
    _Target("replay, a start without snapshot", 400, "storage", (storage.REPLAY,), _thousands, unit=" k events/s"),
    _Target(
        "memory that audit takes to stream 1 M events, beyond the first tenth",
        16,
        "storage",
        (storage.AUDIT_MEMORY,),
        lambda figure: [value / (1 << 20) for value in figure.values],
        at_least=False,
        unit=" MiB",
    ),
    _Target(
        "memory a waiting message over its payload, published here",
        450,
        "footprint",
        (footprint.MEMORY_PUBLISHED,),
        _plain,
        at_least=False,
        unit=" B",
    ),
    _Target(
        "memory a waiting message over its payload, opened from a snapshot",
        450,
        "footprint",
        (footprint.MEMORY_OPENED,),
        _plain,
        at_least=False,
        unit=" B",
    ),
    _Target(
        "memory a waiting message of 1 kB, payloads on disk (10 M in 2 GB)",
        200,
        "spill",
        (spill.MEMORY,),
        _plain,
        at_least=False,
        unit=" B",
    ),
    _Target(
        "draining those, of draining with payloads in memory", 0.5, "spill", (spill.DRAIN_SPILLED, spill.DRAIN_MEMORY), _quotient
    ),
    _Target(
        "throughput with 1 M waiting, of that with 1 k",
        0.85,
        "growth",
        (growth.trip_beside(MILLION), growth.trip_beside(1_000)),
        _quotient,
    ),
    _Target("longest publish during a snapshot of 1 M", 50, "growth", (growth.STALL,), _plain, at_least=False, unit=" ms"),
    _Target(
        "process handlers, of thread handlers, CPU-bound work",
        1.8,
        "cpu",
        (cpu.PROCESSES, cpu.THREADS),
        _quotient,
        unit=" x",
    ),
    _times_by_hand("PostgreSQL: publish one by one, of an INSERT by hand", 0.8, postgres.ONE_BY_ONE),
    _times_by_hand("PostgreSQL: eight publishers, of eight INSERTs by hand", 1.5, postgres.EIGHT),
    _times_by_hand("PostgreSQL: whole trip of batches, of SKIP LOCKED by hand", 4.0, postgres.TRIP_100),
    _Target(
        "PostgreSQL: whole trip of batches, of Procrastinate",
        150.0,
        "postgres",
        (postgres.of(postgres.OURS, postgres.TRIP_100), postgres.PROCRASTINATE),
        _quotient,
        unit=" x",
    ),
    _Target(
        "PostgreSQL: whole trip with a transaction held open, of that without",
        0.9,
        "postgres",
        (postgres.of(postgres.OURS, postgres.HELD), postgres.of(postgres.OURS, postgres.NOT_HELD)),
        _quotient,
    ),
    _Target(
        "PostgreSQL: eight publishers over a line of 2.4 ms, of one",
        7.0,
        "postgres",
        (postgres.OVER_A_LINE[1], postgres.OVER_A_LINE[0]),
        _quotient,
        unit=" x",
    ),
    _Target("PostgreSQL: from another process to completion", 150, "postgres", (postgres.INGRESS,), _thousands, unit=" k/s"),
    _Target("PostgreSQL: frames a message, batches", 15, "postgres", (postgres.AT_REST,), _plain, at_least=False, unit=" B"),
    _Target(
        "PostgreSQL: start with half a million waiting", 1_000, "postgres", (postgres.OPENING,), _plain, at_least=False, unit=" ms"
    ),
    _Target(
        "console: slowest page beside a million waiting, 95th percentile",
        200,
        "console",
        (console.WORST_PAGE,),
        _plain,
        at_least=False,
        unit=" ms",
    ),
    _Target(
        "console: trip beside an open page, processor time, of that without",
        1.03,
        "console",
        (console.EFFORT_OF,),
        _plain,
        at_least=False,
        unit=" x",
    ),
    _Target("PostgreSQL: idle node with 16 partitions", 10, "postgres", (postgres.IDLE,), _plain, at_least=False, unit=" a second"),
)


def judge(reports: Mapping[str, Report]) -> Sequence[Verdict]:
    """Return the verdict on each target from the newest report of its group."""
    verdicts = []
    for target in TARGETS:
        report = reports.get(target.group)
        found = [] if report is None else [report.find(name) for name in target.names]
        figures = [figure for figure in found if figure is not None]
        whole = bool(figures) and len(figures) == len(target.names)
        values = target.values(*figures) if whole else []
        verdicts.append(Verdict(target.text, target.required, target.at_least, target.unit, values, target.group))
    return verdicts
