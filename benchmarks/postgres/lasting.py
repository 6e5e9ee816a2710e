"""What a log in PostgreSQL costs while it lasts: bytes at rest, a start, statements while idle, and a transaction held open."""

from __future__ import annotations

import time
from typing import Any

import perdure
from benchmarks import folders
from benchmarks.load import Job
from benchmarks.peers.started import need
from benchmarks.postgres.sides import DRAIN_S, opened, tripping

__all__ = ["PARTITIONS", "bytes_at_rest", "idle_statements", "ms_to_open", "with_open_transaction"]

PARTITIONS = 16
SETTLE_S = 3.0
"""After a start, until all partitions are taken and their owners sleep."""
STATEMENTS = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"


def bytes_at_rest(dsn: str, count: int) -> float:
    """Return the bytes a message, published in batches and handled, of the table of frames with its index."""
    system = opened(dsn)

    @system.handler(Job)
    def handle(_job: Job, _ctx: perdure.Context) -> None:
        pass

    with system:
        folders.publish(system, count)
        system.drain(DRAIN_S)
    return _number(dsn, "SELECT pg_total_relation_size('perdure.frame')") / count


def ms_to_open(dsn: str, count: int) -> float:
    """Return how long a start takes where so many messages wait, in milliseconds."""
    with opened(dsn) as system:
        folders.publish(system, count)
    again = opened(dsn)
    began = time.perf_counter()
    with again:
        return (time.perf_counter() - began) * 1000


def idle_statements(dsn: str, seconds: float) -> float:
    """Return the transactions a second of a node that owns all partitions of a queue and has nothing to do."""
    with perdure.Cluster(dsn, name="benchmark", partitions=PARTITIONS):
        time.sleep(SETTLE_S)
        before, began = _number(dsn, STATEMENTS), time.perf_counter()
        time.sleep(seconds)
        return (_number(dsn, STATEMENTS) - before) / (time.perf_counter() - began)


def with_open_transaction(dsn: str, seconds: float, size: int) -> tuple[float, float, float, float]:
    """Return the whole trips a second by perdure and by hand, without and then with a transaction held open all the time."""
    connection: Any = need("psycopg", "psycopg[binary]").connect(dsn)
    with connection:
        before = tripping(dsn, seconds, size)
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.execute("SELECT count(*) FROM queue")  # from here on, what is deleted stays
        after = tripping(dsn, seconds, size)
    return (*before, *after)


def _number(dsn: str, statement: str) -> float:
    with need("psycopg", "psycopg[binary]").connect(dsn, autocommit=True) as connection:
        return float(connection.execute(statement).fetchone()[0])
