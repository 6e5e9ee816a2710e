"""The loads of the group `postgres` by name, each against a server of its own. What they do is in the modules beside this one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.figure import Measure
from benchmarks.load import Load
from benchmarks.loads.floors import PAYLOAD, SYNC
from benchmarks.postgres import lasting, peers, sides
from benchmarks.postgres.ingress import ingress_trip
from benchmarks.postgres.server import FRESH, postgres
from benchmarks.postgres.slow_line import PUBLISHERS, over_a_line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from benchmarks.effort import Effort

__all__ = [
    "AT_REST",
    "BATCHES",
    "BY_HAND",
    "EIGHT",
    "HELD",
    "IDLE",
    "INGRESS",
    "NOT_HELD",
    "ONE_BY_ONE",
    "OPENING",
    "OURS",
    "OVER_A_LINE",
    "PROCRASTINATE",
    "TRIP_1",
    "TRIP_100",
    "loads",
    "of",
]

OURS = "perdure"
BY_HAND = "SKIP LOCKED by hand"
ONE_BY_ONE = "publish one by one"
EIGHT = "publish one by one, eight publishers"
BATCHES = "publish batches of 100"
TRIP_1 = "whole trip, published one by one"
TRIP_100 = "whole trip, batches of 100"
NOT_HELD = "batches of 100, before"
HELD = "batches of 100, a transaction held open"
INGRESS = "another process's batches of 1,000, to completion here"
OVER_A_LINE = tuple(f"over a line of 2.4 ms, {n} publisher{'s' * (n > 1)}" for n in PUBLISHERS)
HANDLED_OVER_A_LINE = tuple(f"{name}, handled" for name in OVER_A_LINE)
SUBMITTED = "over a line of 2.4 ms, submitted by one"
AT_REST = "frames a message, whole life, batches of 500"
OPENING = "start with half a million waiting"
IDLE = "transactions of an idle node with 16 partitions"
PROCRASTINATE = "Procrastinate, batches of 100"
PGQUEUER = "PGQueuer, batches of 100"
DBOS = "DBOS on PostgreSQL"
OPENED_MAX = 500_000


def of(side: str, what: str) -> str:
    """Return the name of what one of the two that are compared reaches."""
    return f"{side}: {what}"


def loads(effort: Effort) -> Sequence[Load]:
    """Return the loads of this group."""
    seconds = effort.seconds

    def load(name: str, measures: Sequence[Measure], run: Callable[[str], float | Sequence[float]], note: str = "") -> Load:
        return load_in(name, measures, lambda dsn, _: run(dsn), note)

    def load_in(name: str, measures: Sequence[Measure], run: Callable[[str, Path], float | Sequence[float]], note: str) -> Load:
        def started(folder: Path) -> float | Sequence[float]:
            with postgres(folder) as dsn:
                return run(dsn, folder)

        return Load(name, tuple(measures), started, FRESH, note)

    def beside(what: str, run: Callable[[str], tuple[float, float]]) -> Load:
        return load(f"both: {what}", [Measure(of(side, what), "messages/s", SYNC) for side in (OURS, BY_HAND)], run)

    def one(name: str, unit: str, floor: str, run: Callable[[str], float], note: str = "") -> Load:
        return load(name, [Measure(name, unit, floor)], run, note)

    held = [Measure(of(side, what), "messages/s", SYNC) for what in (NOT_HELD, HELD) for side in (OURS, BY_HAND)]
    over_line = [Measure(name, "messages/s") for name in (*HANDLED_OVER_A_LINE, *OVER_A_LINE, SUBMITTED)]
    waiting = min(OPENED_MAX, effort.backlogs[-1] // 2)
    peer_s = effort.peer_seconds
    return [
        beside(ONE_BY_ONE, lambda dsn: sides.publishing(dsn, seconds, 1)),
        beside(EIGHT, lambda dsn: sides.publishing(dsn, seconds, 8)),
        beside(BATCHES, lambda dsn: sides.publishing(dsn, seconds, 1, 100)),
        beside(TRIP_1, lambda dsn: sides.tripping(dsn, seconds, 1)),
        beside(TRIP_100, lambda dsn: sides.tripping(dsn, seconds, 100)),
        load("both: a transaction held open", held, lambda dsn: lasting.with_open_transaction(dsn, 2 * seconds, 100)),
        load_in("over a line of 2.4 ms", over_line, lambda dsn, folder: over_a_line(dsn, folder, seconds), "2.4 ms there and back"),
        one(INGRESS, "messages/s", SYNC, lambda dsn: ingress_trip(dsn, seconds)),
        one(AT_REST, "B", PAYLOAD, lambda dsn: lasting.bytes_at_rest(dsn, effort.footprint)),
        one(OPENING, "ms", SYNC, lambda dsn: lasting.ms_to_open(dsn, waiting)),
        one(IDLE, "transactions/s", SYNC, lambda dsn: lasting.idle_statements(dsn, 4 * seconds)),
        one(
            PROCRASTINATE,
            "messages/s",
            SYNC,
            lambda dsn: peers.procrastinate(dsn, peer_s),
            "a worker process, 8 at once; acknowledged after the handler",
        ),
        one(
            PGQUEUER,
            "messages/s",
            SYNC,
            lambda dsn: peers.pgqueuer(dsn, peer_s),
            "a worker process, batches of 100; acknowledged after the handler",
        ),
        one(DBOS, "messages/s", SYNC, lambda dsn: peers.dbos(dsn, peer_s), "a workflow a message, in this process"),
    ]
