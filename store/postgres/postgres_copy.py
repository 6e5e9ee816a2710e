"""A new partition that takes a copy of a log, frame by frame, as a repair or a migration writes it.

The frames keep their bytes, seals included, so the hash chain goes on as it was. What is copied is decided in `maintenance`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

import attrs

from perdure.events.errors import StoreUnavailable
from perdure.events.loggers import GuardedLogger
from perdure.store.postgres import ownership, partition_reader, partition_snapshots
from perdure.store.postgres.connecting.database import Database
from perdure.store.postgres.postgres_store import PostgresStore
from perdure.store.postgres.schema import check_schema, create_schema
from perdure.store.postgres.traffic.ingress import Ingress
from perdure.store.spool import spool_format
from perdure.store.spool.spool_file import READ_MAX
from perdure.store.values import AppendInDoubt

if TYPE_CHECKING:
    import psycopg

    from perdure.store.postgres.connecting.postgres_address import PostgresAddress
    from perdure.store.survey import Stretch, WholeFrame
    from perdure.store.values import Recovered, Snapshot

__all__ = ["Discarded", "PostgresCopy", "discard_copies"]

logger = GuardedLogger("perdure.store")

WRITE_BYTES = 4 << 20
WRITE_ROWS = 1_000
"""Frames are gathered into transactions of about this size."""


@attrs.frozen
class Discarded:
    """What `discard_copies` has removed."""

    partitions: tuple[int, ...]
    """The numbers of those whose unfinished copies are gone; empty: there was none."""
    waiting: int
    """How many rows of publishes wait for these partitions; they stay. Spooled ones that a restore has put there are among them."""
    forgotten: bool
    """With the last partition went the record of how many the queue has, so it can begin with another number."""


class PostgresCopy:
    """A `LogTarget` in a database that holds no partition of that name and number yet."""

    def __init__(self, address: PostgresAddress) -> None:
        if address.name is None:
            raise StoreUnavailable("the address does not say which queue: write postgresql://USER@HOST/DATABASE#QUEUE/PARTITION")
        self._address = address.at(address.name, address.partition or 0)
        self._database = Database(self._address)
        self._store_id = b""
        self._partition = 0
        self._owner_name = ""
        self._waiting: list[partition_reader.Row] = []
        self._waiting_bytes = 0

    def check_empty(self) -> None:
        """See `LogTarget.check_empty`. The tables are created where they are missing."""
        with self._database.session() as connection:
            if not check_schema(connection):
                create_schema(self._database)
            found = partition_reader.find_partition(connection, self._address.name, self._address.partition)
            if found is not None and _is_unfinished(connection, found.id):
                connection.execute("SELECT perdure.discard_copy(%s)", [found.id])
            elif found is not None:
                raise StoreUnavailable(f"{self._address.text} is there already; name another queue or partition for the copy")

    def begin(self, stretch: Stretch) -> None:
        """See `LogTarget.begin`."""
        self._store_id, self._owner_name = stretch.store_id, ownership.new_owner()
        with self._database.session() as connection:
            row = connection.execute(
                "SELECT perdure.create_copy(%s, %s, %s, %s, %s, %s, %s)",
                [
                    self._address.name,
                    self._address.partition,
                    self._owner_name,
                    stretch.store_id,
                    stretch.first_seq,
                    stretch.epoch,
                    stretch.chain,
                ],
            ).fetchone()
        self._partition = 0 if row is None else row[0]

    def put(self, frame: WholeFrame) -> None:
        """See `LogTarget.put`."""
        self._waiting.append((frame.frame.first_seq, frame.frame.count, frame.raw))
        self._waiting_bytes += len(frame.raw)
        if self._waiting_bytes >= WRITE_BYTES or len(self._waiting) >= WRITE_ROWS:
            self.flush()

    def flush(self) -> None:
        """See `LogTarget.flush`."""
        rows, self._waiting, self._waiting_bytes = self._waiting, [], 0
        if rows:
            columns = [[row[column] for row in rows] for column in range(3)]
            with self._database.session() as connection:
                connection.execute("SELECT perdure.add_frames(%s, %s, %s, %s, %b)", [self._partition, self._owner_name, *columns])

    def put_snapshot(self, snapshot: Snapshot) -> None:
        """See `LogTarget.put_snapshot`."""
        self.flush()
        partition_snapshots.put(self._database, self._partition, self._store_id, self._owner_name, snapshot, 0)

    def put_spool(self, name: str, file: BinaryIO) -> int:
        """See `TakesSpool.put_spool`: what is in it becomes rows of the ingress, which the first owner takes in.

        A row is what a record of a spool file is: one publish. Written again by a restore that is run again, it counts once.
        """
        ingress = Ingress(self._address)
        contents = spool_format.parse(file.read(READ_MAX))
        bodies = contents.items
        if contents.problem:
            damage = (name, contents.offset, contents.problem, self._address.text)
            logger.error("the spool file %s is damaged at byte %d: %s. Only what is whole in it is put into %s", *damage)
        try:
            for first in range(0, len(bodies), WRITE_ROWS):
                ingress.add(bodies[first : first + WRITE_ROWS])
        except (AppendInDoubt, ConnectionError) as error:
            msg = f"{self._address.text} did not take the publishes of the spool file {name}: {error}. Restore again"
            raise StoreUnavailable(msg) from error
        finally:
            ingress.close()
        return contents.damaged

    def finish(self) -> Recovered:
        """See `LogTarget.finish`."""
        self.flush()
        with self._database.session() as connection:
            connection.execute("SELECT perdure.release(%s, %s, true)", [self._partition, self._owner_name])
        store = PostgresStore(self._address.dsn, name=self._address.name or "", partition=self._address.partition or 0)
        recovered = store.open()
        store.close()
        return recovered


def _is_unfinished(connection: psycopg.Connection[Any], partition: int) -> bool:
    """Return whether a partition holds a copy whose writer died, or still writes."""
    row = connection.execute("SELECT until = 'infinity' FROM perdure.lease WHERE partition_id = %s", [partition]).fetchone()
    return bool(row and row[0])


def discard_copies(address: PostgresAddress) -> Discarded:
    """Remove the copies of logs that were begun at an address and not finished: of one partition, or of a whole queue.

    What still writes one of them gets an error. A log that a system could start on is left alone.

    Raises:
        StoreUnavailable: the address names no queue; or the database cannot be reached, holds no tables, or refuses.
    """
    if address.name is None:
        raise StoreUnavailable("the address does not say which queue: write postgresql://USER@HOST/DATABASE#QUEUE")
    database = Database(address)
    try:
        with database.session() as connection:
            if not check_schema(connection):
                raise StoreUnavailable(f"{address.text} holds no tables of this version of perdure")
            row = connection.execute("SELECT * FROM perdure.discard_copies(%s, %s)", [address.name, address.partition]).fetchone()
    finally:
        database.close()
    if row is None:
        raise StoreUnavailable("the database answered without a row")
    return Discarded(tuple(row[0]), row[1], row[2])
