"""The tables of a queue that runs are renamed or dropped: nothing begins an empty log in their place."""

from __future__ import annotations

import contextlib
import time
from functools import partial
from typing import TYPE_CHECKING

import psycopg
import pytest

import perdure
from perdure.cluster import joining_and_leaving
from tests.host.cluster.accounts import Order, Publishers, check_accounts
from tests.postgres_server import PATIENCE_S, new_queue, shared_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.host.conftest import Collected, Until

pytestmark = pytest.mark.xdist_group("postgres")

PARTITIONS, LEASE_S = 2, 1.0


@pytest.fixture
def database() -> Iterator[str]:
    """A database of its own."""
    name = new_queue().replace(" ", "_")
    shared_server().run(f"CREATE DATABASE {name}")
    yield shared_server().dsn.replace("/postgres", f"/{name}")
    shared_server().run(f"DROP DATABASE {name} WITH (FORCE)")


def run(database: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(database, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def drop_tables(database: str) -> None:
    while True:
        with contextlib.suppress(psycopg.errors.DeadlockDetected):  # with a process that is at work
            run(database, "DROP SCHEMA perdure CASCADE")
            return


def has_tables(database: str) -> bool:
    return bool(run(database, "SELECT FROM pg_namespace WHERE nspname = 'perdure'"))


def has_tables_or_is(database: str, until_s: float) -> bool:
    return has_tables(database) or time.monotonic() > until_s


def has_more(collected: Collected, than: int) -> bool:
    return len(collected.items) > than


def test_tables_that_are_renamed_for_a_while_are_not_made_anew(database: str, collected: Collected, until: Until) -> None:
    def host() -> perdure.Cluster:
        cluster = perdure.Cluster(database, name="q", partitions=PARTITIONS, lease=LEASE_S)
        cluster.handler(Order, retries=1000, backoff=perdure.Fixed(0.01))(lambda order: collected.add(order.name))
        return cluster

    with host() as one, host():
        publishers = Publishers(one)
        until(lambda: len(collected.items) > 20)
        for pause_s in (LEASE_S / 4, LEASE_S * 4):
            run(database, "ALTER SCHEMA perdure RENAME TO away")
            until(partial(has_tables_or_is, database, time.monotonic() + pause_s))
            assert not has_tables(database)
            run(database, "ALTER SCHEMA away RENAME TO perdure")
            until(partial(has_more, collected, len(collected.items) + 20))
        acknowledged = publishers.end()
        until(lambda: acknowledged <= set(collected.items))
        one.drain(timeout=PATIENCE_S)
        check_accounts(one, publishers, collected.items)


def test_partitions_that_are_gone_are_not_begun_anew(database: str, until: Until, caplog: pytest.LogCaptureFixture) -> None:
    """Another process has made the tables anew meanwhile."""
    logs = "SELECT count(*) FROM perdure.partition"
    with perdure.Cluster(database, name="q", partitions=PARTITIONS, lease=LEASE_S) as cluster:
        cluster.publish(Order("kept"))
        run(database, "ALTER SCHEMA perdure RENAME TO away")
        with perdure.System(store=perdure.PostgresStore(database, name="another")):
            until(lambda: any("not in the database any more" in said for said in caplog.messages))
            until_s = time.monotonic() + LEASE_S * 2
            until(lambda: run(database, logs) != [(1,)] or time.monotonic() > until_s)
            assert run(database, logs) == [(1,)]
        drop_tables(database)
        run(database, "ALTER SCHEMA away RENAME TO perdure")
        until(lambda: cluster.admin.metrics().published == 1)


def test_a_start_by_hand_begins_anew(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining_and_leaving, "STOP_S", 1.0)
    with perdure.Cluster(database, name="q", partitions=PARTITIONS) as cluster:
        cluster.publish(Order("another"))
        drop_tables(database)
        cluster.stop(0.0)
        cluster.start()
        assert cluster.admin.metrics().published == 0


def test_a_store_does_not_take_another_log_for_its_own(database: str) -> None:
    store = perdure.PostgresStore(database, name="q")
    store.open()
    store.close()
    drop_tables(database)
    with pytest.raises(perdure.StoreUnavailable, match="not there any more"):
        store.open()
    another = perdure.PostgresStore(database, name="q")
    another.open()
    another.close()
    with pytest.raises(perdure.StoreUnavailable, match="not there any more"):
        store.open()
    another.open()  # it has given the partition back
    another.close()
