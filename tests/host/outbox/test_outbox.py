"""The outbox: published exactly if the host's transaction commits, and once, whatever dies between publishing and deleting."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure
from perdure.outbox.sql_outbox import BATCH
from tests.host.outbox.outbox_file import new_outbox, rows

if TYPE_CHECKING:
    from pathlib import Path

    from tests.host.conftest import Collected, Until


@attrs.frozen
class Shipped:
    order: str


@attrs.frozen
class Returned:
    order: str


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return new_outbox(tmp_path)


def test_published_exactly_if_committed(folder: Path, database: Path, collected: Collected, until: Until) -> None:
    system = perdure.System(folder)
    system.handler(Shipped)(lambda message, ctx: collected.add((message.order, ctx.id, ctx.headers.get("from"))))
    with system, perdure.OutboxRelay(system, lambda: sqlite3.connect(database), every_s=60.0) as relay:
        with sqlite3.connect(database) as connection:
            kept = perdure.Outbox(connection).publish(Shipped("A"), headers={"from": "shop"})
        connection = sqlite3.connect(database)
        perdure.Outbox(connection).publish(Shipped("B"))
        connection.rollback()
        relay.notify()
        assert collected.wait_for(1) == [("A", kept, "shop")]
        until(lambda: rows(database) == 0)
        system.drain(timeout=10.0)
        assert system.admin.metrics().published == relay.published == 1


def test_relay_that_dies_before_it_deletes_doubles_nothing(folder: Path, database: Path) -> None:
    class Dying(sqlite3.Connection):
        def commit(self) -> None:
            message = "killed"
            raise KeyboardInterrupt(message)

    with sqlite3.connect(database) as connection:
        outbox = perdure.Outbox(connection)
        for n in range(5):
            outbox.publish(Shipped(str(n)), key="k", dedup="append")
    with perdure.System(folder) as system:
        dying = perdure.OutboxRelay(system, lambda: sqlite3.connect(database, factory=Dying))
        with pytest.raises(KeyboardInterrupt):
            dying.relay_once()
        assert rows(database) == 5
        assert system.admin.metrics().published == 5
    with perdure.System(folder) as system:
        assert perdure.OutboxRelay(system, lambda: sqlite3.connect(database)).relay_once() == 5
        assert system.admin.metrics().published == 5
        assert rows(database) == 0


def test_policy_of_the_handler_holds_for_the_outbox(folder: Path, database: Path) -> None:
    with sqlite3.connect(database) as connection:
        outbox = perdure.Outbox(connection)
        outbox.publish(Shipped("old"), key="k")
        outbox.publish(Shipped("new"), key="k")
        with pytest.raises(perdure.InvalidMessage, match="priority"):
            outbox.publish(Shipped("x"), priority=10**9)
    with perdure.System(folder) as system:
        perdure.OutboxRelay(system, lambda: sqlite3.connect(database)).relay_once()
        numbers = system.admin.metrics()
        assert (numbers.ready, numbers.superseded) == (1, 1)


@pytest.mark.parametrize("kind", ["connection", "session"])
def test_sqlalchemy(folder: Path, database: Path, kind: str) -> None:
    import sqlalchemy as sa
    from sqlalchemy.orm import Session

    engine = sa.create_engine(f"sqlite:///{database}")
    scope: Any = engine.begin() if kind == "connection" else Session(engine)
    with scope as connection:
        perdure.Outbox(connection).publish(Shipped("A"))
        connection.commit() if kind == "session" else None
    with perdure.System(folder) as system:
        assert perdure.OutboxRelay(system, engine.connect).relay_once() == 1
        assert system.admin.metrics().ready == 1
    engine.dispose()


def test_failing_database_is_tried_again(folder: Path, database: Path, until: Until) -> None:
    tries: list[int] = []

    def connect() -> sqlite3.Connection:
        tries.append(1)
        if len(tries) < 3:
            message = "down"
            raise sqlite3.OperationalError(message)
        return sqlite3.connect(database)

    with sqlite3.connect(database) as connection:
        perdure.Outbox(connection).publish(Shipped("A"))
    with perdure.System(folder) as system, perdure.OutboxRelay(system, connect, every_s=0.01) as relay:
        until(lambda: relay.published == 1)


def test_all_of_the_handlers_policy_holds_for_the_outbox(folder: Path, database: Path) -> None:
    """Its window and its limit of messages of one key too; what the host named in its transaction stays."""
    with sqlite3.connect(database) as connection:
        outbox = perdure.Outbox(connection)
        for ident, options in (("limited", {}), ("replacing", {"dedup": "replace"}), ("burst", {"debounce": 5.0})):
            outbox.publish(Shipped("A"), key="k", id=ident, **options)
        outbox.publish(Returned("A"), key="k", id="held")
        outbox.publish(Returned("B"), key="j", id="held for less", dedup_window=1.0)
    system = perdure.System(folder)
    system.handler(Shipped, dedup="append", key_parallelism=1)(lambda _message, _ctx: None)
    system.handler(Returned, dedup_window=20.0)(lambda _message, _ctx: None)
    with system:
        perdure.OutboxRelay(system, lambda: sqlite3.connect(database)).relay_once()
        published: list[Any] = [record.event for record in system.audit.events(type="Published")]
    policies = {e.id: (e.dedup, e.extras and (e.extras.window_us, e.extras.key_parallelism)) for e in published}
    assert policies == {
        "limited": ("append", (0, 1)),
        "replacing": ("replace", None),
        "burst": ("replace", None),
        "held": ("replace", (20_000_000, 0)),
        "held for less": ("replace", (1_000_000, 0)),
    }


@pytest.mark.parametrize("by_hand", [False, True])
def test_refused_rows_do_not_starve_later_rows(
    database: Path, until: Until, caplog: pytest.LogCaptureFixture, by_hand: bool
) -> None:
    """More than one batch of them comes first, and a row that no version can read: each is logged once, and tried again."""
    refused = BATCH + 1
    with perdure.System(store=perdure.MemoryStore()) as system, sqlite3.connect(database) as connection:
        system.publish(Shipped("holder"), key="k", dedup="reject")
        outbox = perdure.Outbox(connection)
        for n in range(refused):
            outbox.publish(Shipped(f"refused {n}"), key="k", dedup="reject")
        connection.execute("INSERT INTO perdure_outbox (id, draft) VALUES ('from tomorrow', ?)", (b"\x93\x01\x02\x03",))
        outbox.publish(Shipped("behind"))
        connection.commit()
        relay = perdure.OutboxRelay(system, lambda: sqlite3.connect(database), every_s=0.01)
        if by_hand:
            with pytest.raises(perdure.DuplicateKey):
                relay.relay_once()
            assert rows(database) == refused + 1
        else:
            with relay:
                until(lambda: rows(database) == refused + 1)
                outbox.publish(Shipped("written while they are refused"))
                connection.commit()
                until(lambda: rows(database) == refused + 1)
                assert system.admin.metrics().published == 3
                holder = system.checkout(Shipped)
                assert holder is not None
                holder.ack()
                until(lambda: rows(database) < refused + 1)  # one of them has the key now
            warnings = [text for text in caplog.messages if "was refused" in text]
            assert 0 < len(warnings) < refused


def test_row_that_is_let_in_while_others_are_refused_is_published_once(database: Path, until: Until) -> None:
    """Two relays on one table, one of which dies again and again, and rows whose keys are freed one after the other."""
    with perdure.System(store=perdure.MemoryStore()) as system, sqlite3.connect(database) as connection:
        outbox = perdure.Outbox(connection)
        ids = [outbox.publish(Shipped(str(n)), key=f"k{n % 3}", dedup="reject") for n in range(12)]
        connection.commit()
        relays = [perdure.OutboxRelay(system, lambda: sqlite3.connect(database, timeout=30.0), every_s=0.001) for _ in range(2)]
        with relays[0], relays[1]:
            handled: list[str] = []
            while len(handled) < len(ids):
                until(lambda: system.admin.metrics().ready)
                system.actors.kill("relay")
                delivery = system.checkout(Shipped)
                assert delivery is not None
                handled.append(delivery.id)
                delivery.ack()
            until(lambda: rows(database) == 0)
        assert sorted(handled) == sorted(ids)
        assert system.admin.metrics().published == len(ids)
