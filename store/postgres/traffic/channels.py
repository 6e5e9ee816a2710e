"""Connections of other processes to the owner of a partition, as rows: both ends, without threads.

Bytes are sent, cut anywhere; their meaning is the host's. A connection is over when either end closes it, when another owner
begins, when the other process gave no sign of life for `SILENT_S`, or when the server has crashed.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import psycopg

from perdure.events.errors import PerdureError
from perdure.store.postgres.connecting.database import Database, as_ours
from perdure.store.postgres.traffic.channel_sessions import begin_session, end_session

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from perdure.store.postgres.connecting.postgres_address import PostgresAddress
    from perdure.store.postgres.traffic.channel_sessions import ChannelSession
    from perdure.store.postgres.traffic.watch import Watched
    from perdure.store.values import ChannelPart

__all__ = ["SILENT_S", "ChannelEnd", "OwnersChannels"]

SILENT_S = 30.0
"""After so long without a sign of life of the other process, its connection is over."""
OVER = -1
_SERVE = "SELECT * FROM perdure.serve(%s, %s, %s::bigint[], %s::bigint[], %b::bytea[], %s::bigint[], %s)"


class OwnersChannels:
    """The owner's end of all connections to its partition. For one thread; see `perdure.store.protocol.Channels`."""

    def __init__(self, address: PostgresAddress, partition: int, holder: str, watched: Watched) -> None:
        self._database = Database(address)
        self._partition = partition
        self._holder = holder
        self._watched = watched
        self.address = address.text
        self.silent_s = SILENT_S
        """After so long without a sign of life of another process, its connection is over."""
        self.patience_s = SILENT_S / 3

    def begin(self) -> None:
        """See `Channels.begin`."""
        with self._database.session() as connection:
            connection.execute("SELECT perdure.begin_serving(%s, %s)", [self._partition, self._holder])

    def serve(self, out: Sequence[ChannelPart], over: Sequence[int]) -> list[ChannelPart]:
        """See `Channels.serve`."""
        sent: list[list[Any]] = [[part[column] for part in out] for column in range(3)]
        values = [self._partition, self._holder, *sent, [*over], self.silent_s]
        with self._database.session() as connection:
            rows: list[ChannelPart] = connection.execute(_SERVE, values, binary=True).fetchall()
        return rows

    def newest_row(self) -> int:
        """See `Channels.newest_row`."""
        return self._bound("max", 0, 0)

    def oldest_row(self, after: int) -> int:
        """See `Channels.oldest_row`."""
        return self._bound("min", after, 1 << 62)

    def _bound(self, which: str, after: int, default: int) -> int:
        of = [self._database.address.name, self._database.address.partition, after]
        where = "WHERE queue = %s AND number = %s AND id > %s AND taken_by IS NULL"
        with self._database.session() as connection:
            statement = f"SELECT {which}(id) FROM perdure.ingress {where}".encode()  # noqa: S608 - words of ours
            row = connection.execute(statement, of).fetchone()
        return default if row is None or row[0] is None else int(row[0])

    def watch(self, wake: Callable[[], None]) -> None:
        """See `Channels.watch`."""
        self._watched.subscribe(wake)

    def rest(self) -> bool:
        """See `Channels.rest`."""
        return self._watched.rest()

    def close(self) -> None:
        """See `Channels.close`."""
        self._database.close()


class ChannelEnd:
    """The other process's end of one connection. For one thread, but for `fileno`.

    Raises:
        ConnectionRefusedError: no process owns the partition.
        ConnectionError: the database cannot be reached, or refuses; says why.
    """

    def __init__(self, address: PostgresAddress) -> None:
        self._id = secrets.randbits(62) + 1
        self._n = 1
        self._was_told = False
        """Something came while a statement was under way, perhaps after it had looked."""
        try:
            session = begin_session(address)
        except PerdureError as error:
            raise ConnectionError(str(error)) from error
        except psycopg.Error as error:
            raise ConnectionError(str(as_ours(error, "reached"))) from error
        self._session: ChannelSession | None = session
        self._connection = session.connection
        try:
            self._connection.add_notify_handler(self._note)
            of = [address.name, address.partition or 0, self._id, session.hint]
            row = self._connection.execute("SELECT perdure.open_channel(%s, %s, %s, %s)", of).fetchone()
        except psycopg.Error as error:
            self._connection.close()
            raise ConnectionError(str(as_ours(error, "reached"))) from error
        except BaseException:
            self._connection.close()
            raise
        if row is None or not row[0]:
            self._end()
            raise ConnectionRefusedError("no process owns the partition")

    def _note(self, _notify: object) -> None:
        self._was_told = True

    def fileno(self) -> int:
        """Return the socket that is readable when the owner has sent something."""
        return self._connection.fileno()

    def speak(self, out: Sequence[bytes]) -> tuple[list[bytes], bool]:
        """Send bytes, if any; return what the owner has sent, and whether the connection is over.

        Raises:
            ConnectionError: the database does not answer: the connection is over.
        """
        raw = self._connection.pgconn
        try:
            raw.consume_input()
            while raw.notifies() is not None:
                pass
            rows = self._spoken(out)
            while self._was_told:
                rows += self._spoken(())
        except psycopg.Error as error:
            raise ConnectionError(str(as_ours(error, "reached"))) from error
        return [body for n, body in rows if n != OVER], any(n == OVER for n, _ in rows)

    def _spoken(self, out: Sequence[bytes]) -> list[tuple[int, bytes]]:
        self._was_told = False
        values = [self._id, self._n, [*out]]
        rows = self._connection.execute("SELECT * FROM perdure.speak(%s, %s, %b::bytea[])", values, binary=True).fetchall()
        self._n += len(out)
        return rows

    def leave(self) -> None:
        """End the connection, and notify the owner if the database can be reached. Again: nothing."""
        if self._session is None:
            return
        try:
            self._connection.execute("SELECT perdure.leave_channel(%s)", [self._id])
        except psycopg.Error:
            self._connection.close()  # the owner finds out after `SILENT_S` without a sign of life
        except BaseException:
            self._connection.close()
            raise
        self._end()

    def _end(self) -> None:
        session, self._session = self._session, None  # first: it may be another's from then on
        if session is not None:
            session.connection.remove_notify_handler(self._note)
            end_session(session)
