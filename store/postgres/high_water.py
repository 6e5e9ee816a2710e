"""Up to which event each partition's log is known to be durable: in this process, and on record in the database.

A database that fails over to a standby which lagged behind, or is restored, holds less. An owner that finds less refuses to go on.
The standby has lost the newest marks on record too. So each process that has seen a log writes its mark again, and a process that
has just begun refuses as well. With `accept` an operator accepts the loss.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import attrs
import psycopg

from perdure.events.errors import StoreUnavailable
from perdure.store.disk.forked_locks import lock_of
from perdure.store.postgres.connecting.database import Database, as_ours

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from perdure.store.postgres.connecting.postgres_address import PostgresAddress

__all__ = ["Accepted", "Mark", "accept", "exchange", "forget", "known", "learn", "note"]


@attrs.frozen
class Mark:
    """All events of a log up to `seq` are durable, as was known after `accepted`."""

    store_id: bytes
    accepted: int
    """When an operator last accepted that the log holds less; 0: never."""
    seq: int

    @property
    def order(self) -> tuple[int, int]:
        """Of two marks of a log, the later one wins."""
        return self.accepted, self.seq


@attrs.frozen
class Accepted:
    """What came of `accept` for one partition."""

    number: int
    ends_at: int
    """Where its log ends."""
    known: int
    """Up to where it was known to be durable."""

    @property
    def lost(self) -> int:
        """How many events are given up."""
        return max(0, self.known - self.ends_at)


_marks: dict[str, Mark] = {}
_lock = lock_of(sys.modules[__name__], "_lock")


def note(address: str, store_id: bytes, seq: int) -> None:
    """Note that all events up to `seq` of the log with this id are durable. In any thread."""
    with _lock:
        mark = _marks.get(address)
        if mark is None or mark.store_id != store_id:
            _marks[address] = Mark(store_id, 0, seq)
        elif seq > mark.seq:
            _marks[address] = Mark(store_id, mark.accepted, seq)


def learn(address: str, mark: Mark) -> None:
    """Note what is on record of a log, unless this process knows better. In any thread."""
    with _lock:
        own = _marks.get(address)
        if own is None or own.store_id != mark.store_id or own.order < mark.order:
            _marks[address] = mark


def known(address: str, store_id: bytes | None = None) -> Mark | None:
    """Return the mark of a log, with this id; None where nothing is known of it. In any thread."""
    mark = _marks.get(address)
    return mark if mark is not None and store_id in (None, mark.store_id) else None


def forget(address: str) -> None:
    """Forget a log, as if this process were new. In any thread."""
    with _lock:
        _marks.pop(address, None)


def exchange(
    connection: psycopg.Connection[Any], address: PostgresAddress, numbers: Collection[int], seen: dict[int, Mark], *, durable: bool
) -> None:
    """Record the marks that this process knows of a queue's partitions and has not seen on record, and learn those on record.

    Args:
        connection: to the database.
        address: the database.
        numbers: the partitions.
        seen: by partition, what was on record last; brought up to date.
        durable: wait until it is.

    Raises:
        psycopg.Error: the database refuses, or cannot be reached.
    """
    texts = {number: address.at(str(address.name), number).text for number in numbers}
    new: list[tuple[int, Mark]] = []
    for number, text in texts.items():
        mark, old = known(text), seen.get(number)
        if mark is not None and (old is None or old.store_id != mark.store_id or mark.order > old.order):
            new.append((number, mark))
    for number, mark in _written(connection, str(address.name), new, durable=durable):
        seen[number] = mark
        if number in texts:
            learn(texts[number], mark)


def _written(
    connection: psycopg.Connection[Any], queue: str, new: Sequence[tuple[int, Mark]], *, durable: bool
) -> list[tuple[int, Mark]]:
    columns = [
        [number for number, _ in new],
        [mark.store_id for _, mark in new],
        [mark.accepted for _, mark in new],
        [mark.seq for _, mark in new],
    ]
    rows = connection.execute(
        "SELECT * FROM perdure.note_high_water(%s, %s::integer[], %b::bytea[], %s::bigint[], %s::bigint[], %s)",
        [queue, *columns, durable],
        binary=True,
    ).fetchall()
    return [(number, Mark(bytes(store_id), accepted, seq)) for number, store_id, accepted, seq in rows]


def accept(address: PostgresAddress, numbers: Collection[int]) -> list[Accepted]:
    """Accept the logs of these partitions as they end, and go on from there; return what is given up, for each.

    Processes that run learn of it with their next look, or when they open the log.

    Raises:
        StoreUnavailable: the database cannot be reached, or refuses; or a partition is not there.
    """
    found: list[Accepted] = []
    database = Database(address)
    try:
        with database.session() as connection:
            for number in numbers:
                row = connection.execute("SELECT * FROM perdure.accept_loss(%s, %s)", [address.name, number]).fetchone()
                if row is None or row[0] is None:
                    raise StoreUnavailable(f"{address.at(str(address.name), number).text} holds no log")
                found.append(Accepted(number, row[0], row[1]))
    except psycopg.Error as error:
        raise as_ours(error, "asked") from error
    finally:
        database.close()
    return found
