"""The task of the Procrastinate peer, and its worker: `python -m benchmarks.postgres.procrastinate_app`."""

from __future__ import annotations

import os

import procrastinate

from benchmarks.peers.started import BROKER

__all__ = ["app", "handle"]

CONCURRENCY = 8
app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=os.environ.get(BROKER, "")))


@app.task(name="handle")
def handle(**_message: object) -> None:
    """Take a message."""


if __name__ == "__main__":
    app.run_worker(concurrency=CONCURRENCY, delete_jobs="successful")
