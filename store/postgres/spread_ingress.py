"""One publish whose messages belong to several partitions: a row for each, all or none. Rows of one partition are in `ingress`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg

from perdure.events.errors import StoreUnavailable
from perdure.store.postgres.connecting.database import Database, as_ours
from perdure.store.values import AppendInDoubt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from perdure.store.postgres.connecting.postgres_address import PostgresAddress

__all__ = ["SpreadIngress"]

_ADD = "SELECT perdure.add_to_ingress(%s, r.number, ARRAY[r.body]) FROM unnest(%s::integer[], %s::bytea[]) AS r (number, body)"


class SpreadIngress:
    """Writes rows of several partitions of a queue, over connections of its own. Safe in any thread."""

    def __init__(self, address: PostgresAddress, queue: str) -> None:
        self._database = Database(address)
        self._queue = queue

    def add(self, bodies: Mapping[int, bytes]) -> None:
        """Write a row for each partition, all or none; they outlast a crash of the database once this returns.

        Raises:
            ConnectionError: the database cannot be reached; nothing was written.
            AppendInDoubt: no answer came; writing them again does no harm.
            StoreUnavailable: the database refuses them.
        """
        try:
            connection = self._database.take()
        except StoreUnavailable as error:
            raise ConnectionError(str(error)) from error
        try:
            connection.execute(_ADD, [self._queue, [*bodies], [*bodies.values()]])
        except psycopg.OperationalError as error:
            connection.close()
            raise AppendInDoubt(" ".join(str(error).split())) from error
        except psycopg.Error as error:
            connection.close()
            raise as_ours(error, "written") from error
        self._database.give_back(connection)

    def close(self) -> None:
        """Close the idle connections."""
        self._database.close()
