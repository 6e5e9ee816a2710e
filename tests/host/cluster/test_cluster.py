"""A queue over several hosts: they share its partitions, take over from one another, and lose and double nothing acknowledged."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure
from perdure.cluster import draining
from tests.host.cluster.accounts import Order, Publishers, check_accounts
from tests.host.cluster.conftest import LEASE_S, PARTITIONS
from tests.postgres_server import PATIENCE_S, new_queue, shared_server

if TYPE_CHECKING:
    import subprocess

    from tests.host.cluster.conftest import Hosts
    from tests.host.conftest import Collected, Until

pytestmark = pytest.mark.xdist_group("postgres")


@perdure.message(name="ask")
@attrs.frozen
class Ask:
    name: str


def cluster_of(name: str, partitions: int = PARTITIONS, **more: Any) -> perdure.Cluster:
    return perdure.Cluster(shared_server().dsn, name=name, partitions=partitions, lease=LEASE_S, **more)


def owners(cluster: perdure.Cluster) -> Counter[str]:
    return Counter(info.owner for info in cluster.partitions())


def is_of(process: subprocess.Popen[str], owner: str) -> bool:
    """Return whether an owner, `machine process PID`, is a process; one pid may be a part of another."""
    return owner.split()[-1:] == [str(process.pid)]


def drained(cluster: perdure.Cluster, hosts: Hosts, acknowledged: set[str], until: Until) -> None:
    until(lambda: acknowledged <= {ident for _, ident in hosts.handled()})
    until(lambda: not any(info.lag for info in cluster.partitions()))


def test_one_host_does_all_that_a_system_does(collected: Collected) -> None:
    with cluster_of(new_queue()) as cluster:

        @cluster.handler(Order, retries=0)
        def handle(order: Order, ctx: perdure.Context) -> str:
            collected.add(order.name)
            if order.name == "bad":
                raise ValueError(order.name)
            if order.name == "chain":
                ctx.publish(Order("link"))
            return order.name.upper()

        keyed = cluster.publish(Order("keyed"), key="k", keep_result=60.0)
        cluster.publish_many([Order("a"), Order("b"), Order("c")], keys=["a", "b", "c"], ids=["a", "b", "c"])
        cluster.publish_many([Order("chain"), Order("bad")])
        assert cluster.submit(Order("submitted"), id="submitted").result(PATIENCE_S) == "submitted"
        assert cluster.call(Order("called"), timeout=PATIENCE_S) == "CALLED"
        assert cluster.result(keyed, timeout=PATIENCE_S) == "KEYED"
        cluster.drain(timeout=PATIENCE_S)
        assert sorted(collected.items) == ["a", "b", "bad", "c", "called", "chain", "keyed", "link", "submitted"]
        assert cluster.state("b").status == "completed"
        assert not cluster.state("unknown").known
        [letter] = cluster.dead_letters.list()
        assert cluster.dead_letters.get(letter.id).message == Order("bad")
        assert cluster.dead_letters.stats().total == 1
        cluster.admin.pause(Order)
        waits = cluster.publish(Order("waits"))
        assert cluster.cancel(waits)
        taken = cluster.publish(Order("taken"))
        delivery = cluster.checkout(Order)
        assert delivery is not None
        assert delivery.id == taken
        delivery.ack()
        cluster.admin.resume(Order)
        assert cluster.dead_letters.replay_all() == 1
        cluster.drain(timeout=PATIENCE_S)
        counts = cluster.admin.metrics()
        assert (counts.published, counts.completed, counts.cancelled, counts.dead_letters) == (11, 9, 1, 1)
        assert cluster.admin.handlers()["order"].processed == 10
        assert [record.name for record in cluster.audit.timeline("a")] == ["Published", "Leased", "Completed"]
        assert owners(cluster).total() == PARTITIONS
        assert all(info.is_here and info.epoch == 1 and not info.lag for info in cluster.partitions())


def test_drain_without_a_timeout_waits_for_as_long_as_it_takes() -> None:
    done = threading.Event()
    with cluster_of(new_queue(), partitions=2) as cluster:

        @cluster.handler(Order)
        def handle(order: Order) -> None:
            time.sleep(0.05)  # the work itself
            done.set()

        cluster.publish(Order("slow"))
        cluster.drain()
        assert done.is_set()


def test_a_drain_whose_time_is_over_says_which_partitions_were_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of them has anything; the first took all the time to say so."""

    def left_after(_: object, seconds: float) -> str:
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            time.sleep(0.01)
        return ""

    monkeypatch.setattr(draining, "_left_after", left_after)
    with (
        cluster_of(new_queue(), 2) as cluster,
        pytest.raises(TimeoutError, match=r"after 0\.2 s only 1 of 2 partitions could be asked"),
    ):
        cluster.drain(timeout=0.2)


