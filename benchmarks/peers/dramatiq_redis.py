"""Dramatiq on Redis: two worker processes of four threads, this process sends."""

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
    need("dramatiq", "dramatiq[redis]")
    with redis_server(folder) as port:
        os.environ[BROKER] = broker = f"redis://127.0.0.1:{port}/0"
        app = need("benchmarks.peers.apps.dramatiq_app", "dramatiq[redis]")
        client = need("redis", "redis").Redis(port=port)

        def send(i: int) -> int:
            app.handle.send(small_dict(i))
            return 1

        # A message is in this hash from its sending until its ack.
        settings = ("benchmarks.peers.apps.dramatiq_app", "--processes", "2", "--threads", "4")
        with worker("dramatiq", *settings, broker=broker):
            return trip(send, lambda: int(client.hlen("dramatiq:default.msgs")), seconds)
