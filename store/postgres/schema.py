"""The tables and functions of perdure in PostgreSQL, their version, and how they come to be there.

Only the functions write. Each checks what it relies on and raises unless all of it holds, so a stale owner changes nothing.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import errors as pg

from perdure.events.errors import StoreUnavailable
from perdure.events.loggers import GuardedLogger
from perdure.store.postgres.database import as_ours

if TYPE_CHECKING:
    from perdure.store.postgres.database import Database

__all__ = ["VERSION", "check_schema", "create_schema"]

logger = GuardedLogger("perdure.store")

VERSION = 1
SERVER_MIN = 130000
_LOCK = 0x70647265_66736368
"""The advisory lock of those that create the tables at the same time."""


def found_version(connection: psycopg.Connection[Any]) -> int | None:
    """Return the version of the tables that are there; None for none.

    Raises:
        StoreUnavailable: the database cannot be read.
    """
    try:
        row = connection.execute("SELECT max(version) FROM perdure.version").fetchone()
    except (pg.UndefinedTable, pg.InvalidSchemaName):
        return None
    except psycopg.Error as error:
        raise as_ours(error, "read") from error
    return None if row is None else row[0]


def check_schema(connection: psycopg.Connection[Any]) -> bool:
    """Return whether the tables of this version are there; False where there are none.

    Raises:
        StoreUnavailable: they are of a newer version, or the server is too old.
    """
    if connection.info.server_version < SERVER_MIN:
        raise StoreUnavailable(
            f"the server is PostgreSQL {connection.info.server_version // 10000}; perdure needs {SERVER_MIN // 10000} or newer"
        )
    version = found_version(connection)
    if version is not None and version > VERSION:
        raise StoreUnavailable(
            f"the tables in this database are of version {version}, and this perdure knows {VERSION}: a newer one made them. "
            "Update perdure here; nothing was changed."
        )
    return version is not None


def create_schema(database: Database) -> bool:
    """Create the tables and functions, or bring them up to date; return whether anything was done. Safe beside other processes.

    Raises:
        StoreUnavailable: the role may not, the server is too old, or the tables are of a newer version.
    """
    with database.session() as connection, connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        if check_schema_within(connection):
            return False
        connection.execute(_script("tables.sql"))
        connection.execute(_script("functions.sql"))
        connection.execute("INSERT INTO perdure.version VALUES (%s)", [VERSION])
    logger.info("created the tables of perdure, version %d, in %s", VERSION, database.address.text)
    return True


def check_schema_within(connection: psycopg.Connection[Any]) -> bool:
    """Do as `check_schema`, within a transaction that an error would end."""
    row = connection.execute("SELECT to_regclass('perdure.version') IS NOT NULL").fetchone()
    return bool(row and row[0]) and check_schema(connection)


def _script(name: str) -> bytes:
    return files("perdure.store.postgres").joinpath(name).read_bytes()
