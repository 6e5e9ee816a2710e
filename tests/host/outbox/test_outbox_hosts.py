"""The outbox as a host has it: with the system's own codec, options and middleware, and on Django's connection."""

from __future__ import annotations

import sqlite3
import types
from typing import TYPE_CHECKING, Any, ClassVar

import attrs
import pytest
import sqlalchemy

import perdure
from tests.host.outbox.outbox_file import new_outbox, rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.host.conftest import Collected, Until


@attrs.frozen
class Shipped:
    order: str


class Stamping(perdure.Middleware):
    """Stamps what is published, gives each message a key, and refuses what is forbidden."""

    def publish(self, message: Any, options: dict[str, Any], call_next: Callable[[Any, dict[str, Any]], str]) -> str:
        if message.order == "forbidden":
            raise perdure.InvalidMessage(message.order)
        headers = {**(options.get("headers") or {}), "by": "middleware"}
        return call_next(message, {**options, "headers": headers, "key": message.order, "dedup": "reject"})


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return new_outbox(tmp_path)


@pytest.mark.parametrize("by", ["system", "parts"])
def test_outbox_says_what_the_system_would(folder: Path, database: Path, by: str) -> None:
    codec = perdure.CloudPickle(key=bytes(16))
    options = perdure.Options(payload_bytes_max=200)
    system = perdure.System(folder, codec=codec, options=options, middleware=[Stamping()])
    with sqlite3.connect(database) as connection:
        outbox = (
            perdure.Outbox(connection, system=system)
            if by == "system"
            else perdure.Outbox(connection, codec=codec, options=options, middleware=[Stamping()])
        )
        ident = outbox.publish(Shipped("A"), headers={"from": "shop"})
        with pytest.raises(perdure.PayloadTooLarge):
            outbox.publish(Shipped("x" * 200))
        with pytest.raises(perdure.InvalidMessage, match="forbidden"):
            outbox.publish(Shipped("forbidden"))
    with system:
        assert perdure.OutboxRelay(system, lambda: sqlite3.connect(database)).relay_once() == 1
        with sqlite3.connect(database) as connection:
            perdure.Outbox(connection, system=system).publish(Shipped("A"))
        relay = perdure.OutboxRelay(system, lambda: sqlite3.connect(database))
        with pytest.raises(perdure.DuplicateKey):  # the policy that the middleware named is kept
            relay.relay_once()
        delivery = system.checkout(Shipped)
        assert delivery is not None
        assert (delivery.id, delivery.message, delivery.key) == (ident, Shipped("A"), "A")
        assert delivery.headers == {"from": "shop", "by": "middleware"}


def test_system_and_its_parts_are_not_given_together(folder: Path, database: Path) -> None:
    system = perdure.System(folder)
    with sqlite3.connect(database) as connection:
        wrong: list[dict[str, Any]] = [
            {"codec": perdure.MessagePack()},
            {"options": perdure.Options()},
            {"middleware": [Stamping()]},
        ]
        for given in wrong:
            with pytest.raises(TypeError, match="either it or them"):
                perdure.Outbox(connection, system=system, **given)


def test_what_is_no_connection_is_refused() -> None:
    with pytest.raises(TypeError, match=r"not builtins\.str"):
        perdure.Outbox("host.db")

    class Mysql:
        vendor = "mysql"

        def cursor(self) -> None: ...

    with pytest.raises(ValueError, match="not for mysql"):
        perdure.Outbox(Mysql())


class AsyncConnection:
    """As an AsyncConnection of psycopg or aiosqlite, or SQLAlchemy's, does: nothing, until it is awaited."""

    def __init__(self, *names: str) -> None:
        for name in names:
            setattr(self, name, self._later)
        self.dialect = sqlalchemy.create_engine("sqlite://").dialect

    async def _later(self, *_: object) -> None:
        raise AssertionError


@pytest.mark.parametrize(
    "names", [("execute",), ("cursor", "execute"), ("exec_driver_sql",), ("get_bind", "connection")], ids="+".join
)
def test_an_asynchronous_connection_is_refused_and_nothing_is_said_to_be_written(names: tuple[str, ...]) -> None:
    with pytest.raises(TypeError, match=r"asynchronous.*nothing was written"):
        perdure.Outbox(AsyncConnection(*names)).publish(Shipped("A"))


