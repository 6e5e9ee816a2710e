"""What a cluster has once: hooks once in each process, and an outbox's rows once in the partition that each belongs to."""

from __future__ import annotations

import asyncio
import sqlite3
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure
from perdure.cluster.routing import of_text
from tests.host.cluster.conftest import LEASE_S, PARTITIONS
from tests.host.outbox.outbox_file import new_outbox, rows
from tests.postgres_server import PATIENCE_S, new_queue, shared_server

if TYPE_CHECKING:
    from pathlib import Path

    from tests.host.conftest import Collected, Until

pytestmark = pytest.mark.xdist_group("postgres")

SESSION: ContextVar[str] = ContextVar("SESSION", default="none")


@perdure.message(name="shipped")
@attrs.frozen
class Shipped:
    order: str


def cluster_of(name: str, **more: Any) -> perdure.Cluster:
    return perdure.Cluster(shared_server().dsn, name=name, partitions=PARTITIONS, lease=LEASE_S, **more)


def test_hooks_run_once_in_a_process_on_the_loop_of_all_its_handlers(collected: Collected) -> None:
    cluster = cluster_of(new_queue())
    told: list[str] = []
    loops: set[asyncio.AbstractEventLoop] = set()

    @cluster.on_start
    async def connect() -> None:
        SESSION.set("of the hook")
        loops.add(asyncio.get_running_loop())
        told.append(cluster.publish(Shipped("in the hook")))

    @cluster.on_stop
    async def disconnect() -> None:
        loops.add(asyncio.get_running_loop())
        told.append("stopped")

    @cluster.handler(Shipped)
    async def ship(message: Shipped) -> None:
        loops.add(asyncio.get_running_loop())
        collected.add((message.order, SESSION.get()))

    with cluster:
        cluster.publish_many([Shipped(str(n)) for n in range(8)], keys=[str(n) for n in range(8)])
        cluster.drain(timeout=PATIENCE_S)
        with pytest.raises(perdure.InvalidMessage, match="runs already"):
            cluster.on_start(lambda: None)
        assert sorted(cluster.recovery) == list(range(PARTITIONS))
        with pytest.raises(perdure.PerdureError, match="partition"):
            _ = cluster.actors
    assert len(told) == 2
    assert told[-1] == "stopped"
    assert sorted(collected.items) == sorted([(str(n), "of the hook") for n in range(8)] + [("in the hook", "of the hook")])
    assert len(loops) == 1
    assert loops.pop().is_closed()


def test_a_drain_that_times_out_names_the_types_that_nothing_handles() -> None:
    with cluster_of(new_queue()) as cluster:
        cluster.publish(Shipped("nowhere"))
        with pytest.raises(TimeoutError, match=r"still 1 ready, .* No handler is at work for shipped \(1\)"):
            cluster.drain(0.5)


def test_hooks_run_on_the_loop_that_the_cluster_is_entered_on() -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    async def use() -> None:
        cluster = cluster_of(new_queue())
        cluster.on_start(lambda: loops.append(asyncio.get_running_loop()))
        cluster.on_stop(lambda: loops.append(asyncio.get_running_loop()))
        async with cluster:
            loops.append(asyncio.get_running_loop())

    asyncio.run(use())
    assert len(loops) == 3
    assert len(set(loops)) == 1


def test_a_start_hook_that_raises_ends_the_start_and_owns_nothing() -> None:
    name = new_queue()
    cluster = cluster_of(name)
    ends: list[str] = []

    @cluster.on_start
    def fail() -> None:
        raise ZeroDivisionError("no database")

    @cluster.on_start
    def wait_for_itself() -> None:
        ends.append("never reached")

    cluster.on_stop(lambda: ends.append("never reached"))
    with pytest.raises(ZeroDivisionError):
        cluster.start()
    assert not cluster.running
    assert not ends
    with cluster_of(name) as other:
        assert all(info.epoch == 1 for info in other.partitions())


