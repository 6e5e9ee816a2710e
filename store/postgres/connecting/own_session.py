"""Whether a connection is one session of the server for as long as it lasts, or a pooler runs each transaction in any of several.

Owners, and processes that ask them, need a session's prepared statements, LISTEN and advisory locks. Through such a pooler each of
these goes to whichever session was free, without an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perdure.events.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

__all__ = ["check_own_session"]

TRIES = 3
"""A pooler gives what was free last; on a busy one, another client may take that in between."""


def check_own_session(connection: psycopg.Connection[Any], connect: Callable[[], psycopg.Connection[Any]]) -> None:
    """Raise where a pooler lets connections share sessions. One statement, and no other connection where there is no pooler.

    Args:
        connection: to the database, outside of a transaction.
        connect: makes another one in the same way.

    Raises:
        StoreUnavailable: it does. A pooler in session mode is as good as none.
        psycopg.Error: the database cannot be asked.
    """
    if _session_of(connection) == connection.pgconn.backend_pid:
        return  # a pooler gives its clients process numbers of its own
    with connect() as another:
        for _ in range(TRIES):
            if _session_of(connection) == _session_of(another):  # both are open
                raise StoreUnavailable(
                    "between this process and the database is a pooler that shares sessions (transaction mode of pgbouncer). Only "
                    "publishing works through it. An owner, and what asks one, needs sessions of its own: connect to the server "
                    "itself, or to a pool in session mode."
                )


def _session_of(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    return 0 if row is None else int(row[0])
