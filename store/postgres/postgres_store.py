"""The owner of one partition of a queue in PostgreSQL: the `EventStore` for a queue that outgrows one machine.

Frames are written in `partition_writer`, ownership is in `ownership`, and frames and snapshots are read in `postgres_reader`.
"""

from __future__ import annotations

import contextlib
import math
import os
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from perdure.events.errors import PerdureError, StoreCorrupt, StoreLocked
from perdure.events.keyword_options import tells_misspelt
from perdure.events.loggers import GuardedLogger
from perdure.events.public_names import public
from perdure.events.seconds import checked_seconds, plain_number
from perdure.store.files.payload_spill import PayloadSpill
from perdure.store.postgres import history_hold, ownership, partition_snapshots
from perdure.store.postgres.connecting.own_session import check_own_session
from perdure.store.postgres.connecting.postgres_address import PostgresAddress
from perdure.store.postgres.connecting.server_conditions import unsafe_standbys
from perdure.store.postgres.connecting.session import Refused
from perdure.store.postgres.partition_owner import another_log
from perdure.store.postgres.partition_writer import PartitionWriter
from perdure.store.postgres.postgres_reader import PostgresReader
from perdure.store.postgres.schema import check_schema, create_schema
from perdure.store.postgres.traffic.channels import OwnersChannels
from perdure.store.postgres.traffic.ingress import Ingress
from perdure.store.postgres.traffic.watch import Watched, watched
from perdure.store.reading_through import ReadsThrough
from perdure.store.retention_hold import RetentionHold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from perdure.store.values import Frame, Recovered, Snapshot

__all__ = ["PostgresStore"]

logger = GuardedLogger("perdure.store")

LEASE_S = 10.0
UNSAFE = (
    "%s: %d standby(s), and synchronous_standby_names is empty: A FAILOVER LOSES WHAT WAS ACKNOWLEDGED LAST. Name a synchronous "
    "standby, unless that may happen"
)
STAND_BY_S = 0.5
"""How often a store that stands by looks whether its partition is free."""
SWEEP_ROWS = 2_000
_FIRST_KEPT = """
SELECT first_seq, count, substring(body FROM 37 FOR 16) FROM perdure.frame
WHERE partition_id = %s AND first_seq >= least(
    (SELECT max(first_seq) FROM perdure.frame WHERE partition_id = %s),
    coalesce((SELECT min(first_seq) FROM perdure.frame WHERE partition_id = %s AND first_seq > %s), 9223372036854775807),
    coalesce((SELECT max(first_seq) FROM perdure.frame WHERE partition_id = %s AND first_seq <= %s AND first_seq + count - 1 > %s),
             9223372036854775807))
ORDER BY first_seq, count LIMIT 1
"""


