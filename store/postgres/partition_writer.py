"""The one writing thread of a partition's owner: claims it, appends, and settles an append whose answer was lost.

What else an owner does is in `postgres_store`; leases are in `ownership`.
"""

from __future__ import annotations

import os
import struct
import time
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg

from perdure.events.errors import OwnershipLost, PerdureError, StoreCorrupt, StoreUnavailable
from perdure.events.loggers import GuardedLogger
from perdure.store.format import frame as fr
from perdure.store.postgres import ownership, partition_reader
from perdure.store.postgres.database import LOST, Database, as_ours, lost
from perdure.store.postgres.ownership import Lease
from perdure.store.postgres.postgres_reader import PostgresReader
from perdure.store.postgres.session import Refused, Session
from perdure.store.values import AppendInDoubt, Recovered

if TYPE_CHECKING:
    from perdure.store.postgres.partition_reader import Row
    from perdure.store.postgres.postgres_address import PostgresAddress

__all__ = ["PartitionWriter"]

E = TypeVar("E", bound=PerdureError)

logger = GuardedLogger("perdure.store")

SETTLE_S = 5.0
"""How long an append whose answer was lost tries to find out what became of it, before it leaves that to the next opening."""
SETTLE_PAUSE_S = 0.05
TRIES = 3
_APPEND = b"SELECT perdure.append($1, $2, $3, $4, $5, $6)"
_RELEASE = b"SELECT perdure.release($1, $2, $3)"
_STATEMENTS = {b"append": _APPEND, b"renew": ownership.RENEW, b"release": _RELEASE, b"hint": ownership.HINT}
_HEAD = struct.Struct(">iqqi")
_TRUE, _FALSE = b"\x01", b"\x00"


