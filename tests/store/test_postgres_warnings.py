"""A server that warns of something else has done what it was asked: only a cancelled wait for a standby leaves it in doubt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

import perdure
from perdure.store.postgres.connecting.database import is_unreplicated
from perdure.store.postgres.traffic.ingress import Ingress
from tests.postgres_server import new_queue, shared_server

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.xdist_group("postgres")


@pytest.fixture
def database() -> Iterator[str]:
    """A database of its own, which warns of all that is written to the tables of perdure."""
    name = new_queue().replace(" ", "_")
    shared_server().run(f"CREATE DATABASE {name}")
    dsn = shared_server().dsn.replace("/postgres", f"/{name}")
    made = perdure.PostgresStore(dsn, name="q")
    made.open()
    made.close()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "CREATE FUNCTION public.warn() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "RAISE WARNING 'database must be vacuumed within 39 transactions'; RETURN NULL; END $$"
        )
        for table in ("frame", "lease", "ingress"):
            connection.execute(
                f"CREATE TRIGGER warns AFTER INSERT OR UPDATE ON perdure.{table} EXECUTE FUNCTION public.warn()".encode()
            )
    yield dsn
    shared_server().run(f"DROP DATABASE {name} WITH (FORCE)")


def test_an_owner_opens_appends_and_syncs(database: str, caplog: pytest.LogCaptureFixture) -> None:
    store = perdure.PostgresStore(database, name="q")
    epoch = store.open().epoch
    try:
        store.append(b"a", 1, expected_seq=1, durable=True)
        store.append(b"b", 1, expected_seq=2)
        store.sync()
        assert store.epoch == epoch, "no append was in doubt"
        assert [frame.body for frame in store.frames()] == [b"a", b"b"]
    finally:
        store.close()
    assert "not answered" not in caplog.text


def test_a_publish_is_one_row(database: str) -> None:
    ingress = Ingress(perdure.PostgresStore(database, name="q").database.address)
    ingress.add([b"row"])
    ingress.close()
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM perdure.ingress").fetchone() == (1,)


class Notice:
    """Stands in for what a server says."""

    def __init__(self, severity: str, function: str | None) -> None:
        self.severity_nonlocalized, self.source_function = severity, function


@pytest.mark.parametrize(
    ("severity", "function", "is_one"),
    [
        ("WARNING", "SyncRepWaitForLSN", True),
        ("WARNING", None, True),
        ("WARNING", "GetNewTransactionId", False),
        ("NOTICE", None, False),
    ],
)
def test_which_warning_leaves_a_commit_in_doubt(severity: str, function: str | None, *, is_one: bool) -> None:
    notice: Any = Notice(severity, function)
    assert is_unreplicated(notice) is is_one
