"""Round after round something fails, a host, the database or what lies between, and the books are balanced at the end.

Ten rounds by default; `PERDURE_CLUSTER_ROUNDS=200` for more, `PERDURE_CLUSTER_SEED` for the order in which things fail.
"""

from __future__ import annotations

import os
import random
import signal
from functools import partial
from typing import TYPE_CHECKING

import psycopg
import pytest

import perdure
from tests.host.cluster.accounts import Order, Publishers, check_accounts
from tests.host.cluster.conftest import LEASE_S, PARTITIONS
from tests.postgres_server import PATIENCE_S, Server, new_queue, shared_server
from tests.socket_proxy import SocketProxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.host.cluster.conftest import Hosts
    from tests.host.conftest import Collected, Until

pytestmark = pytest.mark.xdist_group("postgres")

ROUNDS = int(os.environ.get("PERDURE_CLUSTER_ROUNDS", "10"))
SEED = int(os.environ.get("PERDURE_CLUSTER_SEED", "14"))


@pytest.fixture
def server() -> Iterator[Server]:
    """The server that all tests of this process share; it runs again afterwards."""
    shared = shared_server()
    yield shared
    if not shared.is_running:
        shared.start()


def owners(cluster: perdure.Cluster) -> set[str]:
    """Return which processes own partitions; empty where the database cannot be asked just now."""
    try:
        return {info.owner for info in cluster.partitions()}
    except perdure.StoreUnavailable:
        return {""}


def own_nothing(gone: set[str], cluster: perdure.Cluster) -> bool:
    return gone.isdisjoint(owner.split(" ")[-1] for owner in owners(cluster))


def have_handled_more(hosts: Hosts, than: int) -> bool:
    return len(hosts.handled()) > than


@pytest.mark.long(seconds=20)
def test_rounds_of_failures_lose_and_double_nothing(server: Server, hosts: Hosts, until: Until) -> None:
    rng = random.Random(SEED)
    living = [hosts.start(), hosts.start()]
    faults = [*["sessions", "immediate"] * 3, "kill", "stop", "sessions", "leave"]
    with perdure.Cluster(server.dsn, name=hosts.name, partitions=PARTITIONS, lease=LEASE_S, ownership="never") as cluster:
        publishers = Publishers(cluster)
        for n in range(ROUNDS):
            fault = faults[n] if n < len(faults) else rng.choice(faults)
            victim = rng.choice(living)
            match fault:
                case "sessions":
                    server.end_all_sessions()
                case "immediate":
                    server.stop(signal.SIGQUIT)
                    server.start()
                case "kill":
                    victim.kill()
                    victim.wait()
                case "leave":
                    hosts.stop(victim)
                case _:
                    victim.send_signal(signal.SIGSTOP)
                    gone = {"", str(victim.pid)}  # the last word of an owner's name is its pid
                    until(partial(own_nothing, gone, cluster))
                    victim.send_signal(signal.SIGCONT)
            if victim.poll() is not None:
                living[living.index(victim)] = hosts.start()
            before = len(hosts.handled())
            until(partial(have_handled_more, hosts, before + 5))
        acknowledged = publishers.end()
        until(lambda: acknowledged <= {ident for _, ident in hosts.handled()})
        cluster.drain(timeout=PATIENCE_S)
        check_accounts(cluster, publishers, (ident for _, ident in hosts.handled()))
    for host in living:
        hosts.stop(host)


@pytest.mark.long(seconds=8)
def test_a_host_that_is_cut_off_is_replaced_and_stands_by_again(server: Server, collected: Collected, until: Until) -> None:
    """Its connections are first cut, which it outlives, and then swallow all, for longer than its lease."""
    name = new_queue()

    def host(dsn: str) -> perdure.Cluster:
        cluster = perdure.Cluster(dsn, name=name, partitions=PARTITIONS, lease=LEASE_S)
        cluster.handler(Order, retries=1000, backoff=perdure.Fixed(0.01))(lambda message: collected.add(message.name))
        return cluster

    def here(cluster: perdure.Cluster, through: perdure.Cluster) -> int:
        node = cluster._blueprint.node
        return sum(1 for one in through._seen()[0].partitions if one.owner.startswith(node) and one.left_s > 0)

    with host(server.dsn) as near, SocketProxy(server.folder) as proxy:
        far = host(proxy.dsn)
        with far:
            publishers = Publishers(near)
            until(lambda: here(near, near) == here(far, near) == PARTITIONS // 2)
            proxy.cut()
            before = len(collected.items)
            until(lambda: len(collected.items) > before + 20)
            proxy.swallow()
            until(lambda: here(near, near) == PARTITIONS)
            before = len(collected.items)
            until(lambda: len(collected.items) > before + 20)
            proxy.heal()
            until(lambda: here(near, near) == here(far, near) == PARTITIONS // 2)
            acknowledged = publishers.end()
            until(lambda: acknowledged <= set(collected.items))
            near.drain(timeout=PATIENCE_S)
            check_accounts(near, publishers, collected.items)


def test_a_transaction_that_is_open_all_the_time_holds_up_no_row(server: Server, collected: Collected) -> None:
    """What bloats other queues: dead rows stay for as long as it may see them. Rows of the ingress are taken in regardless."""
    name = new_queue()
    with psycopg.connect(server.dsn) as held:
        held.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        held.execute("SELECT pg_current_xact_id()")
        with (
            perdure.Cluster(server.dsn, name=name, partitions=2) as cluster,
            perdure.Cluster(server.dsn, name=name, partitions=2, ownership="never") as publisher,
        ):
            cluster.handler(Order)(lambda message: collected.add(message.name))
            for n in range(40):
                publisher.publish_many([Order(f"{n}-{i}") for i in range(5)], keys=[f"{n}-{i}" for i in range(5)])
            publisher.drain(timeout=PATIENCE_S)
            assert len(collected.items) == 200
            assert not any(info.lag for info in cluster.partitions())
