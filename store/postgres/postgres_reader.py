"""The `LogReader` of a partition in PostgreSQL. It owns nothing, takes no lock, and has connections of its own.

How frames are read and checked is in `partition_reader`, snapshots are in `partition_snapshots`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.events.errors import StoreUnavailable
from perdure.store.format import frame as fr
from perdure.store.postgres import history_hold, partition_reader, partition_snapshots
from perdure.store.postgres.connecting.database import Database
from perdure.store.postgres.connecting.server_conditions import server_conditions
from perdure.store.postgres.schema import check_schema
from perdure.store.survey import Damage, Stretch, WholeFrame
from perdure.store.values import LogSize

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from perdure.store.conditions import Condition
    from perdure.store.postgres.connecting.postgres_address import PostgresAddress
    from perdure.store.postgres.partition_reader import Partition, Row
    from perdure.store.survey import SurveyedSnapshot
    from perdure.store.values import Frame, Snapshot

__all__ = ["PostgresReader"]

_SIZE = """
SELECT (SELECT coalesce(sum(octet_length(body)), 0) FROM perdure.frame WHERE partition_id = %(id)s)
     + (SELECT coalesce(sum(size), 0) FROM perdure.snapshot WHERE partition_id = %(id)s),
       (SELECT count(*) FROM perdure.snapshot WHERE partition_id = %(id)s)
"""


class PostgresReader:
    """A `LogReader` of one partition. Safe in any thread."""

    def __init__(self, address: PostgresAddress) -> None:
        self.database = Database(address)

    @property
    def address(self) -> str:
        """See `LogReader.address`; without a password."""
        return self.database.address.text

    def partition(self) -> Partition:
        """Return the partition's row.

        Raises:
            StoreUnavailable: there is none, more than one fits the address, or the database cannot be read.
        """
        address = self.database.address
        with self.database.session() as connection:
            found = partition_reader.find_partition(connection, address.name, address.partition)
            if found is not None:
                return found
            held = connection.execute("SELECT queue, number FROM perdure.partition ORDER BY queue, number LIMIT 20").fetchall()
        names = ", ".join(f"#{queue}/{number}" for queue, number in held) or "none"
        raise StoreUnavailable(f"{self.address} names no single partition of a queue. The database holds: {names}.")

    def check_readable(self) -> None:
        """See `LogReader.check_readable`."""
        with self.database.session() as connection:
            if not check_schema(connection, oldest=1):
                raise StoreUnavailable(f"{self.address} holds no tables of perdure: no System ever ran on this database")
        self.partition()

    @property
    def first_seq(self) -> int:
        """See `LogReader.first_seq`."""
        return self.partition().first_seq

    def frames(self, after: int = 0, until: int | None = None) -> Iterator[Frame]:
        """See `LogReader.frames`."""
        yield from partition_reader.frames(self.database, self.partition(), after, until)

    def whole_frames(self, after: int = 0, *, synced: bool = True) -> Iterator[Stretch | WholeFrame]:  # noqa: ARG002 - nothing is synced by a reader
        """See `LogReader.whole_frames`: what can be read is as durable as the database makes it."""
        found = self.partition()
        file = f"{found.queue}/{found.number}"
        yield Stretch(file, found.store_id, found.first_seq, found.epoch, found.begins_after, 0, restarts=True)
        for prev, header, frame, raw in partition_reader.whole_frames(self.database, found, after - 1):
            if frame.last_seq >= after:
                yield WholeFrame(file, 0, raw, frame, header.epoch, prev, fr.chain_after(raw), follows=True)

    def hold_history(self) -> AbstractContextManager[None]:
        """See `LogReader.hold_history`: by a lock in the database, which the owner asks before it drops anything."""
        return history_hold.held(self.database, self.partition().id)

    def snapshots(self, at_most: int | None = None) -> Iterator[Snapshot]:
        """See `LogReader.snapshots`."""
        yield from partition_snapshots.whole(self.database, self.partition(), at_most)

    def snapshot_seqs(self) -> list[int]:
        """See `LogReader.snapshot_seqs`."""
        return partition_snapshots.seqs(self.database, self.partition().id)

    def size(self) -> LogSize:
        """See `LogReader.size`: the bytes of frames and snapshots, without those of the tables' own; one segment."""
        found = self.partition()
        with self.database.session() as connection:
            row = connection.execute(_SIZE, {"id": found.id}).fetchone()
        return LogSize(0, 0, 0) if row is None else LogSize(int(row[0]), 1, row[1])

    def survey(self) -> Iterator[Stretch | WholeFrame | Damage]:
        """See `LogReader.survey`. The whole partition is one stretch; an offset counts the bytes of all frames before."""
        found = self.partition()
        file = f"{found.queue}/{found.number}"
        yield Stretch(file, found.store_id, found.first_seq, found.epoch, found.begins_after, 0, restarts=True)
        crc_seed, offset, expected, chain = fr.seed(found.store_id), 0, found.first_seq, found.begins_after
        for page in partition_reader.pages(self.database, found.id, found.first_seq):
            for row in page:
                item = _surveyed(row, file, offset, expected, chain, crc_seed)
                if isinstance(item, WholeFrame):
                    if not item.follows:
                        yield Damage(file, offset, 0, expected, f"it does not continue the frame before it (it says {row[0]})")
                    expected, chain = item.frame.last_seq + 1, item.chain
                yield item
                offset += len(row[2])

    def conditions(self) -> Iterator[Condition]:
        """See `HasConditions.conditions`."""
        return server_conditions(self.database)

    def survey_snapshot(self, seq: int) -> SurveyedSnapshot | None:
        """See `LogReader.survey_snapshot`."""
        found = self.partition()
        return partition_snapshots.survey(self.database, found, seq, f"{found.queue}/{found.number} snapshot {seq}")

    def store_id(self) -> bytes | None:
        """See `LogReader.store_id`."""
        return self.partition().store_id

    def exposure(self) -> str | None:
        """See `LogReader.exposure`: which other roles may change the tables."""
        with self.database.session() as connection:
            rows = connection.execute(_OTHERS).fetchall()
        others = ", ".join(str(role) for (role,) in rows)
        return f"these roles may write past the functions of perdure: {others}" if others else None

    def close(self) -> None:
        """Close the idle connections."""
        self.database.close()


_OTHERS = """
SELECT DISTINCT coalesce(r.rolname::text, 'PUBLIC') FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace,
     aclexplode(c.relacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
WHERE n.nspname = 'perdure' AND c.relkind = 'r' AND a.grantee <> c.relowner
  AND a.privilege_type IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE') ORDER BY 1
"""


def _surveyed(row: Row, file: str, offset: int, expected: int, chain: bytes, crc_seed: int) -> WholeFrame | Damage:
    raw = row[2]
    try:
        header, frame = partition_reader.unpacked(row, crc_seed)
    except fr.BadFrame as error:
        return Damage(file, offset, len(raw), expected, str(error))
    follows = (row[0], header.prev) == (expected, chain)
    return WholeFrame(file, offset, raw, frame, header.epoch, header.prev, fr.chain_after(raw), follows)
