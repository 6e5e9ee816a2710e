"""A host's SQLite database with an outbox in it."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import perdure

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["new_outbox", "rows"]


def new_outbox(folder: Path) -> Path:
    """Return a new database with an empty outbox."""
    path = folder / "host.db"
    with sqlite3.connect(path) as connection:
        perdure.Outbox(connection).create_table()
        perdure.Outbox(connection).create_table()  # as each start of a host does
    return path


def rows(database: Path) -> int:
    """Return how many messages wait in the outbox."""
    with sqlite3.connect(database) as connection:
        return int(connection.execute("SELECT count(*) FROM perdure_outbox").fetchone()[0])