def test_a_handler_that_waits_for_its_own_type_in_another_partition_is_refused_where_no_worker_is_left() -> None:
    """Both partitions are this process's, and no more than one call of that type runs in it."""
    refused: list[perdure.WouldDeadlock] = []
    with cluster_of(new_queue(), partitions=2) as cluster:

        @cluster.handler(Order, retries=0)
        def handle(order: Order) -> str:
            if order.name == "leaf":
                return "done"
            if order.name == "outer":
                try:
                    cluster.call(Order("leaf"), key="a")
                except perdure.WouldDeadlock as error:
                    refused.append(error)
            return f"{order.name}: {cluster.call(Ask('why'), timeout=PATIENCE_S)}"

        @cluster.handler(Ask, parallelism=2)
        def answer(ask: Ask) -> str:
            if ask.name == "why":
                return str(cluster.call(Ask("because"), timeout=PATIENCE_S))
            return ask.name

        assert cluster.call(Order("outer"), key="b", timeout=PATIENCE_S) == "outer: because"
    assert "of its own type, and no worker is left" in str(refused[0])


def test_coroutines_publish_and_call(collected: Collected) -> None:
    async def use() -> None:
        async with cluster_of(new_queue()) as cluster:

            @cluster.handler(Order)
            async def handle(order: Order) -> str:
                collected.add(order.name)
                return order.name.upper()

            ident = await cluster.apublish(Order("published"))
            await (await cluster.asubmit(Order("submitted")))
            assert await cluster.acall(Order("called"), timeout=PATIENCE_S) == "CALLED"
            await cluster.adrain(timeout=PATIENCE_S)
            assert (await cluster.astate(ident)).status == "completed"

    asyncio.run(use())
    assert sorted(collected.items) == ["called", "published", "submitted"]


def test_a_wrong_number_of_partitions_is_a_clear_error() -> None:
    name = new_queue()
    with cluster_of(name):
        pass
    with pytest.raises(perdure.PerdureError, match=f"has {PARTITIONS} on record, and this Cluster has 8"):
        cluster_of(name, partitions=8).start()
    with pytest.raises(ValueError, match="partitions"):
        cluster_of(name, partitions=0)


def test_parallelism_holds_for_the_process_over_all_of_its_partitions(until: Until) -> None:
    running, most, done = [0], [0], [0]
    lock = threading.Lock()
    with cluster_of(new_queue()) as cluster:

        @cluster.handler(Order, parallelism=2)
        def handle(order: Order) -> None:
            with lock:
                running[0] += 1
                most[0] = max(most[0], running[0])
            time.sleep(0.005)  # the work itself
            with lock:
                running[0] -= 1
                done[0] += 1

        for n in range(10):
            cluster.publish_many([Order(f"{n}-{i}") for i in range(4)], keys=[f"{n}-{i}" for i in range(4)])
        until(lambda: done[0] == 40)
    assert most[0] == 2


def test_a_schedule_ticks_in_one_partition(collected: Collected, until: Until) -> None:
    with cluster_of(new_queue()) as cluster:
        cluster.every(0.05, message=Order("tick"), name="regular")

        @cluster.handler(Order)
        def handle(order: Order, ctx: perdure.Context) -> None:
            collected.add(ctx.id)

        until(lambda: len(collected.items) >= 3)
    assert len(set(collected.items)) == len(collected.items)
    numbers = {number for number, record in cluster.audit.events(type="Published")}
    assert len(numbers) == 1


