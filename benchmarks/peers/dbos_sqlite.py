"""DBOS on SQLite: workflows enqueued and run within this process, as DBOS does."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from benchmarks.peers.started import need
from benchmarks.peers.trip import small_dict, trip

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["run"]

OPEN = "SELECT count(*) FROM workflow_status WHERE status IN ('ENQUEUED', 'PENDING', 'DELAYED')"


def run(folder: Path, seconds: float) -> float:
    """Make the trip. Return messages a second."""
    dbos = need("dbos", "dbos").DBOS
    file = folder / "dbos.sqlite"
    dbos(config={"name": "benchmark", "system_database_url": f"sqlite:///{file}", "log_level": "ERROR", "run_admin_server": False})

    def handle(message: dict[str, object]) -> None:
        """Take a message."""

    workflow = dbos.workflow(name="handle")(handle)
    dbos.launch()
    reader = sqlite3.connect(file, timeout=30.0)
    try:
        dbos.register_queue("jobs", worker_concurrency=8, polling_interval_sec=0.05)

        def send(i: int) -> int:
            dbos.enqueue_workflow("jobs", workflow, small_dict(i))
            return 1

        return trip(send, lambda: int(reader.execute(OPEN).fetchone()[0]), seconds)
    finally:
        reader.close()
        dbos.destroy()
