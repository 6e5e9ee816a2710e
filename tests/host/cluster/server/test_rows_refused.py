"""What a publisher is told of rows that the database refuses, or has committed on one machine alone. Appends: tests/store."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import psycopg
import pytest

import perdure
from perdure.cluster.routing import of_text
from tests.host.cluster.accounts import Order
from tests.postgres_server import PATIENCE_S, new_queue, shared_server

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.host.conftest import Until

pytestmark = pytest.mark.xdist_group("postgres")

PARTITIONS = 2
IN_TWO = [next(str(n) for n in range(99) if of_text(str(n), PARTITIONS) == number) for number in range(PARTITIONS)]
"""A key of each partition."""


def publish_one(cluster: perdure.Cluster) -> object:
    return cluster.publish(Order("one"), id="one")


def publish_in_two(cluster: perdure.Cluster) -> object:
    return cluster.publish_many([Order("one"), Order("two")], ids=["one", "two"], keys=IN_TWO)


@pytest.fixture
def queue() -> str:
    """A queue whose partitions no process owns."""
    name = new_queue()
    with perdure.Cluster(shared_server().dsn, name=name, partitions=PARTITIONS):
        pass
    return name


def publisher(queue: str, options: str, timeout_s: float) -> perdure.Cluster:
    dsn = f"{shared_server().dsn}&options={quote(options)}"
    given: dict[str, Any] = {"ownership": "never", "options": perdure.Options(publish_timeout_s=timeout_s)}
    return perdure.Cluster(dsn, name=queue, partitions=PARTITIONS, **given)


@pytest.mark.parametrize("publish", [publish_one, publish_in_two])
def test_a_refusal_is_told_with_its_reason_and_is_no_doubt(queue: str, publish: Callable[[perdure.Cluster], object]) -> None:
    with publisher(queue, "-c statement_timeout=50ms", 1.0) as cluster:
        with psycopg.connect(shared_server().dsn) as locking:
            locking.execute("LOCK TABLE perdure.ingress IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(perdure.StoreUnavailable, match=r"statement timeout.*Nothing was published") as raised:
                publish(cluster)
        assert not isinstance(raised.value, perdure.PublishTimeout)
        assert shared_server().run(f"SELECT FROM perdure.ingress WHERE queue = '{queue}'") == []


@pytest.mark.parametrize("publish", [publish_one, publish_in_two])
def test_a_refusal_that_passes_holds_up_a_publish_and_no_more(queue: str, publish: Callable[[perdure.Cluster], object]) -> None:
    published = threading.Event()

    def run() -> None:
        publish(cluster)
        published.set()

    with publisher(queue, "-c lock_timeout=20ms", PATIENCE_S) as cluster:
        thread = threading.Thread(target=run)
        with psycopg.connect(shared_server().dsn) as locking:
            locking.execute("LOCK TABLE perdure.ingress IN ACCESS EXCLUSIVE MODE")
            thread.start()
            assert not published.wait(0.3)
        thread.join(PATIENCE_S)
        assert published.is_set()


def waits_again(waiting: str, but: object) -> bool:
    return shared_server().run(waiting) not in ([], [(but,)])


@pytest.mark.parametrize("publish", [publish_one, publish_in_two])
def test_a_row_whose_wait_for_its_standby_was_cancelled_is_not_acknowledged(
    queue: str, publish: Callable[[perdure.Cluster], object], until: Until
) -> None:
    server, published = shared_server(), threading.Event()

    def run() -> None:
        publish(cluster)
        published.set()

    waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE '%add_to_ingress%'"
    with publisher(queue, "-c lock_timeout=9s", PATIENCE_S) as cluster:
        thread = threading.Thread(target=run)
        server.run("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        server.run("SELECT pg_reload_conf()")
        try:
            until(lambda: server.run("SELECT 1 WHERE current_setting('synchronous_standby_names') = 'nobody'"))
            server.run("CHECKPOINT")  # by the process that has commits wait: it takes up the setting first
            thread.start()
            for _ in range(2):
                until(lambda: server.run(waiting))
                [(pid,)] = server.run(waiting)
                server.run(f"SELECT pg_cancel_backend({pid})")
                until(partial(waits_again, waiting, pid))  # it writes the row again
            assert not published.is_set()
        finally:
            server.run("ALTER SYSTEM RESET synchronous_standby_names")
            server.run("SELECT pg_reload_conf()")
            thread.join(PATIENCE_S)
        assert published.is_set()
    with perdure.Cluster(server.dsn, name=queue, partitions=PARTITIONS) as cluster:
        wanted = 1 if publish is publish_one else 2
        until(lambda: cluster.admin.metrics().published == wanted)
        cluster.admin.metrics()
        until_s = time.monotonic() + 0.5
        until(lambda: time.monotonic() > until_s)  # the other rows count for nothing
        assert cluster.admin.metrics().published == wanted
