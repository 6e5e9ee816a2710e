"""A node of a cluster as the database knows it: joining, leaving, keeping all of its leases, and looking at the others.

Which node should own what is the host's; how one partition is claimed is in `ownership`.
"""

from __future__ import annotations

import select
import time
from typing import TYPE_CHECKING, Any

import attrs
import psycopg

from perdure.events.errors import StoreUnavailable
from perdure.store.disk.forked_locks import lock_of
from perdure.store.postgres import high_water
from perdure.store.postgres.connecting.database import Database, as_ours
from perdure.store.postgres.connecting.own_session import check_own_session
from perdure.store.postgres.connecting.server_conditions import unsafe_standbys
from perdure.store.postgres.ownership import ENDS_OF_ALL, HeldLease
from perdure.store.postgres.partition_reader import find_partition
from perdure.store.postgres.schema import check_schema, create_schema
from perdure.store.values import PartitionOwner

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.events.errors import OwnershipLost
    from perdure.store.postgres.connecting.postgres_address import PostgresAddress

__all__ = ["Held", "Leases", "Node", "NodeSession", "View", "owners_on_record", "partitions_on_record"]

_NODE_CLASS = 0x70646E6E
"""The class of the advisory locks of nodes, as in sql/cluster.sql; the object is the node's id."""
_COPY_LEFT_S = 1e9
"""What sql/cluster.sql gives as the seconds left of an unfinished copy."""
CHANNEL = "perdure_cluster"


@attrs.frozen
class Node:
    """A host's process that takes part."""

    name: str
    address: str
    left_s: float
    """Seconds until it counts as dead unless it gives a sign of life; 0: it counts as dead."""
    has_session: bool
    """It is connected to the database."""


@attrs.frozen
class Held:
    """A partition and what the database says of its owner."""

    number: int
    id: int
    owner: str
    """Empty: none."""
    left_s: float
    """Seconds until another may take over."""
    epoch: int

    @property
    def is_copy(self) -> bool:
        """Whether it is an unfinished copy of a restore or migration, and no log."""
        return self.left_s >= _COPY_LEFT_S


@attrs.frozen
class View:
    """What the database holds of a cluster at one moment."""

    nodes: tuple[Node, ...]
    partitions: tuple[Held, ...]


