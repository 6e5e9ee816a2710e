"""The ingress of a partition: what other processes publish, until its owner has taken it in. A row is one publish, of any size.

What a row means, and when it is taken in, is the host's; ids make it count once however often it is written or read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, LiteralString

import psycopg

from perdure.events.errors import StoreUnavailable
from perdure.store.other_processes import READ_BYTES
from perdure.store.postgres.connecting.database import Database, as_ours, is_unreplicated
from perdure.store.postgres.schema import check_schema
from perdure.store.values import AppendInDoubt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from perdure.store.postgres.connecting.postgres_address import PostgresAddress
    from perdure.store.postgres.traffic.watch import Watched

__all__ = ["Ingress", "add_rows", "marked"]

_ADD = "SELECT pg_catalog.set_config('perdure.wall_us', %s, true), perdure.add_to_ingress(%s, %s, %b)"
"""Bodies go as they are (`%b`): as text, the driver's choice for lists, they are twice as long, and both ends convert them."""
_UNKNOWN = ("08", "57P", "40003")
"""SQLSTATEs, and classes of them, after which a statement may have been carried out: the connection is lost, the server ends."""
_OLDEST = """
SELECT id, body{more} FROM (
    SELECT *, sum(octet_length(body)) OVER (ORDER BY id) - octet_length(body) AS before
    FROM (SELECT * FROM perdure.ingress
          WHERE queue = %s AND number = %s AND id > %s AND taken_by IS NULL ORDER BY id LIMIT %s) AS oldest
) AS sized WHERE before < %s ORDER BY id
"""
_READ = _OLDEST.format(more="")
_READ_TIMED = _OLDEST.format(more=", ahead_us, (extract(epoch FROM statement_timestamp()) * 1000000)::bigint")
APART_US = 100_000
"""Clocks that differ by less count as in step: what is on the way takes a part of that, and moments must not differ by it."""
ON_THE_WAY_US = 50_000
"""A statement is taken to arrive after half the time until it is answered, and within this: the answer may be long."""


def add_rows(database: Database, statement: LiteralString, values: Sequence[Any]) -> None:
    """Run a statement that writes rows, all or none; they outlast a crash of the database once this returns.

    Raises:
        ConnectionError: the database cannot be reached, or refuses for a reason that may pass (its disk is full, the statement has
            timed out); nothing was written.
        AppendInDoubt: no answer came, or the rows may be on no standby; writing them again does no harm.
        StoreUnavailable: the database refuses them.
    """
    try:
        connection = database.take()
    except StoreUnavailable as error:
        raise ConnectionError(str(error)) from error
    warnings: list[str] = []

    def note(notice: psycopg.errors.Diagnostic) -> None:
        if is_unreplicated(notice):
            warnings.append(str(notice.message_primary))

    connection.add_notice_handler(note)
    try:
        connection.execute(statement, values)
    except psycopg.OperationalError as error:
        is_answer = not connection.broken and bool(error.sqlstate) and not str(error.sqlstate).startswith(_UNKNOWN)
        database.drop(connection)
        if is_answer:
            raise ConnectionError(str(as_ours(error, "written"))) from error
        raise AppendInDoubt(" ".join(str(error).split())) from error
    except psycopg.Error as error:
        database.drop(connection)
        raise as_ours(error, "written") from error
    if warnings:
        database.drop(connection)
        raise AppendInDoubt(warnings[0])
    connection.remove_notice_handler(note)
    database.give_back(connection)


class Ingress:
    """Writes and reads the rows of one partition, over connections of its own. Safe in any thread.

    `watched` is the owner's; None for a process that only writes.
    """

    def __init__(self, address: PostgresAddress, watched: Watched | None = None) -> None:
        self._database = Database(address)
        self._watched = watched
        self._of = (address.name, address.partition)

    def check(self) -> None:
        """Raise unless the tables are there.

        Raises:
            StoreUnavailable: they are not, or the database cannot be reached.
        """
        with self._database.session() as connection:
            if not check_schema(connection, oldest=1):
                raise StoreUnavailable(
                    f"{self._database.address.text} holds no tables of perdure: no System ever ran on this database"
                )

    def add(self, bodies: Sequence[bytes], wall_us: int | None = None) -> None:
        """Write rows, all or none; they outlast a crash of the database once this returns. See also `Ingress.add` of the protocol.

        Raises:
            ConnectionError: the database cannot be reached; nothing was written.
            AppendInDoubt: no answer came; writing them again does no harm.
            StoreUnavailable: the database refuses them.
        """
        add_rows(self._database, _ADD, [marked(wall_us), *self._of, [*bodies]])

    def read(self, after: int, most: int, *, most_bytes: int = READ_BYTES) -> list[tuple[int, bytes]]:
        """See `perdure.store.protocol.Ingress.read`.

        Raises:
            StoreUnavailable: the database cannot be read.
        """
        values = [*self._of, after, most, most_bytes]
        with self._database.session() as connection:
            rows: list[tuple[int, bytes]] = connection.execute(_READ, values, binary=True).fetchall()
        return rows

    def read_timed(self, after: int, most: int, wall_us: Callable[[], int]) -> list[tuple[int, bytes, int]]:
        """See `perdure.store.protocol.Ingress.read_timed`.

        Raises:
            StoreUnavailable: the database cannot be read.
        """
        values = [*self._of, after, most, READ_BYTES]
        with self._database.session() as connection:
            asked_us = wall_us()
            rows = connection.execute(_READ_TIMED, values, binary=True).fetchall()
            here_us = asked_us + min((wall_us() - asked_us) // 2, ON_THE_WAY_US)
        return [(row, body, _later_us(ahead_us, here_us - now_us)) for row, body, ahead_us, now_us in rows]

    def remove(self, rows: Sequence[int]) -> None:
        """Remove rows that are taken in.

        Raises:
            StoreUnavailable: they may be there still; they come again then.
        """
        with self._database.session() as connection:
            connection.execute("SELECT perdure.remove_from_ingress(%s)", [[*rows]])

    def watch(self, wake: Callable[[], None]) -> None:
        """See `perdure.store.protocol.Ingress.watch`."""
        if self._watched is not None:
            self._watched.subscribe(wake)

    def rest(self) -> bool:
        """See `perdure.store.protocol.Ingress.rest`."""
        return self._watched is not None and self._watched.rest()

    def close(self) -> None:
        """Close the idle connections."""
        self._database.close()


def marked(wall_us: int | None) -> str:
    """Return the publisher's time as the statement that writes rows takes it; empty for none."""
    return "" if wall_us is None else str(wall_us)


def _later_us(ahead_us: int | None, behind_us: int) -> int:
    """Return how much later the moments of a row are here than where it was published.

    Args:
        ahead_us: by how much the database's clock was ahead of the publisher's; None: it is not known.
        behind_us: by how much it is behind the clock here.
    """
    apart_us = 0 if ahead_us is None else ahead_us + behind_us
    return apart_us if abs(apart_us) >= APART_US else 0
