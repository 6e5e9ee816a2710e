"""The owner of a partition, before it writes: how it takes over, finds where the log ends, and knows that it may write.

Appends are in `partition_writer`, leases in `ownership`.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import psycopg

from perdure.events.errors import PerdureError, StoreCorrupt, StoreUnavailable
from perdure.store.format import frame as fr
from perdure.store.postgres import high_water, ownership, partition_reader
from perdure.store.postgres.connecting.database import Database, as_ours, lost
from perdure.store.postgres.connecting.session import Refused, Session
from perdure.store.postgres.ownership import HeldLease, Lease
from perdure.store.postgres.postgres_reader import PostgresReader
from perdure.store.values import Recovered

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.events.errors import OwnershipLost
    from perdure.store.postgres.connecting.postgres_address import PostgresAddress
    from perdure.store.postgres.partition_reader import Row

    Keep: TypeAlias = Callable[[int, str, float, Callable[[OwnershipLost], None]], HeldLease]

__all__ = ["FALSE", "TRUE", "PartitionOwner", "another_log"]

E = TypeVar("E", bound=PerdureError)

_APPEND = b"SELECT perdure.append($1, $2, $3, $4, $5, $6)"
_RELEASE = b"SELECT perdure.release($1, $2, $3)"
_APPEND_TAKING = b"SELECT perdure.append_taking($1, $2, $3, $4, $5, $6)"
_STATEMENTS = {
    b"append": _APPEND,
    b"append_taking": _APPEND_TAKING,
    b"renew": ownership.RENEW,
    b"release": _RELEASE,
    b"hint": ownership.HINT,
}
TRUE, FALSE = b"\x01", b"\x00"
"""In PostgreSQL's binary format."""


