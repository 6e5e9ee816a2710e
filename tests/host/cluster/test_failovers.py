"""The database fails over: to a synchronous standby, where nothing acknowledged is lost; to one that lagged, which is refused."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import perdure
from perdure.store import accept_loss
from tests.host.cluster.accounts import Order, Publishers, check_accounts
from tests.postgres_server import PATIENCE_S, Server, check_installed, new_queue, program
from tests.socket_proxy import SocketProxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.host.conftest import Collected, Until

pytestmark = [pytest.mark.xdist_group("postgres"), pytest.mark.long(seconds=8)]

PARTITIONS = 2
LEASE_S = 3.0


@pytest.fixture
def primary() -> Iterator[Server]:
    """A server of its own."""
    check_installed()
    program("pg_basebackup")
    made = Server(max_wal_senders="4")
    yield made
    made.remove()


@pytest.fixture
def standby(primary: Server) -> Iterator[Server]:
    """Its hot standby, which replicates asynchronously unless told otherwise."""
    made = Server(standby_of=primary)
    yield made
    made.remove()


def fail_over(primary: Server, standby: Server, proxy: SocketProxy) -> None:
    """Kill the primary, promote the standby, and lead all processes there."""
    primary.kill()
    standby.run("SELECT pg_promote()")
    proxy.lead_to(standby.folder)


def cluster_of(proxy: SocketProxy, name: str, collected: Collected) -> perdure.Cluster:
    cluster = perdure.Cluster(proxy.dsn, name=name, partitions=PARTITIONS, lease=LEASE_S)
    cluster.handler(Order, retries=1000, backoff=perdure.Fixed(0.01))(lambda message: collected.add(message.name))
    return cluster


def test_a_failover_to_a_synchronous_standby_loses_and_doubles_nothing(
    primary: Server, standby: Server, collected: Collected, until: Until
) -> None:
    primary.run("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
    primary.run("SELECT pg_reload_conf()")
    until(lambda: primary.run("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"))
    with SocketProxy(primary.folder) as proxy, cluster_of(proxy, new_queue(), collected) as cluster:
        publishers = Publishers(cluster)
        until(lambda: len(publishers.acknowledged) > 50)
        fail_over(primary, standby, proxy)
        before = len(publishers.acknowledged)
        until(lambda: len(publishers.acknowledged) > before + 20)
        publishers.end()
        cluster.drain(timeout=PATIENCE_S)
        check_accounts(cluster, publishers, collected.items)


NEW_PROCESS = """
import sys
import perdure
try:
    perdure.Cluster(sys.argv[1], name=sys.argv[2], partitions=int(sys.argv[3]), lease=3.0).start()
except perdure.StoreCorrupt as error:
    print(error)
else:
    print("started")
"""


def a_new_process_says(proxy: SocketProxy, name: str) -> str:
    command = [sys.executable, "-c", NEW_PROCESS, proxy.dsn, name, str(PARTITIONS)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE_S).stdout


def test_a_failover_to_a_standby_that_lagged_is_refused_by_all_until_the_loss_is_accepted(
    primary: Server, standby: Server, collected: Collected, until: Until, caplog: pytest.LogCaptureFixture
) -> None:
    name = new_queue()
    until(lambda: primary.run("SELECT 1 FROM pg_stat_replication"))
    with SocketProxy(primary.folder) as proxy:
        with cluster_of(proxy, name, collected) as cluster, caplog.at_level(logging.ERROR):
            cluster.publish_many([Order(f"{n}") for n in range(8)], keys=[f"{n}" for n in range(8)])
            cluster.drain(timeout=PATIENCE_S)
            standby.stop(signal.SIGINT)
            cluster.publish_many([Order(f"lost {n}") for n in range(8)], keys=[f"{n}" for n in range(8)])
            cluster.drain(timeout=PATIENCE_S)
            primary.kill()
            standby.start()
            standby.run("SELECT pg_promote()")
            proxy.lead_to(standby.folder)
            cluster.publish_many([Order(f"again {n}") for n in range(8)], keys=[f"again {n}" for n in range(8)])  # rows that wait
            until(lambda: not cluster.recovery)
            until(lambda: "but was synced up to" in caplog.text)  # a partition that has stopped is told of by the next look
            until(lambda: len(standby.run("SELECT 1 FROM perdure.high_water")) == PARTITIONS)
        until(lambda: "perdure accept-loss" in a_new_process_says(proxy, name))
        assert "A FAILOVER LOSES" in caplog.text
        accepted = accept_loss(f"{proxy.dsn}#{name}")
        assert all(one.lost for one in accepted)
        with cluster_of(proxy, name, collected) as cluster:
            cluster.drain(timeout=PATIENCE_S)
            assert cluster.admin.metrics().completed == 16
            assert all(found.ok for found in cluster.audit.verify().values())
    assert sum(item.startswith("again") for item in collected.items) == 8


def test_owners_without_anything_to_do_find_that_a_standby_that_lagged_was_promoted(
    primary: Server, standby: Server, collected: Collected, until: Until, caplog: pytest.LogCaptureFixture
) -> None:
    until(lambda: primary.run("SELECT 1 FROM pg_stat_replication"))
    with SocketProxy(primary.folder) as proxy:
        store = perdure.PostgresStore(proxy.dsn, name=new_queue(), lease=LEASE_S)
        with cluster_of(proxy, new_queue(), collected) as cluster, perdure.System(store=store) as system:
            until(lambda: standby.run("SELECT 1 FROM perdure.frame HAVING count(*) > 2"))
            standby.stop(signal.SIGINT)
            cluster.publish_many([Order(f"lost {n}") for n in range(8)], keys=[f"{n}" for n in range(8)])
            cluster.drain(timeout=PATIENCE_S)
            system.publish(Order("lost too"))
            primary.kill()
            standby.start()
            standby.run("SELECT pg_promote()")
            proxy.lead_to(standby.folder)
            until(lambda: not system.running)
            until(lambda: not cluster.recovery)
            said = "stands by here: the database holds less of this partition than was durable"
            until(lambda: caplog.text.count(said) >= PARTITIONS)
            assert caplog.text.count(said) == PARTITIONS
            with pytest.raises(perdure.NotRunning, match="holds less"):
                system.publish(Order("refused"))
