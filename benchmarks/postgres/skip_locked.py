"""What a user could write instead: a table, `INSERT`, and a worker that takes rows off by `FOR UPDATE SKIP LOCKED`.

Written as fast as it goes in Python by hand: prepared statements, one statement a transaction, batches of any size by `unnest`.
"""

from __future__ import annotations

import json
import threading
import time
from typing import Any, Self

from benchmarks.peers.trip import small_dict

__all__ = ["SkipLocked"]

INSERT = "INSERT INTO queue (body) VALUES (%s)"
INSERT_MANY = "INSERT INTO queue (body) SELECT * FROM unnest(%s::text[])"
TAKE = """
DELETE FROM queue WHERE id IN (SELECT id FROM queue ORDER BY id FOR UPDATE SKIP LOCKED LIMIT %s) RETURNING body
"""
PAUSE_S = 0.002
DRAIN_S = 120.0


class SkipLocked:
    """The table, connections for its publishers, and its worker. A publisher's connection is its own."""

    def __init__(self, dsn: str, publishers: int = 1) -> None:
        import psycopg

        self._dsn = dsn
        self._connect: Any = psycopg.connect
        self._connections = [self._connect(dsn, autocommit=True, prepare_threshold=0) for _ in range(publishers)]
        self._connections[0].execute("CREATE TABLE IF NOT EXISTS queue (id bigserial PRIMARY KEY, body text NOT NULL)")
        self.handled = 0

    def publish(self, i: int) -> int:
        """Insert message `i`, on the connection of its publisher; return 1."""
        self._connections[i % len(self._connections)].execute(INSERT, (json.dumps(small_dict(i)),))
        return 1

    def publish_many(self, i: int, size: int) -> int:
        """Insert messages from `i` on in one transaction; return how many."""
        bodies = [json.dumps(small_dict(i + k)) for k in range(size)]
        self._connections[0].execute(INSERT_MANY, (bodies,))
        return size

    def work(self, batch: int, ended: threading.Event) -> None:
        """Take rows off, handle them, and commit, until `ended` is set and none is left."""
        with self._connect(self._dsn, prepare_threshold=0) as connection:
            while True:
                rows = connection.execute(TAKE, (batch,)).fetchall()
                for (body,) in rows:
                    json.loads(body)
                connection.commit()
                self.handled += len(rows)
                if not rows:
                    if ended.is_set():
                        return
                    time.sleep(PAUSE_S)

    def trip(self, seconds: float, size: int) -> float:
        """Publish for some seconds while a worker handles, and wait until nothing is left. Return messages a second."""
        ended = threading.Event()
        worker = threading.Thread(target=self.work, args=(max(size, 100), ended))
        worker.start()
        sent, began = 0, time.perf_counter()
        while time.perf_counter() < began + seconds:
            sent += self.publish(sent) if size == 1 else self.publish_many(sent, size)
        ended.set()
        worker.join(DRAIN_S)
        return sent / (time.perf_counter() - began)

    def close(self) -> None:
        """Close the connections."""
        for connection in self._connections:
            connection.close()

    def __enter__(self) -> Self:
        """Give it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()