class Leases:
    """The leases of all partitions that one process owns; `NodeSession.look` keeps them together. Safe in any thread."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._lock = lock_of(self, "_lock")
        self._held: dict[int, HeldLease] = {}

    def keep(self, partition: int, holder: str, began_s: float, on_lost: Callable[[OwnershipLost], None]) -> HeldLease:
        """Return the lease of a partition that was just claimed; it is kept from now on."""
        lease = HeldLease(partition, holder, self.seconds, began_s, on_lost)
        with self._lock:
            self._held[partition] = lease
        return lease

    def now(self) -> list[HeldLease]:
        """Return the leases that are held and not given up."""
        with self._lock:
            self._held = {id_: lease for id_, lease in self._held.items() if not lease.has_ended}
            return list(self._held.values())


class NodeSession:
    """One node's connection to the database, for one thread. It is made anew where it was lost.

    Args:
        address: the database.
        queue: the name of the queue.
        name: the node's, which no other has; what it owns has owners whose names begin with it and a colon.
        where: what people should read to find it.
        leases: what it keeps.
    """

    def __init__(self, address: PostgresAddress, queue: str, name: str, where: str, leases: Leases) -> None:
        self.database = Database(address)
        self.queue, self.name, self.where, self.leases = queue, name, where, leases
        self._connection: psycopg.Connection[Any] | None = None
        self._marks: dict[int, high_water.Mark] = {}
        """By partition: up to where its log is on record as durable."""

    def register_queue(self, partitions: int, routing: str, *, owns: bool = True) -> tuple[int, str, int | None]:
        """Create the tables and put the queue's partitions on record where they are not; return what is on record.

        That is the number of partitions, the routing, and the number of a partition beyond them, if there is such. A process that
        owns none only reads what is there: a role that publishes may do no more.

        Raises:
            StoreUnavailable: the database cannot be reached, or refuses.
        """
        with self.database.session() as connection:
            if not check_schema(connection):
                create_schema(self.database)
            on_record = "SELECT partitions, routing, NULL FROM perdure.cluster WHERE queue = %s"
            row = None if owns else connection.execute(on_record, [self.queue]).fetchone()
            row = (
                row
                or connection.execute(
                    "SELECT * FROM perdure.found_cluster(%s, %s, %s)", [self.queue, partitions, routing]
                ).fetchone()
            )
        if row is None:
            raise StoreUnavailable("the database answered without a row")
        return row[0], row[1], row[2]

    def check_own_session(self) -> None:
        """Raise where a pooler lets connections share sessions of the server, which no owner can work with.

        Raises:
            StoreUnavailable: as above, or the database cannot be reached.
        """
        with self.database.session() as connection:
            check_own_session(connection, self.database.connect)

    def unsafe_standbys(self) -> int:
        """Return how many standbys the database has, if none of them is certain to have what is acknowledged; else 0.

        Raises:
            StoreUnavailable: the database cannot be asked.
        """
        with self.database.session() as connection:
            return unsafe_standbys(connection)

    def look(self, *, keep: bool) -> View:
        """Return what the database holds now; with `keep`, this node and its leases are renewed in the same statement.

        With `keep`, this process also records up to where it knows logs to be durable, and learns what others have recorded.

        Raises:
            StoreUnavailable: the database cannot be reached; the next call connects anew.
        """
        held = self.leases.now()
        is_new, durable = self._connection is None, {one.partition: one.durable_seq() for one in held}
        began_s = time.monotonic()
        values = [self.queue, self.name, self.leases.seconds if keep else None, [one.partition for one in held]]
        owners = [one.holder for one in held]
        try:
            row = self._connected().execute("SELECT perdure.look_at_cluster(%s, %s, %s, %s, %s)", [*values, owners]).fetchone()
        except psycopg.Error as error:
            self.close()
            raise as_ours(error, "asked") from error
        except StoreUnavailable:
            self.close()
            raise
        view = _view(row)
        if keep:
            self._exchange_marks(view)
        owner_of = {one.id: one.owner for one in view.partitions}
        for lease in held:
            if owner_of.get(lease.partition) != lease.holder:
                lease.lose()
            elif keep:
                lease.renewed(began_s)
        if (keep or is_new) and held:
            self._check_ends(held, durable)
        return view

    def _check_ends(self, held: list[HeldLease], durable: dict[int, int]) -> None:
        """Check that the database holds what was durable: after a failover the server may be another, also behind a pooler."""
        try:
            ends = dict(self._connected().execute(ENDS_OF_ALL, [[*durable]]).fetchall())
        except psycopg.Error as error:
            self.close()
            raise as_ours(error, "asked") from error
        for lease in held:
            if lease.partition in ends:
                lease.check_end(ends[lease.partition], durable[lease.partition])

    def _exchange_marks(self, view: View) -> None:
        try:
            address = self.database.address.at(self.queue, 0)
            high_water.exchange(self._connected(), address, [one.number for one in view.partitions], self._marks, durable=False)
        except psycopg.Error as error:
            self.close()
            raise as_ours(error, "asked") from error

    def glance(self) -> tuple[View, dict[int, int]]:
        """Return what the database holds now, and how many publishes wait in the ingress of each partition. Nothing is kept.

        Raises:
            StoreUnavailable: the database cannot be read.
        """
        with self.database.session() as connection:
            row = connection.execute("SELECT perdure.look_at_cluster(%s, '', NULL, '{}', '{}')", [self.queue]).fetchone()
            rows = connection.execute(
                "SELECT number, count(*) FROM perdure.ingress WHERE queue = %s AND taken_by IS NULL GROUP BY number", [self.queue]
            ).fetchall()
        return _view(row), dict(rows)

    def _connected(self) -> psycopg.Connection[Any]:
        if self._connection is None:
            connection = self._connection = self.database.connect()
            row = connection.execute(
                "SELECT pg_advisory_lock_shared(%s, perdure.join_cluster(%s, %s, %s, %s))",
                [_NODE_CLASS, self.queue, self.name, self.where, self.leases.seconds],
            ).fetchone()
            if row is None:
                raise StoreUnavailable("the database answered without a row")
            connection.execute(f"LISTEN {CHANNEL}".encode())
        return self._connection

    def wait(self, seconds: float, wake: int) -> None:
        """Wait until a node comes or goes, a partition is given up, the connection ends, or `wake` can be read."""
        poll = select.poll()
        poll.register(wake, select.POLLIN)
        connection = self._connection
        try:
            if connection is not None:
                poll.register(connection.fileno(), select.POLLIN)
        except psycopg.Error:  # it has ended
            self.close()
            return
        if not any(fd != wake for fd, _ in poll.poll(max(0.0, seconds) * 1000)) or connection is None:
            return
        try:
            connection.pgconn.consume_input()
            while connection.pgconn.notifies() is not None:
                pass
        except psycopg.Error:
            self.close()

    def leave(self) -> None:
        """Notify the other nodes that this one leaves, if the database can be reached; else its lease runs out."""
        try:
            self._connected().execute("SELECT perdure.leave_cluster(%s, %s)", [self.queue, self.name])
        except (psycopg.Error, StoreUnavailable):
            self.close()

    def close(self) -> None:
        """Close the connection; `look` makes another."""
        self._marks = {}  # it may be another server by then, which has not all of them
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        self.database.close()


def _view(row: Any) -> View:
    found = {"nodes": [], "partitions": []} if row is None else row[0]
    return View(
        tuple(Node(name, address, float(left), has) for name, address, left, has in found["nodes"]),
        tuple(Held(number, id_, owner, float(left), epoch) for number, id_, owner, left, epoch in found["partitions"]),
    )


def partitions_on_record(address: PostgresAddress, queue: str) -> int:
    """Return how many partitions a queue has; 1 where no cluster ever ran on it.

    Raises:
        StoreUnavailable: the database cannot be reached, or holds no tables.
    """
    database = Database(address)
    with database.session() as connection:
        if not check_schema(connection, oldest=1):
            raise StoreUnavailable(f"{address.text} holds no tables of perdure: no System ever ran on this database")
        try:
            row = connection.execute("SELECT partitions FROM perdure.cluster WHERE queue = %s", [queue]).fetchone()
        except psycopg.errors.UndefinedTable:  # tables of version 1 know no clusters
            return 1
        except psycopg.Error as error:
            raise as_ours(error, "read") from error
    return 1 if row is None else int(row[0])


def owners_on_record(address: PostgresAddress) -> list[PartitionOwner]:
    """Return all partitions of a queue, and the owner of each.

    Raises:
        StoreUnavailable: the database cannot be reached, or holds no such queue.
    """
    session = NodeSession(address, address.name or "", "", "", Leases(0.0))
    try:
        with session.database.session() as connection:
            found = find_partition(connection, address.name, address.partition)
        if found is None:
            raise StoreUnavailable(f"{address.text} holds no log of perdure")
        session.queue = found.queue
        view, waiting = session.glance()
    except psycopg.Error as error:
        raise as_ours(error, "read") from error
    finally:
        session.close()
    where = {node.name: node.address for node in view.nodes}
    rows = []
    for one in sorted(view.partitions, key=lambda held: held.number):
        node = one.owner.rpartition(":")[0] if one.left_s > 0 else ""
        rows.append(PartitionOwner(one.number, where.get(node, node), one.epoch, waiting.get(one.number, 0)))
    return rows