class PartitionWriter:
    """The state of an owner. It writes nothing before `_take` has found where the log ends."""

    def __init__(self, address: PostgresAddress, *, lease_s: float) -> None:
        self.database = Database(address)
        self.reader = PostgresReader(address)
        self.lease_s = lease_s
        self.last_seq = 0
        self.synced_seq = 0
        self.epoch = 0
        self._who = ""
        """This opening's name as an owner; empty while the store is not open."""
        self._pid = 0
        self._claim: ownership.Claim | None = None
        self._session: Session | None = None
        self._lease: Lease | None = None
        self._chain = b""
        """Chain hash of the last frame."""
        self._crc_seed = 0
        self._last: Row | None = None
        """The last frame, as the last claim found it."""
        self._failed: PerdureError | None = None
        """Why nothing can be written until the log is opened again."""

    # --- taking over -----------------------------------------------------------------------------------------------------

    def _take(self, *, again: bool, void_after: int | None = None) -> Recovered:
        """Claim the partition, with a connection that no one has used, and go on where the log ends.

        Raises:
            StoreLocked, OwnershipLost, StoreCorrupt, StoreUnavailable: as `open` and `reopen`.
        """
        self._drop_session()
        known = self.synced_seq if again else 0
        connection = self.database.connect()
        try:
            session = Session(connection, _STATEMENTS)
            began_s = time.monotonic()
            claim = ownership.claim(connection, self.database.address, self._who, self.lease_s, again=again)
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
        if self._lease is None:
            self._lease = Lease(self.database, claim.id, self._who, self.lease_s, began_s)
        self._lease.renewed(began_s)
        self._claim, self._session, self.epoch = claim, session, claim.epoch
        self._crc_seed = fr.seed(claim.store_id)
        self._last = row
        self._go_on_after(row, known)
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

    def _go_on_after(self, row: Row | None, known: int) -> None:
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
        if last_seq < known:
            msg = (
                f"the log in {self.database.address.text} ends at {last_seq}, but was synced up to {known}: a standby that lagged "
                "behind was promoted, or an older copy was restored. Nothing is written any more. Go back to the newest copy."
            )
            raise StoreCorrupt(msg, self.database.address.text, -1, last_seq + 1)
        self.last_seq = self.synced_seq = last_seq  # the claim was synced, and with it all before
        self._chain = chain

    # --- writing ---------------------------------------------------------------------------------------------------------

    def append(self, body: bytes, count: int, *, expected_seq: int, durable: bool = False) -> None:
        """See `EventStore.append`. Where the connection is lost, this finds out whether the frame was written before it returns."""
        self._writable()
        if expected_seq != self.last_seq + 1:
            msg = f"a frame for sequence {expected_seq} where {self.last_seq + 1} is next: the writer is out of step with the log"
            raise ValueError(msg)
        if len(body) > fr.FRAME_BYTES_MAX or not 0 < count <= fr.COUNT_MAX:
            msg = f"a frame of {count} events and {len(body)} bytes is past the bound of {fr.COUNT_MAX} and {fr.FRAME_BYTES_MAX}"
            raise ValueError(msg)
        for _ in range(TRIES):
            raw, chain = fr.pack(
                body=body,
                count=count,
                first_seq=expected_seq,
                epoch=self.epoch,
                unsynced=self.last_seq - self.synced_seq,
                prev=self._chain,
                crc_seed=self._crc_seed,
            )
            if self._send((expected_seq, count, raw), durable=durable):
                self._chain = chain
                self.last_seq += count
                if durable:
                    self.synced_seq = self.last_seq
                return
        raise self._fail(StoreUnavailable("the database ended the connection at each append. Nothing was published."))

    def _send(self, row: Row, *, durable: bool) -> bool:
        """Append a frame's bytes; return whether they are there. If not, the connection is new, and so is the epoch."""
        session, claim = self._writable(), self._owned()
        first_seq, count, raw = row
        packed = _HEAD.pack(claim.id, self.epoch, first_seq, count)
        values = [packed[:4], packed[4:12], packed[12:20], packed[20:], raw, _TRUE if durable else _FALSE]
        try:
            session.run(b"append", values)
        except Refused as error:
            if error.state == LOST:
                raise self._fail(lost()) from error
            raise self._fail(as_ours(error.error, "written")) from error
        except psycopg.OperationalError as error:
            return self._settle(row, " ".join(str(error).split()))
        if durable and session.warnings:
            return self._settle(row, session.warnings.pop())
        return True

    def _settle(self, row: Row, why: str) -> bool:
        """Find out whether a frame is there whose append was not answered.

        The next epoch is claimed on another connection. Its lock waits until the server has done with the append, or has undone
        it, and no later one of the old epoch can pass.

        Raises:
            AppendInDoubt: the database cannot be asked.
            OwnershipLost: another owner has taken over, and the frame is not there.
            StoreUnavailable: the frame is not there, and neither is what was written before it and not synced.
        """
        logger.warning("an append was not answered, and it is found out what became of it: %s", why)
        before, chain, until_s = self.last_seq, self._chain, time.monotonic() + SETTLE_S
        while True:
            try:
                self._take(again=True)
                break
            except OwnershipLost as error:
                self._fail(error)
                if self._is_there(row):
                    return True  # the new owner has it, so this is the last word about it
                raise
            except StoreCorrupt as error:
                raise self._fail(StoreUnavailable(str(error))) from error
            except StoreUnavailable as error:
                self._failed = error
                if time.monotonic() >= until_s:
                    raise self._fail(AppendInDoubt(str(error))) from error
                time.sleep(SETTLE_PAUSE_S)
        if self._last == row:
            self._chain, self.last_seq = chain, before
            return True
        if (self.last_seq, self._chain) != (before, chain):
            raise self._fail(
                StoreUnavailable("the database lost frames that were not synced when it failed. Nothing was published.")
            )
        return False

    def _is_there(self, row: Row) -> bool:
        """Return whether exactly these bytes are in the log of another owner.

        Raises:
            AppendInDoubt: the database cannot be asked.
        """
        wanted = "SELECT body FROM perdure.frame WHERE partition_id = %s AND first_seq = %s AND count = %s"
        try:
            with self.database.session() as connection:
                found = connection.execute(wanted, [self._owned().id, row[0], row[1]], binary=True).fetchone()
        except StoreUnavailable as error:
            raise self._fail(AppendInDoubt(str(error))) from error
        return found is not None and found[0] == row[2]

    def sync(self) -> None:
        """See `EventStore.sync`. Nothing is sent where the last append was durable."""
        session = self._writable()
        if self.synced_seq < self.last_seq:
            self._renew(session)
            self.synced_seq = self.last_seq

    def seal(self) -> None:
        """See `EventStore.seal`: a frame is there whole or not at all."""
        self._writable()

    def _renew(self, session: Session) -> None:
        """Renew the lease by a commit that is synced, and with it all before."""
        lease = self._lease
        if lease is None:
            raise self._not_open()
        began_s = time.monotonic()
        try:
            if session.run(b"renew", [*lease.values, _TRUE]) != [_TRUE]:
                raise self._fail(lost())
        except Refused as error:
            raise self._fail(as_ours(error.error, "synced")) from error
        except psycopg.OperationalError as error:
            raise self._fail(as_ours(error, "synced")) from error
        if session.warnings:
            raise self._fail(_not_replicated(session))
        lease.renewed(began_s)

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
            if lease.is_lost:
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


def _not_replicated(session: Session) -> StoreUnavailable:
    return StoreUnavailable(f"the database did not wait for its synchronous standby: {session.warnings.pop()}")
