"""The whole trip of other queues on PostgreSQL, each in the fastest way that its documentation shows.

pgmq is an extension of the server, which few hosts can install; what it does is the queue written by hand (`skip_locked`), in SQL.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from benchmarks.load import Missing
from benchmarks.peers.started import need, worker
from benchmarks.peers.trip import small_dict, trip

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["dbos", "pgqueuer", "procrastinate"]

BATCH = 100


def procrastinate(dsn: str, seconds: float) -> float:
    """Defer jobs in batches of 100 to a worker process. Return messages a second."""
    library = need("procrastinate", "procrastinate")
    with library.App(connector=library.SyncPsycopgConnector(conninfo=dsn)).open() as app:
        app.schema_manager.apply_schema()
        task = app.configure_task("handle")

        def send(i: int) -> int:
            task.batch_defer(*(small_dict(i + k) for k in range(BATCH)))
            return BATCH

        left = _counter(dsn, "SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')")
        with worker("benchmarks.postgres.procrastinate_app", broker=dsn):
            return trip(send, left, seconds)


def pgqueuer(dsn: str, seconds: float) -> float:
    """Enqueue jobs in batches of 100 to a worker process. Return messages a second."""
    need("pgqueuer", "pgqueuer")
    driver, queries = need("pgqueuer.db", "pgqueuer"), need("pgqueuer.queries", "pgqueuer")
    psycopg = need("psycopg", "psycopg[binary]")

    async def install() -> None:
        connection = await psycopg.AsyncConnection.connect(dsn, autocommit=True)
        async with connection:
            await queries.Queries(driver.PsycopgDriver(connection)).install()

    asyncio.run(install())
    with psycopg.connect(dsn, autocommit=True) as connection, worker("benchmarks.postgres.pgqueuer_app", broker=dsn):
        publisher = queries.SyncQueries(driver.SyncPsycopgDriver(connection))

        def send(i: int) -> int:
            bodies = [json.dumps(small_dict(i + k)).encode() for k in range(BATCH)]
            publisher.enqueue(["handle"] * BATCH, bodies, [0] * BATCH)
            return BATCH

        return trip(send, _counter(dsn, "SELECT count(*) FROM pgqueuer"), seconds)


def dbos(dsn: str, seconds: float) -> float:
    """Enqueue a workflow for each message, and run them in this process, as DBOS does. Return messages a second."""
    library = need("dbos", "dbos").DBOS
    library(config={"name": "benchmark", "system_database_url": dsn, "log_level": "ERROR", "run_admin_server": False})

    def handle(message: dict[str, object]) -> None:
        """Take a message."""

    workflow = library.workflow(name="handle")(handle)
    library.launch()
    try:
        library.register_queue("jobs", worker_concurrency=8, polling_interval_sec=0.05)

        def send(i: int) -> int:
            library.enqueue_workflow("jobs", workflow, small_dict(i))
            return 1

        open_ones = "SELECT count(*) FROM dbos.workflow_status WHERE status IN ('ENQUEUED', 'PENDING', 'DELAYED')"
        return trip(send, _counter(dsn, open_ones), seconds)
    finally:
        library.destroy()


def _counter(dsn: str, statement: str) -> Callable[[], int]:
    psycopg = need("psycopg", "psycopg[binary]")
    connection: Any = psycopg.connect(dsn, autocommit=True)

    def count() -> int:
        row = connection.execute(statement).fetchone()
        if row is None:
            msg = f"no answer to {statement}"
            raise Missing(msg)
        return int(row[0])

    return count
