"""The loads of the peers and of perdure: the whole trip of the same small dict, each with a note on its durability."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from benchmarks.figure import Measure
from benchmarks.load import Load
from benchmarks.loads import trips
from benchmarks.loads.floors import HAND_OFF, SYNC
from benchmarks.peers import (
    celery_redis,
    dbos_sqlite,
    dramatiq_redis,
    huey_sqlite,
    nats_jetstream,
    own_sqlite,
    persist_queue,
    redis_streams,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from benchmarks.effort import Effort

__all__ = ["CELERY", "DRAMATIQ", "HUEY", "PERDURE_1", "PERDURE_100", "REDIS_STREAMS", "loads"]

PERDURE_100 = "perdure, batches of 100"
PERDURE_1 = "perdure, published one by one"
PERDURE_PIPELINED = "perdure, submitted one by one"
REDIS_STREAMS = "Redis Streams, pipelines of 100"
DRAMATIQ = "Dramatiq on Redis"
CELERY = "Celery on Redis"
HUEY = "Huey on SQLite"
OURS = "synced before publishing returns; at least once"
REDIS = "appendonly, appendfsync always"


def loads(effort: Effort) -> Sequence[Load]:
    """Return perdure's loads of this group and a load for each peer."""
    seconds = effort.peer_seconds

    def load(name: str, note: str, run: Callable[[Path, float], float], floor: str = HAND_OFF) -> Load:
        return Load(name, (Measure(name, "messages/s", floor),), lambda folder: run(folder, seconds), note=note)

    return [
        load(PERDURE_100, OURS, lambda folder, s: trips.trip(folder, s, trips.batches_of(100))),
        load(PERDURE_PIPELINED, OURS.replace("publishing returns", "its future is done"), trips.submitted),
        load(PERDURE_1, OURS, lambda folder, s: trips.trip(folder, s, trips.single), SYNC),
        load(REDIS_STREAMS, f"{REDIS}; read and acked 100 at once, at least once", redis_streams.run),
        load("NATS JetStream, 100 at once", nats_jetstream.durability(), nats_jetstream.run),
        load(DRAMATIQ, f"{REDIS}; acks after the handler, at least once; 2 processes of 4 threads", dramatiq_redis.run, SYNC),
        load(CELERY, f"{REDIS}; acks late, at least once; prefork of 2", celery_redis.run, SYNC),
        load(HUEY, "WAL, synchronous full; taken off before the handler runs: at most once; 4 threads", huey_sqlite.run, SYNC),
        load(
            "persist-queue, SQLiteAckQueue",
            "WAL, synchronous as SQLite is built (full, unless the package says otherwise); at least once; 1 thread",
            persist_queue.run,
            SYNC,
        ),
        *(
            load(
                f"a table in SQLite by hand, batches of {batch}",
                "WAL, synchronous full; deleted after the handler, at least once; 1 thread; no retries, times, history",
                partial(own_sqlite.run, batch=batch),
                SYNC if batch == 1 else HAND_OFF,
            )
            for batch in (1, 100, 500)
        ),
        load("DBOS on SQLite", "rollback journal, synchronous full; a workflow a message, at least once", dbos_sqlite.run, SYNC),
    ]
