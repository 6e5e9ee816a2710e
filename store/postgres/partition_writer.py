"""The one writing thread of a partition's owner: it appends, syncs, and settles an append whose answer was lost.

How an owner takes over is in `partition_owner`, what else it does in `postgres_store`.
"""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING

import psycopg

from perdure.events.errors import OwnershipLost, StoreCorrupt, StoreUnavailable
from perdure.events.loggers import GuardedLogger
from perdure.store.format import frame as fr
from perdure.store.postgres.connecting.database import LOST, ROWS_GONE, as_ours, lost
from perdure.store.postgres.connecting.session import Refused
from perdure.store.postgres.partition_owner import FALSE, TRUE, PartitionOwner
from perdure.store.values import AppendInDoubt, RowsGone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perdure.store.postgres.partition_reader import Row

__all__ = ["PartitionWriter"]

logger = GuardedLogger("perdure.store")

SETTLE_S = 5.0
"""How long an append whose answer was lost tries to find out what became of it, before it leaves that to the next opening."""
SETTLE_PAUSE_S = 0.05
TRIES = 3
_HEAD = struct.Struct(">iqqi")
_ARRAY, _ITEM = struct.Struct(">iiIii"), struct.Struct(">iq")
_BIGINT = 20
"""The type's number in PostgreSQL."""


class PartitionWriter(PartitionOwner):
    """An owner that appends. It writes nothing before it has taken over."""

    def append(self, body: bytes, count: int, *, expected_seq: int, durable: bool = False, taken: Sequence[int] = ()) -> None:
        """See `EventStore.append`. Where the connection is lost, this finds out whether the frame was written before it returns."""
        self._writable()
        if expected_seq != self.last_seq + 1:
            msg = f"a frame for sequence {expected_seq} where {self.last_seq + 1} is next: the writer is out of step with the log"
            raise ValueError(msg)
        if len(body) > fr.FRAME_BYTES_MAX or not 0 < count <= fr.COUNT_MAX:
            msg = f"a frame of {count} events and {len(body)} bytes is past the bound of {fr.COUNT_MAX} and {fr.FRAME_BYTES_MAX}"
            raise ValueError(msg)
        durable = durable or bool(taken)  # rows that were taken in are removed for good by the next append that takes any in
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
            if self._send((expected_seq, count, raw), durable=durable, taken=taken):
                self._chain = chain
                self.last_seq += count
                if durable:
                    self.synced_seq = self.last_seq
                return
        raise self._fail(StoreUnavailable("the database ended the connection at each append. Nothing was published."))

    def _send(self, row: Row, *, durable: bool, taken: Sequence[int]) -> bool:
        """Append a frame's bytes; return whether they are there. If not, the connection is new, and so is the epoch.

        Raises:
            RowsGone: they are not there, since rows to be taken in are gone.
            Others as `append`.
        """
        session, claim = self._writable(), self._owned()
        first_seq, count, raw = row
        packed = _HEAD.pack(claim.id, self.epoch, first_seq, count)
        values = [packed[:4], packed[4:12], packed[12:20], packed[20:], raw, TRUE if durable else FALSE]
        try:
            if taken:
                session.run(b"append_taking", [*values[:-1], _packed(taken)])
            else:
                session.run(b"append", values)
        except Refused as error:
            if error.state == LOST:
                raise self._fail(lost()) from error
            if error.state == ROWS_GONE:
                raise RowsGone(f"rows of the ingress to be taken in are not there any more: {error}") from error
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


def _packed(numbers: Sequence[int]) -> bytes:
    """Return an array of bigint in PostgreSQL's binary format."""
    return _ARRAY.pack(1, 0, _BIGINT, len(numbers), 1) + b"".join([_ITEM.pack(8, number) for number in numbers])
