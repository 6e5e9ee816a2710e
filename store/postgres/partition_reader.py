"""Reading of one partition's frames, in pages of bounded size, with a check of every frame. For `postgres_reader`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from perdure.events.errors import HistoryDropped, StoreCorrupt, StoreUnavailable
from perdure.store.format import frame as fr
from perdure.store.values import Frame

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from perdure.store.postgres.connecting.database import Database

__all__ = ["Partition", "Row", "find_partition", "frames", "last_row", "pages", "unpacked", "whole_frames"]

PAGE_ROWS = 500
PAGE_BYTES = 8 << 20
"""A page has at least one frame, whatever its size."""

_FIND = "SELECT id, store_id, first_seq, begins_after, epoch, queue, number FROM perdure.partition"
_START = (
    "SELECT first_seq FROM perdure.frame WHERE partition_id = %s AND first_seq <= %s AND count > 0 ORDER BY first_seq DESC LIMIT 1"
)
_PAGE = f"""
SELECT first_seq, count, body FROM (
    SELECT first_seq, count, body, sum(octet_length(body)) OVER (ORDER BY first_seq, count) - octet_length(body) AS before
    FROM (SELECT first_seq, count, body FROM perdure.frame
          WHERE partition_id = %s AND (first_seq, count) > (%s, %s) ORDER BY first_seq, count LIMIT {PAGE_ROWS}) AS page
) AS sized WHERE before < {PAGE_BYTES} ORDER BY first_seq, count
"""  # noqa: S608 - two numbers of this module
_LAST = "SELECT first_seq, count, body FROM perdure.frame WHERE partition_id = %s ORDER BY first_seq DESC, count DESC LIMIT 1"

Row = tuple[int, int, bytes]
"""First sequence number, number of events, bytes."""


@attrs.frozen
class Partition:
    """A partition's row."""

    id: int
    store_id: bytes
    first_seq: int
    begins_after: bytes
    epoch: int
    queue: str
    number: int


def find_partition(connection: psycopg.Connection[Any], name: str | None, number: int | None) -> Partition | None:
    """Return a partition; without a name or number the only one there is; None where there is none, or more than one.

    Raises:
        psycopg.Error: the database cannot be read.
    """
    rows = connection.execute(
        f"{_FIND} WHERE queue = coalesce(%s::text, queue) AND number = coalesce(%s::int, number) LIMIT 2",
        [name, number],
        binary=True,
    ).fetchall()
    return Partition(*rows[0]) if len(rows) == 1 else None


def last_row(connection: psycopg.Connection[Any], partition: int) -> Row | None:
    """Return the last frame; None for none."""
    row: Row | None = connection.execute(_LAST, [partition], binary=True).fetchone()
    return row


def pages(database: Database, partition: int, first_seq: int) -> Iterator[list[Row]]:
    """Yield all rows from one with a first sequence number on, in order. A connection is used for the time of a page only.

    Raises:
        StoreUnavailable: the database cannot be read.
    """
    after = (first_seq, -1)
    while True:
        with database.session() as connection:
            rows = connection.execute(_PAGE, [partition, *after], binary=True).fetchall()
        if not rows:
            return
        yield rows
        after = rows[-1][:2]


def unpacked(row: Row, crc_seed: int) -> tuple[fr.Header, Frame]:
    """Return a row's header and frame, once everything about it is checked but what it continues.

    Raises:
        BadFrame: it is damaged.
    """
    first_seq, count, raw = row
    header = fr.parse(raw)
    stored = raw[fr.HEADER_BYTES :]
    fr.check(header, raw, stored, crc_seed)
    if len(stored) != header.stored_len or (header.first_seq, header.count) != (first_seq, count):
        msg = f"it says that it holds {header.count} events from {header.first_seq}"
        raise fr.BadFrame(msg)
    return header, Frame(first_seq, count, fr.decompress(header, stored))


def frames(database: Database, found: Partition, after: int, until: int | None) -> Iterator[Frame]:
    """Yield frames; see `LogReader.frames`."""
    for _, _, frame, _ in whole_frames(database, found, after, until):
        if frame.count and frame.last_seq > after:
            yield frame


def whole_frames(
    database: Database, found: Partition, after: int, until: int | None = None
) -> Iterator[tuple[bytes, fr.Header, Frame, bytes]]:
    """Yield each frame from the one that holds the event after `after` on: the chain hash before it, its header, itself, its bytes.

    Raises:
        As `LogReader.frames`.
    """
    crc_seed = fr.seed(found.store_id)
    start = max(after + 1, found.first_seq)
    with database.session() as connection:
        row = connection.execute(_START, [found.id, start]).fetchone()
    expected, chain = (found.first_seq if row is None else max(row[0], found.first_seq)), b""
    for page in pages(database, found.id, expected):
        for item in page:
            if until is not None and item[0] > until:
                return
            try:
                header, frame = unpacked(item, crc_seed)
            except fr.BadFrame as error:
                raise _damaged(database, found, expected, str(error)) from error
            if item[0] != expected or (chain and header.prev != chain):
                raise _not_next(database, found, expected, item[0])
            expected, chain = header.last_seq + 1, fr.chain_after(item[2])
            yield header.prev, header, frame, item[2]


def _damaged(database: Database, found: Partition, seq: int, problem: str) -> StoreCorrupt:
    where = database.address.at(found.queue, found.number).text
    return StoreCorrupt(
        f"the frame at sequence {seq} in {where} is damaged: {problem}. Nothing was changed. `perdure verify` lists all damage; "
        "restore the database from a backup, or read what is whole with perdure.Audit.",
        where,
        -1,
        seq,
    )


def _not_next(database: Database, found: Partition, expected: int, seq: int) -> StoreCorrupt | StoreUnavailable:
    """Make the error for a frame that does not continue the one before: its owner may have dropped or taken back what was there."""
    with database.session() as connection:
        now = find_partition(connection, found.queue, found.number)
    if now is not None and now.first_seq > expected:
        return HistoryDropped(f"history before {now.first_seq} was dropped while it was read. Read again from what is there now.")
    if now is None or now.epoch != found.epoch:
        return StoreUnavailable(f"the log was cut back before {expected} while it was read. Read it again.")
    return _damaged(database, found, expected, f"the log goes on at {seq}, or does not continue what is before")
