"""Marks of high water: what a process knows to be durable, what it learns, and a log that holds less. No server."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

pytest.importorskip("psycopg", reason="psycopg is not installed")

from perdure.events.errors import StoreCorrupt
from perdure.store.postgres import high_water, ownership
from perdure.store.postgres.connecting.postgres_address import PostgresAddress
from perdure.store.postgres.high_water import Mark
from perdure.store.postgres.partition_owner import PartitionOwner

LOG, ANOTHER = b"log " * 4, b"other log, later"
_numbers = count()


class Database:
    """Has marks of a queue on record, as `perdure.note_high_water` keeps them. Stands in for a connection."""

    def __init__(self, *on_record: tuple[int, Mark]) -> None:
        self.on_record = dict(on_record)
        self.written: list[Mark] = []

    def execute(self, _statement: str, values: list[Any], *, binary: bool) -> Database:
        assert binary
        for number, *mark in zip(*values[1:5], strict=True):
            new, old = Mark(*mark), self.on_record.get(number)
            self.written.append(new)
            if old is None or old.store_id != new.store_id or new.order > old.order:
                self.on_record[number] = new
        return self

    def fetchall(self) -> list[tuple[int, bytes, int, int]]:
        return [(number, mark.store_id, mark.accepted, mark.seq) for number, mark in self.on_record.items()]


@pytest.fixture
def address() -> PostgresAddress:
    """A partition of which this process knows nothing yet."""
    return PostgresAddress.parse("postgresql:///nowhere").at(f"high water {next(_numbers)}", 0)


def exchanged(database: Database, address: PostgresAddress, seen: dict[int, Mark]) -> None:
    high_water.exchange(database, address, [0], seen, durable=True)  # type: ignore[arg-type] # it is asked for no more


def opened(database: Database, address: PostgresAddress, ends_at: int) -> None:
    """Have an owner look whether a log that ends there is all of it."""
    claim = ownership.Claim(1, 2, LOG, 1, b"", closed=True, created=False)
    row = (1, ends_at, b"") if ends_at else None
    PartitionOwner(address, lease_s=1.0)._check_is_all_there(database, claim, row)  # type: ignore[arg-type] # as above


def test_a_mark_never_falls_but_with_another_log_in_the_same_place(address: PostgresAddress) -> None:
    for seq in (5, 3, 4):
        high_water.note(address.text, LOG, seq)
        assert high_water.known(address.text, LOG) == Mark(LOG, 0, 5)
    assert high_water.known(address.text, ANOTHER) is None
    high_water.note(address.text, ANOTHER, 1)
    assert high_water.known(address.text) == Mark(ANOTHER, 0, 1)
    assert high_water.known(address.text, LOG) is None


def test_an_owner_refuses_a_log_that_ends_before_what_was_durable(address: PostgresAddress) -> None:
    high_water.note(address.text, LOG, 7)
    opened(Database(), address, ends_at=7)
    for ends_at in (6, 0):
        with pytest.raises(StoreCorrupt, match=f"ends at {ends_at}, but was synced up to 7.*accept-loss"):
            opened(Database(), address, ends_at=ends_at)


def test_a_new_process_refuses_by_what_others_have_put_on_record(address: PostgresAddress) -> None:
    with pytest.raises(StoreCorrupt, match="synced up to 9"):
        opened(Database((0, Mark(LOG, 0, 9))), address, ends_at=8)


def test_a_process_that_knew_more_learns_that_the_loss_was_accepted(address: PostgresAddress) -> None:
    high_water.note(address.text, LOG, 7)
    accepted = Mark(LOG, 1_700_000_000_000, 5)
    opened(Database((0, accepted)), address, ends_at=5)
    assert high_water.known(address.text) == accepted
    high_water.learn(address.text, Mark(LOG, 0, 7))  # what another one still says that was cut off all the time
    assert high_water.known(address.text) == accepted
    high_water.note(address.text, LOG, 6)
    assert high_water.known(address.text) == Mark(LOG, accepted.accepted, 6)


def test_marks_are_written_when_they_rise_and_again_when_a_failover_has_lost_them(address: PostgresAddress) -> None:
    high_water.note(address.text, LOG, 5)
    database, seen = Database(), dict[int, Mark]()
    for seq in (5, 5, 8):
        high_water.note(address.text, LOG, seq)
        exchanged(database, address, seen)
    assert [mark.seq for mark in database.written] == [5, 8]
    standby = Database((0, Mark(LOG, 0, 5)))  # it lagged behind
    for _ in range(2):
        exchanged(standby, address, seen)
    high_water.note(address.text, LOG, 9)
    exchanged(standby, address, seen)
    assert standby.on_record[0] == Mark(LOG, 0, 9)
    lagging = Database((0, Mark(LOG, 0, 5)))
    exchanged(lagging, address, seen)  # nothing new to write, and it learns that less is on record
    exchanged(lagging, address, seen)
    assert lagging.on_record[0] == Mark(LOG, 0, 9)
