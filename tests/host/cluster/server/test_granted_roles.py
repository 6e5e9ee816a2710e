"""Roles with plain grants, as docs/POSTGRES.md lists them, and a queue of several partitions. One partition: through_database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

import perdure
from tests.host.cluster.accounts import Order
from tests.postgres_server import PATIENCE_S, new_queue, shared_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.host.conftest import Collected

pytestmark = pytest.mark.xdist_group("postgres")

PARTITIONS = 2
READS = "USAGE ON SCHEMA perdure; SELECT ON perdure.version, perdure.cluster"
PUBLISHES = f"{READS}; EXECUTE ON FUNCTION perdure.add_to_ingress"
ASKS = f"{PUBLISHES}; EXECUTE ON FUNCTION perdure.open_channel, perdure.speak, perdure.leave_channel"
OWNS = (
    "USAGE ON SCHEMA perdure; USAGE ON ALL SEQUENCES IN SCHEMA perdure; SELECT ON ALL TABLES IN SCHEMA perdure; "
    "EXECUTE ON ALL FUNCTIONS IN SCHEMA perdure"
)
AUDITS = "USAGE ON SCHEMA perdure; SELECT ON ALL TABLES IN SCHEMA perdure"
GRANTS = {"owner": OWNS, "publisher": PUBLISHES, "operator": ASKS, "auditor": AUDITS}
FORBIDDEN = (
    "INSERT INTO perdure.ingress (queue, number, body) VALUES ('q', 0, '')",
    "DELETE FROM perdure.frame",
    "UPDATE perdure.lease SET owner = ''",
    "SELECT perdure.release(1, '', true)",
    "SELECT perdure.found_cluster('another', 1, '')",
    "SELECT perdure.discard_copies('q', NULL)",
    "SELECT perdure.remove_from_ingress(ARRAY[1])",
)


@pytest.fixture(scope="module")
def dsns() -> Iterator[dict[str, str]]:
    """How each role connects to a database with tables of perdure."""
    name = new_queue().replace(" ", "_")
    shared_server().run(f"CREATE DATABASE {name}")
    database = shared_server().dsn.replace("/postgres", f"/{name}")
    with perdure.Cluster(database, name="q", partitions=PARTITIONS):
        pass
    roles = {kind: f"{kind}_of_{name}" for kind in GRANTS}
    with psycopg.connect(database, autocommit=True) as connection:
        for kind, role in roles.items():
            connection.execute(f"CREATE ROLE {role} LOGIN".encode())
            for grant in GRANTS[kind].split("; "):
                connection.execute(f"GRANT {grant} TO {role}".encode())
    yield {kind: database.replace("user=perdure", f"user={role}") for kind, role in roles.items()}
    shared_server().run(f"DROP DATABASE {name} WITH (FORCE)")
    for role in roles.values():
        shared_server().run(f"DROP ROLE {role}")


@pytest.fixture
def owner(dsns: dict[str, str], collected: Collected) -> Iterator[perdure.Cluster]:
    with perdure.Cluster(dsns["owner"], name="q", partitions=PARTITIONS) as cluster:
        cluster.handler(Order)(lambda order: collected.add(order.name))
        yield cluster


def test_a_publisher_publishes_and_does_no_more(dsns: dict[str, str], owner: perdure.Cluster, collected: Collected) -> None:
    with (
        perdure.connect(dsns["publisher"], name="q", timeout=PATIENCE_S) as client,
        perdure.Cluster(dsns["publisher"], name="q", partitions=PARTITIONS, ownership="never") as cluster,
    ):
        client.publish(Order("a"), key="a")
        cluster.publish_many([Order(f"{n}") for n in range(9)], keys=[f"{n}" for n in range(9)])
        owner.drain(timeout=PATIENCE_S)
        assert len(collected.items) == 10
    with (
        perdure.connect(dsns["publisher"], name="q", timeout=1.0) as client,
        pytest.raises(perdure.NotRunning, match="permission denied for function open_channel"),
    ):
        client.admin.metrics()
    with pytest.raises(perdure.PerdureError, match="partitions: the queue 'q' has 2 on record"):
        perdure.Cluster(dsns["publisher"], name="q", partitions=PARTITIONS + 1, ownership="never").start()


def test_an_operator_asks_and_acts(dsns: dict[str, str], owner: perdure.Cluster) -> None:
    with perdure.connect(dsns["operator"], name="q", timeout=PATIENCE_S) as client:
        published = owner.admin.metrics().published
        ident = client.publish(Order("delayed"), delay=60.0)
        assert client.state(ident).status == "delayed"
        assert client.cancel(ident)
        assert client.admin.metrics().published == published + 1


def test_an_auditor_reads(dsns: dict[str, str], owner: perdure.Cluster) -> None:
    owner.publish(Order("read"))
    for number in range(PARTITIONS):
        audit = perdure.Audit(f"{dsns['auditor']}#q/{number}")
        assert audit.verify().ok
        assert list(audit.events())


@pytest.mark.parametrize("kind", ["publisher", "operator", "auditor"])
def test_what_is_not_granted_is_refused(dsns: dict[str, str], kind: str) -> None:
    reads = [] if kind == "auditor" else ["SELECT FROM perdure.frame", "SELECT FROM perdure.ingress"]
    with psycopg.connect(dsns[kind], autocommit=True) as connection:
        for statement in [*FORBIDDEN, *reads]:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())
