"""Celery on Redis, acks late: a worker of two processes, this process sends."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from benchmarks.peers.started import BROKER, need, redis_server, worker
from benchmarks.peers.trip import small_dict, trip

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["run"]


def run(folder: Path, seconds: float) -> float:
    """Make the trip. Return messages a second."""
    need("celery", "celery[redis]")
    with redis_server(folder) as port:
        os.environ[BROKER] = broker = f"redis://127.0.0.1:{port}/0"
        app = need("benchmarks.peers.apps.celery_app", "celery[redis]")
        client = need("redis", "redis").Redis(port=port)

        def send(i: int) -> int:
            app.handle.delay(small_dict(i))
            return 1

        settings = ("worker", "--pool", "prefork", "--concurrency", "2", "--loglevel", "ERROR")
        quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat")
        with worker("celery", "-A", "benchmarks.peers.apps.celery_app", *settings, *quiet, broker=broker):
            return trip(send, lambda: int(client.llen("celery") + client.hlen("unacked")), seconds)
