"""How many partitions a queue has on record, and processes that publish by a number that is not on record any more."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import psycopg
import pytest

import perdure
from perdure.cluster.routing import of_text
from perdure.store import discard_copies
from perdure.store.postgres.postgres_copy import PostgresCopy
from tests.host.cluster.accounts import Order
from tests.postgres_server import PATIENCE_S, new_queue, shared_server

if TYPE_CHECKING:
    from pathlib import Path

    from tests.host.conftest import Until

pytestmark = pytest.mark.xdist_group("postgres")

MANY, FEW = 8, 2


def key_of(partition: int, partitions: int) -> str:
    return next(str(n) for n in range(10_000) if of_text(str(n), partitions) == partition)


def publisher_of(name: str, partitions: int) -> perdure.Cluster:
    return perdure.Cluster(shared_server().dsn, name=name, partitions=partitions, ownership="never")


@pytest.fixture
def given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A queue of `MANY` partitions on record, all of which are copies that a restore has not finished."""
    with perdure.Cluster(shared_server().dsn, name=new_queue(), partitions=MANY) as cluster:
        cluster.publish(Order("kept"))
    perdure.backup(f"{shared_server().dsn}#{cluster.name}", tmp_path / "backup")
    name = new_queue()

    def failing(_: PostgresCopy) -> object:
        raise perdure.StoreUnavailable("no more room")

    with monkeypatch.context() as patch:
        patch.setattr(PostgresCopy, "finish", failing)
        with pytest.raises(perdure.StoreUnavailable, match="no more room"):
            perdure.restore(tmp_path / "backup", f"{shared_server().dsn}#{name}")
    return name


def discard(name: str) -> bool:
    return discard_copies(f"{shared_server().dsn}#{name}").forgotten


def test_a_publish_for_a_partition_beyond_those_on_record_is_refused(given_up: str) -> None:
    with publisher_of(given_up, MANY) as publisher:
        assert discard(given_up)
        with perdure.Cluster(shared_server().dsn, name=given_up, partitions=FEW):
            with pytest.raises(perdure.StoreUnavailable, match="has 2 partitions on record, and none of number 7"):
                publisher.publish(Order("lost"), key=key_of(7, MANY))
            with pytest.raises(perdure.StoreUnavailable, match=r"2 partitions on record.*Nothing was published"):
                publisher.publish_many([Order("in"), Order("out")], keys=[key_of(0, MANY), key_of(7, MANY)])
    [(count,)] = shared_server().run(f"SELECT count(*) FROM perdure.ingress WHERE queue = '{given_up}'")
    assert count == 0


def test_a_publish_that_waits_is_beyond_no_number_that_comes_on_record(given_up: str) -> None:
    handled: list[str] = []
    with publisher_of(given_up, MANY) as publisher:
        assert discard(given_up)
        publisher.publish(Order("waits"), key=key_of(7, MANY))
        with pytest.raises(perdure.PerdureError, match="publishes that wait"):
            perdure.Cluster(shared_server().dsn, name=given_up, partitions=FEW).start()
        with perdure.Cluster(shared_server().dsn, name=given_up, partitions=MANY) as cluster:  # no other number is on record
            cluster.handler(Order)(lambda order: handled.append(order.name))
            cluster.drain(timeout=PATIENCE_S)
    assert handled == ["waits"]


def test_a_publish_under_way_keeps_the_record(given_up: str, until: Until) -> None:
    """It has written its row and has not committed when the copies are discarded."""
    found: list[bool] = []
    with psycopg.connect(shared_server().dsn) as publishing:
        publishing.execute("SELECT perdure.add_to_ingress(%s, 7, ARRAY['\\x00'::bytea])", [given_up])
        thread = threading.Thread(target=lambda: found.append(discard(given_up)))
        thread.start()
        waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'perdure.ingress'::regclass"
        until(lambda: shared_server().run(waits) == [(1,)])
        publishing.commit()
        thread.join(PATIENCE_S)
    assert found == [False]
    with pytest.raises(perdure.PerdureError, match=f"has {MANY} on record"):
        perdure.Cluster(shared_server().dsn, name=given_up, partitions=FEW).start()


def test_a_node_that_has_seen_copies_begins_their_partitions_when_they_are_thrown_away(
    given_up: str, until: Until, caplog: pytest.LogCaptureFixture
) -> None:
    with perdure.Cluster(shared_server().dsn, name=given_up, partitions=MANY) as cluster:
        assert not discard(given_up), "a node of it lives"
        until(lambda: all(info.owner for info in cluster.partitions()))
        cluster.publish(Order("begun"), key=key_of(7, MANY))
        until(lambda: cluster.admin.metrics().published == 1)  # where the partition begins only now, it is taken in a moment later
    assert "not in the database any more" not in caplog.text


def test_a_number_that_a_partition_lies_beyond_does_not_come_on_record() -> None:
    name = new_queue()
    with perdure.System(store=perdure.PostgresStore(shared_server().dsn, name=name, partition=5)):
        pass
    with pytest.raises(perdure.PerdureError, match="holds a partition 5"):
        perdure.Cluster(shared_server().dsn, name=name, partitions=FEW).start()
    with perdure.connect(f"{shared_server().dsn}#{name}/5") as client:  # nothing is on record, so nothing is beyond it
        client.publish(Order("there"))
    with perdure.Cluster(shared_server().dsn, name=name, partitions=MANY) as cluster:
        assert cluster.admin.metrics().published == 1