@pytest.mark.parametrize(
    ("style", "marks"), [("numeric_dollar", "$1, $2"), ("numeric", ":1, :2"), ("format", "%s, %s"), ("qmark", "?, ?")]
)
def test_each_style_of_parameters_has_its_marks(style: str, marks: str) -> None:
    class Connection:
        dialect = types.SimpleNamespace(name="postgresql", paramstyle=style)
        said: ClassVar[list[str]] = []

        def exec_driver_sql(self, sql: str, _parameters: object) -> None:
            self.said.append(sql)

    connection = Connection()
    perdure.Outbox(connection).publish(Shipped("A"))
    assert connection.said == [f"INSERT INTO perdure_outbox (id, draft) VALUES ({marks})"]


def _dict_row(cursor: sqlite3.Cursor, row: tuple[Any, ...]) -> dict[str, Any]:
    return {column[0]: value for column, value in zip(cursor.description, row, strict=True)}


@pytest.mark.parametrize("rows_are", [_dict_row, sqlite3.Row, lambda _cursor, row: row[0]])
def test_rows_are_read_whatever_the_hosts_connection_makes_of_them(folder: Path, database: Path, rows_are: Any) -> None:
    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(database)
        connection.row_factory = rows_are
        return connection

    system = perdure.System(folder)
    with connect() as connection:
        perdure.Outbox(connection).publish(Shipped("A"))
    with system:
        relay = perdure.OutboxRelay(system, connect)
        assert relay.relay_once() == 1
        with relay:
            assert rows(database) == 0


def test_a_connection_under_sqlalchemy_is_one_of_its_database(database: Path) -> None:
    raw = sqlalchemy.create_engine(f"sqlite:///{database}").raw_connection()
    perdure.Outbox(raw).publish(Shipped("A"))
    raw.commit()
    raw.close()
    assert rows(database) == 1


def rows_seen_by(connection: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM perdure_outbox")
        return int(cursor.fetchone()[0])


@pytest.fixture
def django_database(tmp_path: Path) -> Iterator[Path]:
    """A SQLite database that Django is connected to."""
    django_db = pytest.importorskip("django.db", reason="Django is not installed")
    from django.conf import settings

    path = tmp_path / "django.db"
    one = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(path)}}
    if not settings.configured:
        settings.configure(DATABASES=one, DEBUG=True, USE_TZ=True)
        pytest.importorskip("django").setup()
    django_db.connections.close_all()
    django_db.connections.databases["default"]["NAME"] = str(path)
    django_db.connections["default"].settings_dict["NAME"] = str(path)
    perdure.Outbox(django_db.connection).create_table()
    yield path
    django_db.connections.close_all()


def test_on_djangos_connection_it_is_published_exactly_if_the_transaction_commits(
    folder: Path, django_database: Path, collected: Collected, until: Until
) -> None:
    from django.db import connection, connections, transaction

    system = perdure.System(folder)
    system.handler(Shipped)(lambda message: collected.add(message.order))
    with system, perdure.OutboxRelay(system, lambda: connections.create_connection("default"), every_s=60.0) as relay:
        with transaction.atomic():
            perdure.Outbox(connection, system=system).publish(Shipped("A"))
            perdure.Outbox(connections["default"]).publish(Shipped("B"), key="%s ?")
            transaction.on_commit(relay.notify)
        with transaction.atomic():
            perdure.Outbox(connection).publish(Shipped("C"))
            transaction.set_rollback(True)
        perdure.Outbox(connection).publish(Shipped("D"))
        relay.notify()
        assert collected.wait_for(3) == ["A", "B", "D"]
        until(lambda: rows(django_database) == 0)
        until(lambda: relay.published == 3)  # counted once the rows are gone
        with transaction.atomic():
            perdure.Outbox(connection).publish(Shipped("E"))
            assert rows_seen_by(connection) == 1
        assert relay.relay_once() == 1
        assert collected.wait_for(4)[3] == "E"
