"""Sessions of the database over which this process asks owners: each is used by one connection to an owner at a time.

A session is made when a connection begins, and ends with it; within `kept_sessions` it goes to the next one, to whatever owner in
that database. Not here: what is said over it (`channels`).
"""

from __future__ import annotations

import os
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import attrs

from perdure.store.disk.forked_locks import lock_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from perdure.store.postgres.connecting.postgres_address import PostgresAddress

__all__ = ["ChannelSession", "begin_session", "end_session", "kept_sessions"]


@attrs.frozen(eq=False)
class ChannelSession:
    """A session that is told of what owners send."""

    connection: psycopg.Connection[Any]
    hint: str
    """The name of its notifications."""
    database: str


class _Kept:
    """The sessions of this process that no connection to an owner uses."""

    def __init__(self) -> None:
        self.lock = lock_of(self, "lock")
        self.pid = os.getpid()
        self.blocks = 0
        """How many blocks of `kept_sessions` are entered."""
        self.idle: list[ChannelSession] = []


_kept = _Kept()


@contextmanager
def kept_sessions() -> Iterator[None]:
    """Keep the sessions that end within the block for others, in any thread; they end behind it, if no other such block goes on."""
    with _kept.lock:
        _forget_parents()
        _kept.blocks += 1
    try:
        yield
    finally:
        with _kept.lock:
            _kept.blocks -= 1
            idle: list[ChannelSession] = []
            if _kept.blocks <= 0:
                idle, _kept.idle = _kept.idle, idle
        for session in idle:
            session.connection.close()


def begin_session(address: PostgresAddress) -> ChannelSession:
    """Return a session of a database, one that was kept or a new one.

    Raises:
        PerdureError: the database cannot be reached, or a pooler is between.
        psycopg.Error: it refuses.
    """
    from perdure.store.postgres.connecting.database import Database  # noqa: PLC0415 - needs psycopg, and `kept_sessions` does not
    from perdure.store.postgres.connecting.own_session import check_own_session  # noqa: PLC0415 - as above

    of = repr(sorted(address.parameters.items()))
    with _kept.lock:
        _forget_parents()
        for session in _kept.idle:
            if session.database == of:
                _kept.idle.remove(session)
                return session
    database = Database(address)
    connection = database.connect()
    try:
        check_own_session(connection, database.connect)  # else it would hear no NOTIFY
        hint = f"perdure_{uuid.uuid4().hex}"
        connection.execute(f"LISTEN {hint}".encode())
    except BaseException:
        connection.close()
        raise
    return ChannelSession(connection, hint, of)


def end_session(session: ChannelSession) -> None:
    """Keep a session for another connection to an owner within `kept_sessions`, or close it."""
    with _kept.lock:
        _forget_parents()
        is_kept = _kept.blocks > 0 and not session.connection.closed
        if is_kept:
            _kept.idle.append(session)
    if not is_kept:
        session.connection.close()


def _forget_parents() -> None:
    """In a forked child: neither use nor close what is the parent's."""
    if _kept.pid != os.getpid():
        _kept.pid, _kept.blocks, _kept.idle = os.getpid(), 0, []