@public
class PostgresStore(PartitionWriter, ReadsThrough[PostgresReader]):
    """An `EventStore` in PostgreSQL: one partition of a queue. For `System(store=...)`; needs `pip install perdure[postgres]`.

    Args:
        dsn: how to connect: `postgresql://user@host/database`, or `key=value` pairs. The password may also come from libpq's
            environment and password file. It is shown nowhere.
        name: the queue. Queues in one database do not touch each other.
        partition: the number of the partition. Each has one owner at a time, and ids of its own.
        lease: seconds after which another process may take over from an owner that was suspended or cut off.
        stand_by: seconds for which a start waits until the owner of the partition gives it up or dies; `math.inf`: for ever.
        snapshots_kept: how many snapshots are kept.
        drop_history: drop the events that no kept snapshot needs.
    """

    @tells_misspelt("PostgresStore")
    def __init__(
        self,
        dsn: str,
        *,
        name: str,
        partition: int = 0,
        lease: float = LEASE_S,
        stand_by: float = 0.0,
        snapshots_kept: int = 2,
        drop_history: bool = False,
    ) -> None:
        super().__init__(PostgresAddress.parse(dsn).at(name, partition), lease_s=checked_seconds("lease", lease))
        self.stand_by_s = math.inf if plain_number(stand_by) == math.inf else checked_seconds("stand_by", stand_by)
        self.snapshots_kept = snapshots_kept
        self.drop_history = drop_history
        self._hold = RetentionHold(lambda: None)
        self._watched: Watched | None = None
        self.is_given_up: Callable[[], bool] = lambda: False
        """See `StandsBy`."""
        self.node = ""
        """The node of a cluster that owns it; its owners' names begin with that."""

    def __repr__(self) -> str:
        """Show the address, without a password."""
        return f"<perdure.PostgresStore {self.address}>"

    # --- opening ---------------------------------------------------------------------------------------------------------

    def open(self) -> Recovered:
        """See `EventStore.open`. The tables are created where they are missing and the role may."""
        if self._owner_name and self._pid == os.getpid():
            msg = f"{self.address} is in use by another system of this process; stop that one first"
            raise StoreLocked(msg, os.getpid())
        self._check_server()
        until_s = time.monotonic() + self.stand_by_s
        while True:
            self._owner_name, self._pid = ownership.new_owner(self.node), os.getpid()
            try:
                return self._take(again=False)
            except StoreLocked:
                self.abandon()
                if time.monotonic() >= until_s or self.is_given_up():
                    raise
                time.sleep(STAND_BY_S)
            except BaseException:
                self.abandon()
                raise

    def _check_server(self) -> None:
        with self.database.session() as connection:
            check_own_session(connection, self.database.connect)
            if not check_schema(connection):
                if self.node or self.known_logs:  # they were there
                    raise another_log(self.address)
                create_schema(self.database)
            row = connection.execute("SELECT current_setting('fsync'), current_setting('full_page_writes')").fetchone()
            standbys = 0 if self.node else unsafe_standbys(connection)  # a cluster says so once for all
        fsync, page_writes = row or ("on", "on")
        if "off" in (fsync, page_writes):
            logger.warning(
                "%s: fsync or full_page_writes is off: a crash of the server may lose what was acknowledged", self.address
            )
        if standbys:
            logger.error(UNSAFE, self.address, standbys)

    def reopen(self, *, void_after: int | None = None) -> Recovered:
        """See `EventStore.reopen`."""
        if not self._owner_name or self._pid != os.getpid():
            raise self._not_open()
        return self._take(again=True, void_after=void_after)

    # --- reading and snapshots -------------------------------------------------------------------------------------------

    def frames(self, after: int = 0, until: int | None = None) -> Iterator[Frame]:
        """See `LogReader.frames`.

        Raises:
            StoreCorrupt: also if the log ends before what this owner has synced.
        """
        if not self._is_open():
            yield from self.reader.frames(after, until)
            return
        until = self.last_seq if until is None else min(until, self.last_seq)
        synced_seq, reached = min(until, self.synced_seq), after
        if after < self.last_seq:
            for frame in self.reader.frames(after, until):
                reached = frame.last_seq
                yield frame
        if max(reached, self.first_seq - 1) < synced_seq:
            msg = f"{self.address} ends at {reached}, though all up to {synced_seq} was synced. Restore the newest copy."
            raise StoreCorrupt(msg, self.address, -1, reached + 1)

    def save_snapshot(self, snapshot: Snapshot) -> None:
        """See `EventStore.save_snapshot`."""
        if not self._is_open():
            raise self._not_open()
        claim = self._owned()
        with self._dropping(claim.id) as may_drop:
            sure = sorted({seq for seq in self.reader.snapshot_seqs() if seq <= self.synced_seq} | {snapshot.seq})
            kept = sure[-self.snapshots_kept :]
            oldest = kept[0] if may_drop and snapshot.seq <= self.synced_seq and len(kept) == self.snapshots_kept else 0
            partition_snapshots.put(self.database, claim.id, claim.store_id, self._owner_name, snapshot, oldest)

    def retire_history(self) -> int:
        """See `EventStore.retire_history`: each frame counts as a segment."""
        if not self._is_open():
            raise self._not_open()
        seqs = self.reader.snapshot_seqs()
        if not self.drop_history or len(seqs) < self.snapshots_kept or seqs[0] > self.synced_seq:
            return 0
        claim = self._owned()
        with self._dropping(claim.id) as may_drop, self.database.session() as connection:
            if not may_drop:
                return 0
            oldest = seqs[0]
            kept = connection.execute(
                _FIRST_KEPT, [claim.id, claim.id, claim.id, oldest, claim.id, oldest, oldest], binary=True
            ).fetchone()
            if kept is None or kept[0] <= self.first_seq:
                return 0
            connection.execute("SELECT perdure.drop_history(%s, %s, %s, %s)", [claim.id, self.epoch, kept[0], kept[2]])
            return self._swept(connection, claim.id)

    @contextmanager
    def _dropping(self, partition: int) -> Iterator[bool]:
        """Return whether history may be dropped while the block runs: nothing holds it, here or in another process."""
        with self._hold.dropping() as may_here, history_hold.dropping(self.database, partition) as may_there:
            yield may_here and may_there

    @staticmethod
    def _swept(connection: psycopg.Connection[Any], partition: int) -> int:
        total = 0
        while True:
            row = connection.execute("SELECT perdure.sweep(%s, %s)", [partition, SWEEP_ROWS]).fetchone()
            gone = 0 if row is None else int(row[0])
            total += gone
            if gone < SWEEP_ROWS:
                return total

    def hold_history(self) -> AbstractContextManager[None]:
        """See `EventStore.hold_history`."""
        return self._hold.held()

    def spill(self) -> PayloadSpill:
        """See `EventStore.spill`: files of this machine."""
        return PayloadSpill(Path(tempfile.gettempdir()))

    def ingress(self) -> Ingress:
        """See `HasIngress.ingress`."""
        return Ingress(self.database.address, self._waits())

    def channels(self) -> OwnersChannels:
        """See `HasChannels.channels`."""
        return OwnersChannels(self.database.address, self._owned().id, self._owner_name, self._waits())

    def _waits(self) -> Watched:
        if self._watched is None:
            self._watched = watched(self.database.address)
        return self._watched

    def separate_reader(self) -> PostgresReader:
        """See `EventStore.separate_reader`."""
        return PostgresReader(self.database.address)

    @property
    def address(self) -> str:
        """See `LogReader.address`; without a password."""
        return self.database.address.text

    # --- closing ---------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """See `EventStore.close`."""
        try:
            if self._is_open() and self._failed is None:
                self.sync()
                self._release(in_order=True)
        finally:
            self.abandon()

    def abandon(self) -> None:
        """See `EventStore.abandon`."""
        if self._owner_name and self._pid == os.getpid():
            self._release(in_order=False)
            self._drop_session()
        self.note_high_water()
        waits, self._watched = self._watched, None
        if waits is not None and self._pid == os.getpid():
            waits.close()
        self._session = self._lease = self._claim = self._failed = None
        self._owner_name = ""
        self.database.close()
        self.reader.close()

    def _release(self, *, in_order: bool) -> None:
        """End the lease, and give the partition up if the database can be reached; otherwise the lease passes."""
        lease, session = self._lease, self._session
        if lease is None:
            return
        lease.end()
        self._lease = None
        if session is None or lease.lost is not None:
            return
        with contextlib.suppress(Refused, psycopg.Error, PerdureError):
            session.run(b"release", [*lease.values[:2], b"\x01" if in_order else b"\x00"])

    def _is_open(self) -> bool:
        return bool(self._owner_name) and self._session is not None and self._pid == os.getpid()