@pytest.mark.long(seconds=15)
def test_hosts_share_the_partitions_and_take_over_from_one_that_is_killed(hosts: Hosts, until: Until) -> None:
    first, second = hosts.start(), hosts.start()
    observer = cluster_of(hosts.name)  # not started: it only reads
    until(lambda: sorted(owners(observer).values()) == [2, 2])
    third = hosts.start()
    until(lambda: len(owners(observer)) == 3 and "" not in owners(observer))
    with cluster_of(hosts.name) as cluster:
        _handle_as_hosts_do(cluster, hosts)
        publishers = Publishers(cluster)
        until(lambda: len({pid for pid, _ in hosts.handled()}) >= 3)
        first.kill()
        first.wait()
        until(lambda: all(owner and not is_of(first, owner) for owner in owners(observer)))
        hosts.stop(second)
        until(lambda: all(owner and not is_of(second, owner) for owner in owners(observer)))
        third.send_signal(signal.SIGSTOP)
        until(lambda: all(owner and not is_of(third, owner) for owner in owners(observer)))
        third.send_signal(signal.SIGCONT)
        until(lambda: any(is_of(third, owner) for owner in owners(observer)))
        acknowledged = publishers.end()
        drained(cluster, hosts, acknowledged, until)
    hosts.stop(third)
    assert len(acknowledged) > 50
    check_accounts(cluster, publishers, (ident for _, ident in hosts.handled()))


def _handle_as_hosts_do(cluster: perdure.Cluster, hosts: Hosts) -> None:
    import os

    file = os.open(hosts.file, os.O_WRONLY | os.O_APPEND)

    @cluster.handler(Order, parallelism=2)
    def handle(order: Order, ctx: perdure.Context) -> None:
        os.write(file, f"{os.getpid()} {ctx.id}\n".encode())


def test_a_process_that_owns_nothing_asks_the_owners(collected: Collected) -> None:
    name = new_queue()
    with cluster_of(name) as cluster, cluster_of(name, ownership="never") as other:

        @cluster.handler(Order)
        def handle(order: Order) -> str:
            collected.add(order.name)
            return order.name.upper()

        ids = [other.publish(Order("one"), keep_result=60.0), *other.publish_many([Order("a"), Order("b")], keys=["a", "b"])]
        assert other.result(ids[0], timeout=PATIENCE_S) == "ONE"
        assert other.call(Order("two"), key="two", timeout=PATIENCE_S) == "TWO"
        other.drain(timeout=PATIENCE_S)
        assert other.state(ids[1]).status == "completed"
        assert other.admin.metrics().completed == 4
        assert not any(info.is_here for info in other.partitions())
    assert sorted(collected.items) == ["a", "b", "one", "two"]


def test_a_client_of_the_whole_queue_reaches_every_partition(collected: Collected) -> None:
    """Keys find the partitions that they find from within: two publishers of one key never make two live messages of it."""
    name = new_queue()
    dsn = shared_server().dsn
    with cluster_of(name) as cluster:
        cluster.admin.pause(Order)
        cluster.publish(Order("from within"), key="k")
        client = perdure.connect(dsn, name=name, timeout=PATIENCE_S)
        assert isinstance(client, perdure.Client)
        with client:
            client.publish(Order("instead of that"), key="k")
            ids = client.publish_many([Order(f"{n}") for n in range(8)], keys=[f"k{n}" for n in range(8)])
            ids.append(client.submit(Order("submitted"), keep_result=60.0).result(PATIENCE_S))

            @cluster.handler(Order)
            def handle(order: Order) -> str:
                collected.add(order.name)
                return order.name.upper()

            cluster.admin.resume(Order)
            assert client.result(ids[-1], timeout=PATIENCE_S) == "SUBMITTED"
            assert client.call(Order("asked"), group="g", timeout=PATIENCE_S) == "ASKED"
            client.drain(timeout=PATIENCE_S)
            assert {client.state(ident).status for ident in ids} == {"completed"}
            assert client.admin.metrics().completed == 11
            assert client.dead_letters.list() == []
            assert len(list(client.audit.timeline(ids[0]))) >= 3
        assert sorted(collected.items) == sorted(["instead of that", *map(str, range(8)), "submitted", "asked"])
        with pytest.raises(perdure.NotRunning, match="closed"):
            client.publish(Order("late"))
        with perdure.connect(f"{dsn}#{name}", partition=0, timeout=PATIENCE_S) as of_one:
            assert of_one.admin.metrics().completed < 11


def test_a_system_that_stands_by_owns_the_partition_once_the_other_has_stopped() -> None:
    dsn, name = shared_server().dsn, new_queue()
    first = perdure.System(store=perdure.PostgresStore(dsn, name=name))
    second = perdure.System(store=perdure.PostgresStore(dsn, name=name, stand_by=PATIENCE_S))
    with first:
        starting = threading.Thread(target=second.start)
        starting.start()
        first.publish(Order("of the first"))
        assert not second.running
    starting.join(PATIENCE_S)
    with pytest.raises(perdure.StoreLocked):
        first.start()
    assert second.admin.metrics().ready == 1
    second.stop()
