"""`subject=`: the person or thing that a message is about. It stays on record with the message, and is searched for."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any, NamedTuple

import attrs
import msgspec
import pytest

import perdure
from perdure.actors.sessions.crossing import OBJECTS
from perdure.chaos import SimulatedSystem
from perdure.events import vocabulary as ev
from perdure.events.codec import wire
from perdure.events.commands import Draft
from perdure.outbox.dialect import TABLE
from perdure.outbox.draft_rows import read_draft, written_draft

if TYPE_CHECKING:
    from pathlib import Path


@attrs.frozen
class Visit:
    number: int


@attrs.frozen
class Bill:
    number: int


class DraftBefore(NamedTuple):
    """A draft of the version before subjects."""

    id: str
    type: str
    payload: bytes
    key: str | None = None
    dedup: str | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    headers: dict[str, str] | None = None
    priority: int = 0
    due_us: int = 0
    expires_us: int = 0
    group: str | None = None
    extras: ev.Extras | None = None


def test_it_reaches_the_handler_and_not_what_that_publishes() -> None:
    with SimulatedSystem() as system:
        seen: list[str | None] = []

        @system.handler(Visit)
        def visit(message: Visit, ctx: perdure.Context) -> None:
            seen.append(ctx.subject)
            ctx.publish(Bill(message.number))
            ctx.publish(Bill(message.number), subject="the child's own")

        system.publish(Visit(1), subject="ann")
        system.publish(Visit(2))
        system.publish_many([Visit(3), Visit(4)], subject="eve")
        system.run_until_idle()
        assert seen == ["ann", None, "eve", "eve"]
        bills = []
        while (bill := system.checkout(Bill)) is not None:
            bills.append(bill.subject)
            bill.ack()
        assert bills == [None, "the child's own"] * 4


def test_a_handler_in_a_process_and_a_batch_see_it(folder: Path) -> None:
    system = perdure.System(folder)

    @system.handler(Visit, isolation="process")
    def visit(_: Visit, ctx: perdure.Context) -> str | None:
        return ctx.subject

    seen: list[str | None] = []

    @system.batch_handler(Bill)
    def pay(batch: perdure.Batch[Bill]) -> None:
        seen.extend(item.subject for item in batch)

    with system:
        assert system.call(Visit(1), subject="ann", timeout=60) == "ann"
        system.publish(Bill(1), subject="bob")
        system.drain(timeout=60)
    assert seen == ["bob"]


def test_it_outlasts_a_restart_a_snapshot_and_a_replay(folder: Path) -> None:
    with perdure.System(folder) as system:
        dead = system.publish(Visit(1), subject="ann", key="k")
        delivery = system.checkout(Visit)
        assert delivery is not None
        assert delivery.subject == "ann"
        delivery.reject("no")
        late = system.publish(Visit(2), subject="ann", delay=3600.0)
        system.publish(Visit(3), subject="bob")
        system.admin.snapshot()
    for _ in range(2):  # from the snapshot, then from that of the stop
        with perdure.System(folder) as system:
            assert system.state(late).subject == "ann"
            assert system.dead_letters.get(dead).subject == "ann"
            assert [letter.id for letter in system.dead_letters.list(where="subject=ann")] == [dead]
            assert {found.id for found in system.audit.search("subject=ann")} == {dead, late}
            assert system.admin.count_where("subject=bob").count == 1
    with perdure.System(folder) as system:
        system.dead_letters.replay(dead)
        delivery = system.checkout(Visit)
        assert delivery is not None
        assert delivery.subject == "ann"


def test_it_goes_through_a_client_and_an_outbox(folder: Path, tmp_path: Path) -> None:
    database = tmp_path / "shop.db"
    with perdure.System(folder, shared=True) as system, sqlite3.connect(database) as connection:
        with perdure.connect(folder) as client:
            client.publish(Visit(1), subject="ann")
            delivery = client.checkout(Visit)
            assert delivery is not None
            assert delivery.subject == "ann"
            delivery.ack()
        outbox = perdure.Outbox(connection)
        outbox.create_table()
        outbox.publish(Visit(2), subject="bob")
        outbox.publish(Visit(3))
        connection.commit()
        assert perdure.OutboxRelay(system, lambda: sqlite3.connect(database)).relay_once() == 2
        subjects = [each.subject for _ in range(2) if (each := system.checkout(Visit)) is not None]
        assert subjects == ["bob", None]


@pytest.mark.parametrize("wrong", ["", 5, b"ann", "x" * 513, ["ann"], "\ud800"])
def test_one_that_cannot_be_kept_is_refused(wrong: Any) -> None:
    with SimulatedSystem() as system:
        with pytest.raises(perdure.InvalidMessage, match="subject"):
            system.publish(Visit(1), subject=wrong)
        assert system.admin.metrics().published == 0


def test_without_one_all_is_written_as_before_it_came() -> None:
    """Older versions read logs, spools, rows of the ingress and of an outbox in which no message has a subject."""
    message, draft = ev.Published(1, "m1", "t", b"p", key="k", dedup="replace"), Draft("m1", "t", b"p", "k", "replace")
    for letter in (ev.DeadLettered(1, message, "r", 1, "E", "m", ""), ev.Replayed(1, message, 0)):
        [[_, [[_, _, _, _, [published], *_]]]] = msgspec.msgpack.decode(wire.encode([(1, [letter])]))
        assert len(published) == 14
    [[_, [[_, _, _, *columns]]]] = msgspec.msgpack.decode(wire.encode([(1, [message])]))
    assert len(columns) <= 14
    assert len(msgspec.msgpack.decode(written_draft(draft))) == 13
    for thing, fields in ((draft, 13), (message, 14)):
        packed = msgspec.msgpack.decode(OBJECTS.packed(thing))
        assert len(msgspec.msgpack.decode(packed.data)) == fields
        assert OBJECTS.object(OBJECTS.packed(thing)) == thing


def test_a_draft_with_one_is_read_as_it_was_written() -> None:
    for more in ({}, {"extras": ev.Extras(result_us=5)}, {"subject": "ann"}, {"subject": "ann", "extras": ev.Extras(version=2)}):
        draft = Draft("m1", "t", b"p", headers={"a": "b"}, **more)
        assert read_draft(written_draft(draft)) == draft
        assert read_draft(msgspec.msgpack.encode(draft)) == draft, "as it was written before a null followed the subject"


@pytest.mark.parametrize("subject", ["7", "ab", "ann", "anne", "cust-12345"])
def test_a_relay_of_the_version_before_subjects_refuses_a_row_with_one(subject: str) -> None:
    """It took the last field of a row for `extras`; a short subject fitted, and its letters killed the queue."""

    def read_by_it(body: bytes) -> Any:
        fields = msgspec.msgpack.decode(body)
        draft = DraftBefore(*fields[:-1])
        return draft if fields[-1] is None else draft._replace(extras=ev.Extras(*fields[-1]))

    assert read_by_it(written_draft(Draft("m1", "t", b"p"))) == DraftBefore("m1", "t", b"p")
    with pytest.raises(TypeError, match="14"):  # which that relay tells of, and leaves the row
        read_by_it(written_draft(Draft("m1", "t", b"p", subject=subject)))


def test_a_row_of_the_outbox_that_is_due_beyond_the_year_9999_can_be_looked_at(tmp_path: Path) -> None:
    """No option makes one; another program that writes the table can. `state` and `explain` raised OverflowError."""
    database = tmp_path / "shop.db"
    with perdure.System(store=perdure.MemoryStore()) as system, sqlite3.connect(database) as connection:
        perdure.Outbox(connection).create_table()
        row = written_draft(Draft("late", "t", b"p", due_us=1 << 62, expires_us=(1 << 63) - 1))
        connection.execute(f"INSERT INTO {TABLE} (id, draft) VALUES ('late', ?)", (row,))
        connection.commit()
        assert perdure.OutboxRelay(system, lambda: sqlite3.connect(database)).relay_once() == 1
        state = system.state("late")
        assert state.due is not None
        assert state.expires is not None
        assert (state.status, state.due.year, state.expires.year) == ("delayed", 9999, 9999)
        assert "9999" in system.audit.explain("late")
        assert system.cancel("late")


@pytest.mark.parametrize(
    "row",
    [
        [1, 2, 3],
        ["m1", "t", 3, None],
        ["m1", "t", "text"],
        ["m1", "t"],
        {"id": "m1"},
        ["m1", "t", b"p", 5],
        ["m1", "t", b"p", *[None] * 4, {"a": 1}],
        ["m1", "t", b"p", *[None] * 5, 0, 0, 0, None, [1, "long"]],
        ["m1", "t", b"p", *[None] * 5, 0, 0, 0, None, None, None, "a field of tomorrow"],
    ],
)
def test_a_row_of_the_outbox_that_is_no_draft_is_left_there_and_stops_nothing(row: Any, tmp_path: Path) -> None:
    """A row whose payload was a number killed the queue each time, and with its budget the system."""
    database = tmp_path / "shop.db"
    with perdure.System(store=perdure.MemoryStore()) as system, sqlite3.connect(database) as connection:
        outbox = perdure.Outbox(connection)
        outbox.create_table()
        connection.execute(f"INSERT INTO {TABLE} (id, draft) VALUES ('m1', ?)", (msgspec.msgpack.encode(row),))
        outbox.publish(Visit(1))
        connection.commit()
        relay = perdure.OutboxRelay(system, lambda: sqlite3.connect(database))
        with pytest.raises(perdure.InvalidMessage, match="row 1 of"):
            relay.relay_once()
        assert relay.published == 1
        assert system.checkout(Visit) is not None
        assert connection.execute(f"SELECT id FROM {TABLE}").fetchall() == [("m1",)]
        assert "actor_deaths" not in system.admin.metrics().runtime_counters