class PartitionOwner:
    """The state of an owner. It writes nothing before `_take` has found where the log ends."""

    def __init__(self, address: PostgresAddress, *, lease_s: float) -> None:
        self.database = Database(address)
        self.reader = PostgresReader(address)
        self.lease_s = lease_s
        self.last_seq = 0
        self.synced_seq = 0
        self.epoch = 0
        self._owner_name = ""
        """This opening's name as an owner; empty while the store is not open."""
        self._pid = 0
        self._claim: ownership.Claim | None = None
        self._session: Session | None = None
        self._lease: HeldLease | None = None
        self.kept_by: Keep | None = None
        """What keeps the lease, where one thread does so for many partitions; None: a thread of this one."""
        self.instead_of = ""
        """An owner that is known to have died: its lease is not waited for."""
        self.known_logs: dict[int, bytes] = {}
        """By number of a partition: the id of the log that was opened there. No other is taken. Stores of a cluster share it."""
        self._chain = b""
        """Chain hash of the last frame."""
        self._crc_seed = 0
        self._last: Row | None = None
        """The last frame, as the last claim found it."""
        self._on_lost: Callable[[OwnershipLost], None] | None = None
        self._failed: PerdureError | None = None
        """Why nothing can be written until the log is opened again."""

    def watch_ownership(self, lost: Callable[[OwnershipLost], None]) -> None:
        """See `EventStore.watch_ownership`."""
        self._on_lost = lost
        lease = self._lease
        if lease is not None and lease.lost is not None:  # while the log was read
            lost(lease.lost)

    @property
    def has_passed(self) -> bool:
        """Whether another owner may have taken over by now, as far as this process knows."""
        lease = self._lease
        return lease is not None and lease.has_passed

    def _kept(self, partition: int, holder: str, began_s: float, on_lost: Callable[[OwnershipLost], None]) -> HeldLease:
        if self.kept_by is not None:
            return self.kept_by(partition, holder, began_s, on_lost)
        return Lease(self.database, partition, holder, self.lease_s, began_s, on_lost)

    def _tell_lost(self, why: OwnershipLost) -> None:
        if self._on_lost is not None:
            self._on_lost(why)

    def _give_back(self, session: Session, partition: int) -> None:
        """Give up a partition that was claimed and has no lease; otherwise it is this process's until the lease passes."""
        with contextlib.suppress(Refused, psycopg.Error, PerdureError):
            session.run(b"release", [*ownership.named(partition, self._owner_name), b"\x00"])
        session.drop()

    # --- taking over -----------------------------------------------------------------------------------------------------

    def _take(self, *, again: bool, void_after: int | None = None) -> Recovered:
        """Claim the partition, with a new connection, and go on where the log ends.

        Raises:
            StoreLocked, OwnershipLost, StoreCorrupt, StoreUnavailable: as `open` and `reopen`.
        """
        self._drop_session()
        if again:
            self.note_high_water()
        connection = self.database.connect()
        try:
            session = Session(connection, _STATEMENTS)
            began_s = time.monotonic()
            claim = ownership.claim(
                connection,
                self.database.address,
                self._owner_name,
                self.lease_s,
                again=again,
                instead_of="" if again else self.instead_of,
            )
            session.run(b"hint", ownership.hint_of(claim.id))
            frames, size = self._void(connection, claim, void_after)
            row = partition_reader.last_row(connection, claim.id)
        except BaseException as error:
            connection.close()
            if isinstance(error, psycopg.Error):
                raise as_ours(error, "opened") from error
            raise
        if session.warnings:
            session.drop()
            raise _not_replicated(session)
        if self.known_logs.setdefault(self.database.address.partition or 0, claim.store_id) != claim.store_id:
            self._give_back(session, claim.id)
            raise another_log(self.database.address.text)
        if self._lease is None:
            try:
                self._lease = self._kept(claim.id, self._owner_name, began_s, self._tell_lost)
            except BaseException:  # no thread can be had
                self._give_back(session, claim.id)
                raise
            self._lease.durable_seq = lambda: self.synced_seq
        self._lease.renewed(began_s)
        self._claim, self._session, self.epoch = claim, session, claim.epoch
        self._crc_seed = fr.seed(claim.store_id)
        self._last = row
        self._check_is_all_there(connection, claim, row)
        self._go_on_after(row)
        self._failed = None
        return Recovered(
            self.last_seq,
            claim.epoch,
            1,
            created=claim.created,
            clean=claim.closed or claim.created,
            cut_bytes=size,
            cut_from_seq=self.last_seq + 1 if frames else None,
        )

    @staticmethod
    def _void(connection: psycopg.Connection[Any], claim: ownership.Claim, after: int | None) -> tuple[int, int]:
        """Remove what came after a sequence number, and snapshots that are ahead of the log; return how many frames and bytes."""
        if after is None:
            row = partition_reader.last_row(connection, claim.id)
            after = claim.first_seq - 1 if row is None else row[0] + row[1] - 1
        gone = connection.execute("SELECT * FROM perdure.void(%s, %s, %s)", [claim.id, claim.epoch, after]).fetchone()
        return (0, 0) if gone is None else (int(gone[0]), int(gone[1]))

    def note_high_water(self) -> None:
        """Remember in this process up to where the log is durable. In any thread."""
        claim = self._claim
        if claim is not None:
            high_water.note(self.database.address.text, claim.store_id, self.synced_seq)

    def _check_is_all_there(self, connection: psycopg.Connection[Any], claim: ownership.Claim, row: Row | None) -> None:
        """Check that the log ends no earlier than it was known to be durable, to this process or to others that wrote it down.

        Raises:
            StoreCorrupt: it does. What was known is on record from now on, so others refuse as well.
            StoreUnavailable: the database cannot be asked.
        """
        address = self.database.address
        ends_at = claim.first_seq - 1 if row is None else row[0] + row[1] - 1
        number = address.partition or 0
        try:
            high_water.exchange(connection, address, [number], {}, durable=True)
        except psycopg.Error as error:
            raise as_ours(error, "opened") from error
        mark = high_water.known(address.text, claim.store_id)
        if mark is not None and ends_at < mark.seq:
            raise StoreCorrupt(
                f"the log in {address.text} ends at {ends_at}, but was synced up to {mark.seq}: a standby that lagged behind was "
                "promoted, or an older copy was restored. Nothing is written any more. Go back to the newest copy; where there is "
                f"none, `perdure accept-loss '{address.text}'` lets the log go on from where it ends.",
                address.text,
                -1,
                ends_at + 1,
            )

    def _go_on_after(self, row: Row | None) -> None:
        claim = self._owned()
        if row is None:
            last_seq, chain = claim.first_seq - 1, claim.begins_after
        else:
            try:
                header, _ = partition_reader.unpacked(row, self._crc_seed)
            except fr.BadFrame as error:
                where = self.database.address.text
                msg = f"the last frame in {where} is damaged: {error}. Restore the database from a backup."
                raise StoreCorrupt(msg, where, -1, row[0]) from error
            last_seq, chain = header.last_seq, fr.chain_after(row[2])
        self.last_seq = self.synced_seq = last_seq  # the claim was synced, and with it all before
        self._chain = chain

    # --- what may be done ------------------------------------------------------------------------------------------------

    def _writable(self) -> Session:
        """Return the connection for writing.

        Raises:
            OwnershipLost: another owner has taken over.
            StoreUnavailable: an earlier write failed, or this process does not own the partition.
        """
        if self._failed is not None:
            raise self._failed
        session, lease = self._session, self._lease
        if session is None or lease is None or self._pid != os.getpid():
            raise self._not_open()
        if lease.has_passed:
            if lease.lost is not None:
                raise self._fail(lost())
            self._renew(session)
        return session

    def _owned(self) -> ownership.Claim:
        if self._claim is None:
            raise self._not_open()
        return self._claim

    def _not_open(self) -> StoreUnavailable:
        return StoreUnavailable(f"the store in {self.database.address.text} is not open in this process; call open() here first")

    def _fail(self, error: E) -> E:
        """Return the error, and refuse all writes from now on: only a new opening shows what is there."""
        self._failed = error
        return error

    def _drop_session(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.drop()

    def _renew(self, session: Session) -> None:
        """Renew the lease by a commit that is synced, and with it all before."""
        lease = self._lease
        if lease is None:
            raise self._not_open()
        began_s = time.monotonic()
        try:
            if session.run(b"renew", [*lease.values, TRUE]) != [TRUE]:
                raise self._fail(lost())
        except Refused as error:
            raise self._fail(as_ours(error.error, "synced")) from error
        except psycopg.OperationalError as error:
            raise self._fail(as_ours(error, "synced")) from error
        if session.warnings:
            raise self._fail(_not_replicated(session))
        lease.renewed(began_s)


def another_log(where: str) -> StoreUnavailable:
    """Return the error for a log that was opened here before, and is not there any more."""
    return StoreUnavailable(
        f"the log that this process has opened in {where} is not there any more: its tables were dropped or renamed, or another "
        "database answers. Nothing is written. Bring it back; or, to begin a new log, start this process again."
    )


def _not_replicated(session: Session) -> StoreUnavailable:
    return StoreUnavailable(f"the database did not wait for its synchronous standby: {session.warnings.pop()}")
