"""persist-queue: SQLiteAckQueue, one thread that puts, one that gets and acks."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from benchmarks.peers.started import need
from benchmarks.peers.trip import small_dict, trip

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["run"]


def run(folder: Path, seconds: float) -> float:
    """Make the trip within this process. Return messages a second."""
    persistqueue = need("persistqueue", "persist-queue")
    queue = persistqueue.SQLiteAckQueue(str(folder), multithreading=True)
    over = threading.Event()
    put = acked = 0

    def consume() -> None:
        nonlocal acked
        while not over.is_set():
            try:
                item = queue.get(timeout=0.2)
            except persistqueue.Empty:
                continue
            queue.ack(item)
            acked += 1

    def send(i: int) -> int:
        nonlocal put
        queue.put(small_dict(i))
        put += 1
        return 1

    consumer = threading.Thread(target=consume, daemon=True)
    consumer.start()
    try:
        return trip(send, lambda: put - acked, seconds)
    finally:
        over.set()
        consumer.join()
        queue.close()
