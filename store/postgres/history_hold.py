"""Holding the history of a partition while another process copies it: an advisory lock, which ends with the session that holds it.

Readers share it, and the owner takes it alone while it drops frames or snapshots. What it drops is decided in `postgres_store`.
"""

from __future__ import annotations

import contextlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg

from perdure.events.errors import StoreUnavailable
from perdure.store.postgres.connecting.own_session import check_own_session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perdure.store.postgres.connecting.database import Database

__all__ = ["dropping", "held"]

_CLASS = 0x7064686C
"""The class of these advisory locks; the object is the partition's id."""


@contextmanager
def held(database: Database, partition: int) -> Iterator[None]:
    """Keep the partition's owner from dropping history while the block runs; waits while it drops some.

    Raises:
        StoreUnavailable: the database cannot be reached.
    """
    with database.session() as connection:
        check_own_session(connection, database.connect)
        connection.execute("SELECT pg_advisory_lock_shared(%s, %s)", [_CLASS, partition])
        try:
            yield
        finally:
            with contextlib.suppress(psycopg.Error):  # a session that has ended holds nothing
                connection.execute("SELECT pg_advisory_unlock_shared(%s, %s)", [_CLASS, partition])


@contextmanager
def dropping(database: Database, partition: int) -> Iterator[bool]:
    """Return whether the owner may drop history while the block runs: no reader holds it, and none comes to hold it meanwhile.

    Raises:
        StoreUnavailable: as `held`.
    """
    with database.session() as connection:
        row = connection.execute("SELECT pg_try_advisory_lock(%s, %s)", [_CLASS, partition]).fetchone()
        may_drop = bool(row and row[0])
        try:
            yield may_drop
        finally:
            if may_drop:
                with contextlib.suppress(psycopg.Error, StoreUnavailable):
                    connection.execute("SELECT pg_advisory_unlock(%s, %s)", [_CLASS, partition])