def test_a_hook_that_would_wait_for_its_own_end_is_refused() -> None:
    cluster = cluster_of(new_queue())
    cluster.on_start(lambda: cluster.call(Shipped("x"), timeout=PATIENCE_S))
    with pytest.raises(perdure.WouldDeadlock, match="hook"):
        cluster.start()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return new_outbox(tmp_path)


def test_rows_of_an_outbox_reach_the_partition_that_each_belongs_to(database: Path, collected: Collected, until: Until) -> None:
    name = new_queue()
    first, second = cluster_of(name), cluster_of(name)
    relays = [perdure.OutboxRelay(each, lambda: sqlite3.connect(database), every_s=0.05) for each in (first, second)]
    for each in (first, second):
        each.handler(Shipped)(lambda message: collected.add(message.order))
    keys = [f"key {n}" for n in range(12)]
    with first, relays[0]:
        with second, relays[1]:
            with sqlite3.connect(database) as connection:
                outbox = perdure.Outbox(connection, system=first)
                ids = [outbox.publish(Shipped(key), key=key) for key in keys]
            relays[0].notify()
            until(lambda: rows(database) == 0)
            first.drain(timeout=PATIENCE_S)
        with sqlite3.connect(database) as connection:  # whichever of them relayed: the one that is left does now
            ids += [perdure.Outbox(connection).publish(Shipped("later"), key="key 0")]
        until(lambda: rows(database) == 0)
        first.drain(timeout=PATIENCE_S)
        assert sorted(collected.items) == sorted([*keys, "later"])
        assert {first.state(ident).status for ident in ids} == {"completed"}
        found = {(getattr(record.event, "key", None), number) for number, record in first.audit.events(type="Published")}
    assert found == {(key, of_text(key, PARTITIONS)) for key in keys}


def test_a_relay_that_dies_before_it_deletes_doubles_nothing(database: Path, collected: Collected) -> None:
    class Dying(sqlite3.Connection):
        def commit(self) -> None:
            raise KeyboardInterrupt("killed")

    with sqlite3.connect(database) as connection:
        outbox = perdure.Outbox(connection)
        for n in range(5):
            outbox.publish(Shipped(str(n)), key=str(n))
    with cluster_of(new_queue()) as cluster:
        cluster.handler(Shipped)(lambda message: collected.add(message.order))
        with pytest.raises(KeyboardInterrupt):
            perdure.OutboxRelay(cluster, lambda: sqlite3.connect(database, factory=Dying)).relay_once()
        assert rows(database) == 5
        assert perdure.OutboxRelay(cluster, lambda: sqlite3.connect(database)).relay_once() == 5
        cluster.drain(timeout=PATIENCE_S)
        assert sorted(collected.items) == ["0", "1", "2", "3", "4"]
        assert cluster.admin.metrics().published == 5


def test_a_process_that_owns_nothing_relays_once_and_is_refused_to_relay_on(database: Path) -> None:
    with sqlite3.connect(database) as connection:
        perdure.Outbox(connection).publish(Shipped("one"))
    with cluster_of(new_queue(), ownership="never") as cluster:
        relay = perdure.OutboxRelay(cluster, lambda: sqlite3.connect(database))
        with pytest.raises(perdure.PerdureError, match="owns no partitions"):
            relay.start()
        assert relay.relay_once() == 1
        assert sum(info.lag for info in cluster.partitions()) == 1


def test_a_relay_is_served_with_its_cluster_for_as_long_as_the_host_holds_it(database: Path) -> None:
    cluster = cluster_of(new_queue())
    relay = perdure.OutboxRelay(cluster, lambda: sqlite3.connect(database))
    assert cluster.parts == [relay]
    del relay
    assert cluster.parts == []


def test_a_cluster_that_runs_already_is_served_until_it_is_stopped() -> None:
    with cluster_of(new_queue(), ownership="never") as cluster:
        cluster.serve(started=cluster.stop)
        assert not cluster.running
