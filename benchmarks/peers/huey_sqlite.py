"""Huey on SQLite with fsync: its consumer as a process of four threads, this process sends."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from benchmarks.peers.started import BROKER, need, worker
from benchmarks.peers.trip import small_dict, trip

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["run"]


def run(folder: Path, seconds: float) -> float:
    """Make the trip. Return messages a second."""
    os.environ[BROKER] = broker = str(folder / "huey.db")
    need("huey", "huey")
    app = need("benchmarks.peers.apps.huey_app", "huey")

    def send(i: int) -> int:
        app.handle(small_dict(i))
        return 1

    settings = ("-w", "4", "-k", "thread", "-d", "0.005", "-m", "0.05", "-n", "-q")
    with worker("huey.bin.huey_consumer", "benchmarks.peers.apps.huey_app.huey", *settings, broker=broker):
        return trip(send, lambda: int(app.huey.pending_count()), seconds)
