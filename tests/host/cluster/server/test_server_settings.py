"""What the administrator of a database may have set for it or a role: a queue works the same, or says what is in the way."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import psycopg
import pytest

import perdure
from tests.host.cluster.accounts import Order
from tests.postgres_server import PATIENCE_S, new_queue, shared_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.host.conftest import Collected

pytestmark = pytest.mark.xdist_group("postgres")

PARTITIONS = 2
ODD = {
    "serializable": "default_transaction_isolation = serializable",
    "repeatable": "default_transaction_isolation = 'repeatable read'",
    "escapes": "standard_conforming_strings = off",
    "bytea": "bytea_output = escape",
    "path": "search_path = nowhere, pg_catalog",
    "shadowed": "search_path = shadows, pg_catalog",
    "zone": "timezone = 'Asia/Kathmandu'",
    "dates": "datestyle = 'SQL, DMY'",
}
"""By what is odd: a setting of the database."""


@pytest.fixture
def database() -> Iterator[str]:
    """A database of its own, and functions in it that have the names of PostgreSQL's."""
    name = new_queue().replace(" ", "_")
    shared_server().run(f"CREATE DATABASE {name}")
    dsn = shared_server().dsn.replace("/postgres", f"/{name}")
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA shadows")
        for signature, type_, value in (
            ("clock_timestamp()", "timestamptz", "'epoch'::timestamptz"),
            ("octet_length(bytea)", "integer", "999999999"),
            ("pg_backend_pid()", "integer", "1"),
        ):
            made = f"CREATE FUNCTION shadows.{signature} RETURNS {type_} LANGUAGE sql AS $$ SELECT {value} $$"
            connection.execute(made.encode())
    yield dsn
    shared_server().run(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.parametrize("odd", ODD)
def test_a_queue_works_whatever_is_set_for_its_database(
    database: str, odd: str, collected: Collected, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {connection.info.dbname} SET {ODD[odd]}".encode())
    caplog.set_level(logging.WARNING)
    keys = [str(n) for n in range(20)]
    with perdure.Cluster(database, name="odd", partitions=PARTITIONS) as cluster:
        cluster.handler(Order)(lambda order: collected.add(order.name))
        with (
            perdure.Cluster(database, name="odd", partitions=PARTITIONS, ownership="never") as publisher,
            perdure.connect(database, name="odd", confirm="owner", timeout=PATIENCE_S) as client,
        ):
            for key in keys:
                publisher.publish(Order(f"row {key}"), key=key)
                client.publish(Order(f"asked {key}"), key=f"asked {key}")
            publisher.publish_many([Order(f"many {key}") for key in keys], keys=[f"many {key}" for key in keys])
            publisher.drain(timeout=PATIENCE_S)
        assert len(collected.items) == 3 * len(keys)
    assert caplog.messages == []
    perdure.backup(f"{database}#odd", tmp_path / "backup")
    perdure.restore(tmp_path / "backup", f"{database}#again")
    with perdure.Cluster(database, name="again", partitions=PARTITIONS) as cluster:
        assert cluster.admin.metrics().published == 3 * len(keys)
        assert all(found.ok for found in cluster.audit.verify().values())
