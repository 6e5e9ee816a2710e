"""Connections to one database, and its errors as this library's. No table is known here."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import errors as pg

from perdure.events.errors import OwnershipLost, StoreCorrupt, StoreUnavailable
from perdure.store.disk.forked_locks import lock_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perdure.store.postgres.connecting.postgres_address import PostgresAddress

__all__ = ["LOST", "OUT_OF_STEP", "OWNED", "ROWS_GONE", "Database", "as_ours", "is_unreplicated", "lost"]

LOST = "PD001"
"""SQLSTATE: another owner has taken over."""
OUT_OF_STEP = "PD002"
"""SQLSTATE: the frame is not what comes next."""
OWNED = "PD003"
"""SQLSTATE: another owner's lease has not passed."""
UNFINISHED = "PD004"
"""SQLSTATE: the partition holds a copy that was not finished."""
ROWS_GONE = "PD005"
"""SQLSTATE: rows of the ingress that a frame takes in are not there any more."""
NO_PARTITION = "PD006"
"""SQLSTATE: the queue has fewer partitions on record."""
CONNECT_TIMEOUT_S = 10
IDLE_MAX = 6
"""Connections that are kept for the next reader, over all logs of one database in this process."""
WAIT_S = 0.05
"""How long one of so many is waited for before another is made: to begin a session costs a server more than most statements."""
_WAITS_FOR_STANDBY = "SyncRepWaitForLSN"
"""The server's function that waits for a synchronous standby: its warnings have no SQLSTATE of their own."""
_DEFAULTS = {
    "connect_timeout": CONNECT_TIMEOUT_S,
    "fallback_application_name": "perdure",
    "client_encoding": "utf8",  # whatever the database's own is: the server refuses what that cannot hold
    # A peer that vanished without a word is noticed within about ten seconds, not within the kernel's two hours.
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
_AS_OURS = (
    "SELECT pg_catalog.set_config('default_transaction_isolation', 'read committed', false), "
    "pg_catalog.set_config('search_path', 'pg_catalog', false) WHERE pg_catalog.pg_backend_pid() OPERATOR(pg_catalog.=) %s"
)
"""What the role's or the database's settings may say otherwise. In a session that a pooler shares with others nothing is set."""


class Database:
    """How to reach one database. Safe in any thread; a forked child makes connections of its own."""

    def __init__(self, address: PostgresAddress) -> None:
        self.address = address
        self._kept = _kept.setdefault(address.dsn, _Kept())

    def connect(self) -> psycopg.Connection[Any]:
        """Return a new connection, which commits each statement by itself.

        Raises:
            StoreUnavailable: the server cannot be reached, or refuses.
        """
        try:
            connection = psycopg.connect(**{**_DEFAULTS, **self.address.parameters}, autocommit=True, prepare_threshold=None)
            try:
                connection.execute(_AS_OURS, [connection.pgconn.backend_pid])
            except BaseException:
                connection.close()
                raise
        except psycopg.Error as error:
            raise as_ours(error, "reached") from error
        return connection

    @contextmanager
    def session(self) -> Iterator[psycopg.Connection[Any]]:
        """Enter a connection that no other thread uses meanwhile.

        Raises:
            StoreUnavailable: as `connect`, and whatever the database refuses.
        """
        connection = self.take()
        is_whole = False
        try:
            yield connection
            is_whole = True
        except psycopg.Error as error:
            raise as_ours(error, "read") from error
        finally:
            if is_whole:
                self.give_back(connection)
            else:
                self.drop(connection)

    def take(self) -> psycopg.Connection[Any]:
        """Return a connection that no other thread uses; `give_back` or `drop` it.

        Raises:
            StoreUnavailable: as `connect`.
        """
        idle = self._idle_one()
        if idle is not None:
            return idle
        try:
            return self.connect()
        except BaseException:
            self._unused()
            raise

    def _idle_one(self) -> psycopg.Connection[Any] | None:
        """Count one as used, and return it; None: it is to be made."""
        kept = self._kept
        with kept.changed:
            if kept.pid != os.getpid():
                kept.idle, kept.used, kept.pid = [], 0, os.getpid()  # the parent's: not even to be closed here
            kept.changed.wait_for(lambda: kept.idle or kept.used < IDLE_MAX, WAIT_S)
            kept.used += 1
            while kept.idle:
                connection = kept.idle.pop()
                if not connection.closed and not _has_ended(connection):
                    return connection
                connection.close()
        return None

    def _unused(self) -> None:
        kept = self._kept
        with kept.changed:
            kept.used = max(0, kept.used - 1)

    def give_back(self, connection: psycopg.Connection[Any]) -> None:
        """Keep a connection for the next use, or close it."""
        kept = self._kept
        with kept.changed:
            kept.used = max(0, kept.used - 1)
            if not connection.closed and len(kept.idle) < IDLE_MAX and kept.pid == os.getpid():
                kept.idle.append(connection)
                kept.changed.notify()
                return
        connection.close()

    def drop(self, connection: psycopg.Connection[Any]) -> None:
        """Close a connection, of which it is unknown what goes on in it."""
        self._unused()
        connection.close()

    def close(self) -> None:
        """Close the connections that are kept. More can be made."""
        kept = self._kept
        with kept.changed:
            idle, kept.idle = kept.idle, []
            is_parents = kept.pid != os.getpid()  # closing them here would end the parent's sessions
        for connection in () if is_parents else idle:
            connection.close()


class _Kept:
    """The idle connections of one process to one database."""

    def __init__(self) -> None:
        self.idle: list[psycopg.Connection[Any]] = []
        self.used = 0
        """How many are in use. An exception from outside may have it too high, which costs `WAIT_S` for a new one."""
        self.pid = os.getpid()
        self.changed: threading.Condition = lock_of(self, "changed", threading.Condition)


_kept: dict[str, _Kept] = {}
"""By connection string. A cluster has many logs in one database, and must not hold connections for each."""


def _has_ended(connection: psycopg.Connection[Any]) -> bool:
    """Return whether the server has ended an idle connection: then there is something to read."""
    import select  # noqa: PLC0415 - only here

    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def is_unreplicated(notice: psycopg.errors.Diagnostic) -> bool:
    """Return whether the server warns that a commit may be on no standby, since its wait for one was cancelled.

    A warning that does not say where it is from is taken for that one.
    """
    return notice.severity_nonlocalized == "WARNING" and notice.source_function in (None, "", _WAITS_FOR_STANDBY)


def as_ours(error: psycopg.Error, done: str) -> StoreUnavailable | StoreCorrupt:
    """Return the error of this library for one of the driver's. libpq never names a password."""
    state, why = error.sqlstate, " ".join(str(error).split())
    if state == LOST:
        return lost()
    if isinstance(error, (pg.UndefinedTable, pg.InvalidSchemaName, pg.UndefinedFunction)):
        return StoreUnavailable(
            f"the database holds no tables of perdure that this version knows ({why}). Create them with a role that may: "
            "perdure migrate --schema postgresql://…"
        )
    if isinstance(error, pg.InsufficientPrivilege):
        return StoreUnavailable(f"the role of this connection may not: {why}. docs/POSTGRES.md lists what to grant.")
    if state == UNFINISHED:
        return StoreUnavailable(
            "the partition holds a copy that was not finished; run `perdure migrate` or `perdure restore` again as before, or "
            "throw it away by `perdure discard-copies`"
        )
    if state == NO_PARTITION:
        return StoreUnavailable(
            f"{why}: this process began when it had more. Nothing was published. Start it again, with the number that is on record."
        )
    if isinstance(error, (pg.DataCorrupted, pg.IndexCorrupted)):
        return StoreCorrupt(f"the database reports damage: {why}. Restore it from a backup, and run `perdure verify`.")
    stop = "" if why.endswith(("?", ".")) else "."
    msg = f"the database could not be {done}: {why}{stop} Nothing was published. A system that runs tries again by itself."
    return StoreUnavailable(msg)


def lost() -> OwnershipLost:
    """Return the error for a partition that another owner has taken over."""
    return OwnershipLost(
        "another process has taken over this partition: this one was suspended or cut off from the database for longer than its "
        "lease. It writes nothing any more; start it again once the other has stopped."
    )
