"""The Huey application that its consumer imports."""

from __future__ import annotations

import os

from huey import SqliteHuey

from benchmarks.peers.started import BROKER

huey = SqliteHuey(filename=os.environ[BROKER], fsync=True, results=False)


@huey.task()
def handle(message: dict[str, object]) -> None:
    """Take a message."""
