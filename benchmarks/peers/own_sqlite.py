"""What a user could write instead: a table in SQLite (WAL, synchronous full), filled and emptied in batches by a thread each."""

from __future__ import annotations

import json
import sqlite3
import threading
from typing import TYPE_CHECKING

from benchmarks.peers.trip import small_dict, trip

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["run"]

BUSY_S = 30.0
PAUSE_S = 0.002


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    return connection


def _work(path: Path, batch: int, ended: threading.Event) -> None:
    """Read the oldest rows, handle them, and delete them in one transaction: at least once."""
    connection = _connect(path)
    while not ended.is_set():
        rows = connection.execute("SELECT id, body FROM queue ORDER BY id LIMIT ?", (batch,)).fetchall()
        if not rows:
            ended.wait(PAUSE_S)
            continue
        for _, body in rows:
            json.loads(body)
        connection.execute("DELETE FROM queue WHERE id <= ?", (rows[-1][0],))
    connection.close()


def run(folder: Path, seconds: float, batch: int) -> float:
    """Make the trip with so many messages in each transaction. Return messages a second."""
    path = folder / "queue.db"
    connection = _connect(path)
    connection.execute("CREATE TABLE queue (id INTEGER PRIMARY KEY, body TEXT NOT NULL)")
    ended = threading.Event()
    worker = threading.Thread(target=_work, args=(path, batch, ended))
    worker.start()

    def send(i: int) -> int:
        rows = [(json.dumps(small_dict(i + k)),) for k in range(batch)]
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO queue (body) VALUES (?)", rows)
        connection.execute("COMMIT")
        return batch

    try:
        return trip(send, lambda: int(connection.execute("SELECT count(*) FROM queue").fetchone()[0]), seconds)
    finally:
        ended.set()
        worker.join()
        connection.close()
