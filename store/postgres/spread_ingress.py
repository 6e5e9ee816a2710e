"""One publish whose messages belong to several partitions: a row for each, all or none. Rows of one partition are in `ingress`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.store.postgres.connecting.database import Database
from perdure.store.postgres.traffic.ingress import add_rows, marked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from perdure.store.postgres.connecting.postgres_address import PostgresAddress

__all__ = ["SpreadIngress"]

_ADD = (
    "SELECT pg_catalog.set_config('perdure.wall_us', %s, true), perdure.add_to_ingress(%s, r.number, ARRAY[r.body]) "
    "FROM unnest(%s::integer[], %b::bytea[]) AS r (number, body)"
)


class SpreadIngress:
    """Writes rows of several partitions of a queue, over connections of its own. Safe in any thread."""

    def __init__(self, address: PostgresAddress, queue: str) -> None:
        self._database = Database(address)
        self._queue = queue

    def add(self, bodies: Mapping[int, bytes], wall_us: int | None) -> None:
        """Write a row for each partition, all or none; they outlast a crash of the database once this returns.

        `wall_us` is as in `perdure.store.protocol.Ingress.add`.

        Raises:
            ConnectionError: the database cannot be reached; nothing was written.
            AppendInDoubt: no answer came; writing them again does no harm.
            StoreUnavailable: the database refuses them.
        """
        add_rows(self._database, _ADD, [marked(wall_us), self._queue, [*bodies], [*bodies.values()]])

    def close(self) -> None:
        """Close the idle connections."""
        self._database.close()
