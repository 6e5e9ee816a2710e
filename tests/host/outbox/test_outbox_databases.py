"""The outbox on each database and driver it is written for, with the relay killed while it works.

PostgreSQL is the real server of `tests/postgres_server`, where its programs are installed (Debian: `apt-get install postgresql`).
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure
from perdure.events.commands import Draft
from perdure.outbox import sql_outbox
from perdure.outbox.dialect import Sql
from perdure.outbox.sql_outbox import BATCH_BYTES, _last_wanted
from tests.postgres_server import Server, shared_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import sqlalchemy as sa

    from tests.host.conftest import Collected, Until

    Connect = Callable[[], Any]

pytestmark = pytest.mark.xdist_group("postgres")  # one server is started, and not one in each process
PATIENCE_S = 30.0


@attrs.frozen
class Shipped:
    order: str


@pytest.fixture(scope="module")
def postgres() -> str:
    """The server of the tests; gives what to connect with."""
    return f"host={shared_server().folder} user=perdure dbname=postgres"


@pytest.fixture(params=["sqlite3", "psycopg", "sqlalchemy on sqlite3", "sqlalchemy on psycopg"])
def connect(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Connect]:
    """Give connections of one driver to a database with an empty outbox."""
    import sqlalchemy as sa

    kind: str = request.param
    engine: sa.Engine | None = None
    if kind == "sqlite3":
        made: Connect = partial(sqlite3.connect, tmp_path / "host.db", timeout=PATIENCE_S)
    elif kind == "sqlalchemy on sqlite3":
        engine = sa.create_engine(f"sqlite:///{tmp_path / 'host.db'}", connect_args={"timeout": PATIENCE_S})
        made = engine.connect
    else:
        where: str = request.getfixturevalue("postgres")
        import psycopg

        if kind == "psycopg":
            made = partial(psycopg.connect, where)
        else:
            engine = sa.create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(where))
            made = engine.connect
    with contextlib.closing(made()) as connection:
        outbox = perdure.Outbox(connection)
        outbox.create_table()
        _run(connection, "DELETE FROM perdure_outbox")
        connection.commit()
    yield made
    if engine is not None:
        engine.dispose()


def _run(connection: Any, sql: str) -> Any:
    return connection.exec_driver_sql(sql) if hasattr(connection, "exec_driver_sql") else connection.execute(sql)


def place(connect: Connect) -> str | None:
    with contextlib.closing(connect()) as connection:
        return Sql(connection).place()


def test_each_connection_names_the_same_table(connect: Connect) -> None:
    assert place(connect)
    assert place(connect) == place(connect)
    with contextlib.closing(connect()) as connection:
        _run(connection, "DROP TABLE perdure_outbox")
        connection.commit()
    assert place(connect) is None


@pytest.fixture
def in_public(postgres: str) -> Iterator[str]:
    """Give the server of the tests with a table where every user looks, whether or not the schema `perdure` is there."""
    import psycopg

    where = f"{postgres} options='-c search_path=public'"
    with psycopg.connect(where, autocommit=True) as connection:
        perdure.Outbox(connection).create_table()
        connection.execute("DROP ROLE IF EXISTS plain")
        connection.execute("CREATE ROLE plain LOGIN")
        yield where
        connection.execute("DROP ROLE plain")


def test_a_plain_user_of_postgres_is_told_which_table_it_reads(in_public: str) -> None:
    """It may not see the rows that others see, so it reads the table for itself."""
    import psycopg

    plain = in_public.replace("user=perdure", "user=plain")
    of_plain = place(lambda: psycopg.connect(plain))
    assert of_plain
    assert of_plain == place(lambda: psycopg.connect(f"{plain} application_name=other")), "in every process"
    assert of_plain != place(lambda: psycopg.connect(in_public))


def test_a_copied_server_has_another_table(in_public: str) -> None:
    """All that its files say is the same: the identifier of the system, the database, the number of the table."""
    import psycopg

    server = shared_server()
    copy = Server(standby_of=server)
    try:
        there = in_public.replace(str(server.folder), str(copy.folder))
        of_copy = place(lambda: psycopg.connect(there))
    finally:
        copy.remove()
    assert of_copy
    assert of_copy != place(lambda: psycopg.connect(in_public))


def rows(connect: Connect) -> int:
    with contextlib.closing(connect()) as connection:
        return int(_run(connection, "SELECT count(*) FROM perdure_outbox").fetchone()[0])


def write(connect: Connect, orders: list[str], **options: Any) -> list[str]:
    with contextlib.closing(connect()) as connection:
        outbox = perdure.Outbox(connection)
        ids = [outbox.publish(Shipped(order), **options) for order in orders]
        connection.commit()
    return ids


def test_committed_is_published_and_rolled_back_is_not(folder: Path, connect: Connect, collected: Collected, until: Until) -> None:
    system = perdure.System(folder)
    system.handler(Shipped)(lambda message, ctx: collected.add((message.order, ctx.id, ctx.headers)))
    with system, perdure.OutboxRelay(system, connect, every_s=60.0) as relay:
        with contextlib.closing(connect()) as connection:
            perdure.Outbox(connection).publish(Shipped("never"))
            connection.rollback()
        (ident,) = write(connect, ["kept"], headers={"from": "shop"})
        relay.notify()
        assert collected.wait_for(1) == [("kept", ident, {"from": "shop"})]
        until(lambda: rows(connect) == 0)
        system.drain(timeout=PATIENCE_S)
    assert [item[0] for item in collected.items] == ["kept"]


def test_rows_of_a_psycopg_connection_are_read_whatever_it_makes_of_them(postgres: str) -> None:
    import psycopg
    from psycopg.rows import dict_row, scalar_row

    for row_factory in (dict_row, scalar_row):
        connect = partial(psycopg.connect, postgres, row_factory=row_factory)
        with connect() as connection:
            perdure.Outbox(connection).create_table()
        with perdure.System(store=perdure.MemoryStore()) as system:
            ident = write(connect, ["A"])[0]
            assert perdure.OutboxRelay(system, connect).relay_once() == 1
            assert system.state(ident).status == "ready"
        assert place(connect)


def test_an_asynchronous_psycopg_connection_is_refused(postgres: str) -> None:
    import psycopg

    async def publish() -> None:
        async with await psycopg.AsyncConnection.connect(postgres) as connection:
            perdure.Outbox(connection).publish(Shipped("A"))

    with pytest.raises(TypeError, match="asynchronous"):
        asyncio.run(publish())


def test_rows_of_which_all_are_refused_stay(connect: Connect) -> None:
    """The error names why; nothing is deleted, which needs no statement (an empty list is no SQL of PostgreSQL)."""
    with perdure.System(store=perdure.MemoryStore()) as system:
        system.publish(Shipped("holder"), key="k", dedup="reject")
        write(connect, ["refused"], key="k", dedup="reject")
        with pytest.raises(perdure.DuplicateKey):
            perdure.OutboxRelay(system, connect).relay_once()
    assert rows(connect) == 1


def test_process_that_dies_between_commit_and_relay_publishes_once(folder: Path, connect: Connect, until: Until) -> None:
    """The rows were published and not deleted, or not even published: the next process does what is missing, once."""
    with perdure.System(folder) as system:
        ids = write(connect, ["a", "b"])
        relay = perdure.OutboxRelay(system, connect)
        relay.start()
        until(lambda: system.admin.metrics().published == 2)
        relay.stop()
    more = write(connect, ["c"])  # committed while nothing runs
    with perdure.System(folder) as system, perdure.OutboxRelay(system, connect, every_s=0.01):
        until(lambda: rows(connect) == 0)
        assert system.admin.metrics().published == 3
        found = [system.checkout(Shipped) for _ in range(3)]
        assert sorted(delivery.id for delivery in found if delivery is not None) == sorted([*ids, *more])


def _is_on_for_the_first_time_since(system: perdure.System, kills: int) -> bool:
    return "relay" in system.actors and system.runtime.directory.actors["relay"].generation > kills


# Not SQLAlchemy on sqlite3: killed inside SQLAlchemy's pool, a thread leaves a connection behind that holds SQLite's lock on the
# file until the garbage collector finds it.
@pytest.mark.parametrize("connect", ["sqlite3", "psycopg", "sqlalchemy on psycopg"], indirect=True)
@pytest.mark.long(seconds=3)
def test_relay_that_is_killed_again_and_again_publishes_each_row_once(folder: Path, connect: Connect, until: Until) -> None:
    """The relay is a supervised actor: each committed row is published exactly once, whether relay, queue or journal dies."""
    handled: Counter[str] = Counter()
    system = perdure.System(folder)
    system.handler(Shipped)(lambda message: handled.update([message.order]))
    expected = [f"{batch}.{n}" for batch in range(30) for n in range(20)]
    with system, perdure.OutboxRelay(system, connect, every_s=0.005) as relay:
        for batch in range(30):
            write(connect, expected[batch * 20 : batch * 20 + 20])
            relay.notify()
            until(partial(_is_on_for_the_first_time_since, system, batch))
            system.actors.kill("relay")
            if batch % 5 == 0:
                system.actors.kill(("queue", "journal", "supervisor")[batch // 5 % 3])
        until(lambda: rows(connect) == 0)
        system.drain(timeout=PATIENCE_S)
        assert system.admin.metrics().published == len(expected)
        assert system.admin.metrics().runtime_counters["actor_restarts"] >= 30 - 1  # the last may have come too late
    assert handled.keys() == set(expected)


def test_large_rows_are_read_a_few_at_a_time(folder: Path, connect: Connect) -> None:
    size = 1_000_000
    with contextlib.closing(connect()) as connection:
        outbox = perdure.Outbox(connection)
        for n in range(9):
            outbox.publish(Shipped(f"{n}" * size))
        outbox.publish(Shipped("small"))
        connection.commit()
    with perdure.System(folder) as system:
        relay = perdure.OutboxRelay(system, connect)
        first = relay._select(0)
        assert len(first) == BATCH_BYTES // size + 1
        assert len(relay._select(first[-1][0])) == 10 - len(first)
        assert relay.relay_once() == 10
        assert system.admin.metrics().published == 10


def test_rows_that_another_relay_publishes_between_the_two_looks_hide_no_later_ones(
    folder: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    with contextlib.closing(connect()) as connection:
        outbox = perdure.Outbox(connection)
        for n in range(5):
            outbox.publish(Shipped(f"{n}" * 1_000_000))
        last = outbox.publish(Shipped("last"))
        connection.commit()
    relay = perdure.OutboxRelay(perdure.System(folder), connect)
    others = [row for row, _ in relay._select(0)]
    looks = iter([True])

    def wanted(sizes: Sequence[tuple[int, int]]) -> int | None:
        found = _last_wanted(sizes)
        if next(looks, False):
            with contextlib.closing(connect()) as connection:
                _run(connection, f"DELETE FROM perdure_outbox WHERE seq <= {others[-1]}")
                connection.commit()
        return found

    monkeypatch.setattr(sql_outbox, "_last_wanted", wanted)
    assert [draft.id for _, draft in relay._select(0) if isinstance(draft, Draft)] == [last]


def test_refused_row_delays_no_other_row(folder: Path, connect: Connect, until: Until) -> None:
    """Its key is held, and its policy is to reject: it stays until the key is free."""
    with perdure.System(folder) as system:
        system.publish(Shipped("holder"), key="k", dedup="reject")
        with contextlib.closing(connect()) as connection:
            outbox = perdure.Outbox(connection)
            outbox.publish(Shipped("before"))
            refused = outbox.publish(Shipped("refused"), key="k", dedup="reject")
            outbox.publish(Shipped("after"))
            connection.commit()
        with perdure.OutboxRelay(system, connect, every_s=0.01):
            until(lambda: rows(connect) == 1 and system.admin.metrics().published == 3)
            holder = system.checkout(Shipped)
            assert holder is not None
            assert holder.message == Shipped("holder")
            holder.ack()
            until(lambda: rows(connect) == 0)
        assert system.admin.metrics().published == 4
        found = [system.checkout(Shipped) for _ in range(3)]
        assert refused in [delivery.id for delivery in found if delivery is not None]
