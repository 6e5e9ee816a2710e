"""The SQL of an outbox on each kind of connection that a host may have, and the name of what it reads.

The statements themselves are in `sql_outbox`.
"""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path
from typing import Any

__all__ = ["TABLE", "Sql"]

TABLE = "perdure_outbox"
MARKS = {"qmark": "?", "numeric": ":{}", "numeric_dollar": "${}"}
"""What stands for a parameter in each style that is not `%s`; `{}` is its number."""


class Sql:
    """One connection's dialect: sqlite3, psycopg, Django's on either, or a SQLAlchemy connection or session on either."""

    def __init__(self, connection: Any) -> None:
        if hasattr(connection, "get_bind"):  # a SQLAlchemy session
            connection = _at_once(connection.connection())
        if hasattr(connection, "exec_driver_sql"):
            vendor = connection.dialect.name
            self.mark = MARKS.get(connection.dialect.paramstyle, "%s")
            self._execute = connection.exec_driver_sql
        elif hasattr(connection, "vendor") and hasattr(connection, "cursor"):  # Django's, or its proxy for this thread's
            vendor = connection.vendor
            self.mark = "%s"
            self._execute = partial(_by_cursor, connection)
        elif callable(getattr(connection, "execute", None)):
            # A proxy, as a pool or a tracer makes it, has what its connection has.
            is_sqlite = hasattr(connection, "total_changes") or any(cls.__module__ == "sqlite3" for cls in type(connection).__mro__)
            vendor = "sqlite" if is_sqlite else "postgresql"
            self.mark = "?" if vendor == "sqlite" else "%s"
            plain = partial(_by_plain_cursor, connection, is_sqlite=is_sqlite)
            self._execute = plain if hasattr(connection, "cursor") else connection.execute
        else:
            msg = (
                "connection: a sqlite3 or psycopg (3) connection, Django's `connection`, a SQLAlchemy connection or session, not "
                f"{type(connection).__module__}.{type(connection).__qualname__}"
            )
            raise TypeError(msg)
        if vendor not in ("sqlite", "postgresql"):
            msg = f"connection: the outbox is written for SQLite and PostgreSQL, not for {vendor}"
            raise ValueError(msg)
        self.is_sqlite = vendor == "sqlite"

    def run(self, sql: str, parameters: tuple[Any, ...] = ()) -> Any:
        """Execute a statement written with `?`."""
        first, *others = sql.split("?")
        marked = [self.mark.format(number) + part for number, part in enumerate(others, 1)]
        return _at_once(self._execute("".join([first, *marked]), parameters))

    def place(self) -> str | None:
        """Return a name for the table that is the same in every process that reads it; None: it is not there.

        Empty: it is in memory, where no other process reads it.
        """
        if self.is_sqlite:
            where = "name = 'main' AND EXISTS (SELECT 1 FROM main.sqlite_master WHERE name = ?)"
            found = self.run(f"SELECT file FROM pragma_database_list WHERE {where}", (TABLE,)).fetchone()  # noqa: S608 - a condition of ours
            if found is None or not found[0]:
                return found and ""
            path = Path(found[0]).resolve()
            stat = path.stat()  # two containers may have different files of this name
            return _digest("sqlite", stat.st_dev, stat.st_ino, path)
        # A copy of a server has its identifier, but no two were started in the same microsecond. An address would not do: it
        # depends on the way there, and copies in containers may have the same. A user may be shown other rows than the next.
        server = "(SELECT system_identifier FROM pg_control_system()), extract(epoch FROM pg_postmaster_start_time())::text"
        found = self.run(f"SELECT to_regclass(?)::oid, current_database(), current_user::text, {server}", (TABLE,)).fetchone()
        return None if found[0] is None else _digest("postgresql", *found)


# Functions, as a method among its attributes would keep a `Sql`, and with it the host's connection, until the collector comes.


def _by_cursor(connection: Any, sql: str, parameters: tuple[Any, ...]) -> Any:
    cursor = connection.cursor()
    cursor.execute(sql, parameters)
    return cursor


def _by_plain_cursor(connection: Any, sql: str, parameters: tuple[Any, ...], *, is_sqlite: bool) -> Any:
    """Execute on a cursor whose rows are tuples, whatever the host's connection makes of rows."""
    cursor = _at_once(connection.cursor())
    if hasattr(cursor, "row_factory"):
        cursor.row_factory = None if is_sqlite else _tuple_row()
    return cursor.execute(sql, parameters)


def _tuple_row() -> Any:
    from psycopg.rows import tuple_row  # noqa: PLC0415 - only a host that has psycopg has such a connection

    return tuple_row


def _at_once(result: Any) -> Any:
    """Return what a connection gave; an asynchronous one has done nothing yet.

    Raises:
        TypeError: it is to be awaited first. Nothing was written.
    """
    if not hasattr(result, "__await__"):
        return result
    if hasattr(result, "close"):
        result.close()  # or Python warns that it was never awaited
    msg = (
        "connection: it is an asynchronous one, and an outbox writes at once; nothing was written. With SQLAlchemy, use "
        "`await session.run_sync(lambda sync: Outbox(sync).publish(message))`; else a sqlite3 or psycopg connection in a thread"
    )
    raise TypeError(msg)


def _digest(vendor: str, *place: object) -> str:
    return f"{vendor} {hashlib.blake2b(repr(place).encode(), digest_size=16).hexdigest()}"
