"""Snapshots of a partition: kept in parts, each laid out and chained as a frame, so that none is ever whole in memory.

When one is taken is the snapshotter's; which are kept is the store's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg

from perdure.events.errors import StoreUnavailable
from perdure.events.loggers import GuardedLogger
from perdure.store.format import frame as fr
from perdure.store.survey import SurveyedSnapshot
from perdure.store.values import Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perdure.store.postgres.connecting.database import Database
    from perdure.store.postgres.partition_reader import Partition

__all__ = ["put", "seqs", "survey", "whole"]

logger = GuardedLogger("perdure.store")

PART_BYTES = 1 << 20
"""Before compression."""
KEPT_BYTES = 4 << 20
"""A snapshot of up to this many bytes, as kept, stays in memory when it is read; a larger one is read again at each access."""

_ONE = "SELECT id, parts, size FROM perdure.snapshot WHERE partition_id = %s AND seq = %s"
_PART = "SELECT body FROM perdure.snapshot_part WHERE partition_id = %s AND snapshot_id = %s AND part = %s"
_ADD = "SELECT perdure.add_snapshot_part(%s, %s, %s, %s, %s)"
_FINISH = "SELECT perdure.finish_snapshot(%s, %s, %s, %s, %s, %s, %s)"


def seqs(database: Database, partition: int) -> list[int]:
    """Return the sequence numbers of all snapshots, oldest first."""
    with database.session() as connection:
        rows = connection.execute("SELECT seq FROM perdure.snapshot WHERE partition_id = %s ORDER BY seq", [partition])
        return [seq for (seq,) in rows]


def put(database: Database, partition: int, store_id: bytes, holder: str, snapshot: Snapshot, oldest: int) -> None:
    """Add a snapshot for its partition's owner, and remove those before `oldest`. It is there whole or not at all.

    Raises:
        OwnershipLost, StoreUnavailable: it is not there.
    """
    crc_seed, chain = fr.seed(store_id), fr.chain_after(store_id)
    parts = size = 0
    with database.session() as connection:
        ident = _next_id(connection)
        for piece in _pieces(snapshot):
            raw, chain = fr.pack(
                body=piece, count=0, first_seq=snapshot.seq, epoch=parts, unsynced=0, prev=chain, crc_seed=crc_seed
            )
            connection.execute(_ADD, [partition, holder, ident, parts, raw])
            parts, size = parts + 1, size + len(raw)
        connection.execute(_FINISH, [partition, holder, snapshot.seq, ident, parts, size, oldest])


def _next_id(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("SELECT nextval('perdure.snapshot_id')").fetchone()
    if row is None:
        raise psycopg.DatabaseError("no number for a snapshot")
    number: int = row[0]
    return number


def _pieces(snapshot: Snapshot) -> Iterator[bytes]:
    """Yield the bytes of a snapshot in pieces of one size, but for the last."""
    waiting = bytearray()
    for chunk in snapshot.chunks():
        waiting += chunk
        while len(waiting) >= PART_BYTES:
            yield bytes(waiting[:PART_BYTES])
            del waiting[:PART_BYTES]
    yield bytes(waiting)


def whole(database: Database, found: Partition, at_most: int | None) -> Iterator[Snapshot]:
    """Yield the whole snapshots up to `at_most`, newest first; damaged ones are logged and skipped."""
    for seq in reversed(seqs(database, found.id)):
        if at_most is not None and seq > at_most:
            continue
        try:
            snapshot = _read(database, found, seq)
        except fr.BadFrame as error:
            logger.warning("the snapshot at %d in %s is skipped, an older one is used: %s", seq, database.address.text, error)
        else:
            if snapshot is not None:
                yield snapshot


def survey(database: Database, found: Partition, seq: int, file: str) -> SurveyedSnapshot | None:
    """Return whether a snapshot is whole; None if it is gone."""
    with database.session() as connection:
        row = connection.execute(_ONE, [found.id, seq]).fetchone()
    if row is None:
        return None
    try:
        _read(database, found, seq)
    except fr.BadFrame as error:
        return SurveyedSnapshot(file, seq, row[2], str(error))
    return SurveyedSnapshot(file, seq, row[2])


def _read(database: Database, found: Partition, seq: int) -> Snapshot | None:
    """Return a snapshot after a check of all its bytes; None if it is gone."""
    with database.session() as connection:
        row = connection.execute(_ONE, [found.id, seq]).fetchone()
    if row is None:
        return None
    ident, parts, size = row
    if size <= KEPT_BYTES:
        return Snapshot(seq, b"".join(_parts(database, found, seq, ident, parts)))
    for _ in _parts(database, found, seq, ident, parts):
        pass

    def again() -> Iterator[bytes]:
        try:
            yield from _parts(database, found, seq, ident, parts)
        except fr.BadFrame as error:
            msg = f"the snapshot at {seq} can no longer be read: {error}"
            raise StoreUnavailable(msg) from error

    return Snapshot(seq, again)


def _parts(database: Database, found: Partition, seq: int, ident: int, parts: int) -> Iterator[bytes]:
    crc_seed, chain = fr.seed(found.store_id), fr.chain_after(found.store_id)
    for part in range(parts):
        with database.session() as connection:
            row = connection.execute(_PART, [found.id, ident, part], binary=True).fetchone()
        if row is None:
            msg = f"part {part} of {parts} is missing"
            raise fr.BadFrame(msg)
        raw: bytes = row[0]
        header = fr.parse(raw)
        stored = raw[fr.HEADER_BYTES :]
        fr.check(header, raw, stored, crc_seed)
        if (header.first_seq, header.epoch, header.prev, header.stored_len) != (seq, part, chain, len(stored)):
            msg = f"part {part} of {parts} belongs elsewhere"
            raise fr.BadFrame(msg)
        chain = fr.chain_after(raw)
        yield fr.decompress(header, stored)
