"""Starts and stops of a Cluster that are interrupted: its partitions are free afterwards, at whatever line it was."""

from __future__ import annotations

import _thread
import asyncio
import threading
import time
from typing import TYPE_CHECKING

import attrs
import pytest

import perdure
from perdure.store.disk import background_thread
from tests.host.cluster.conftest import LEASE_S
from tests.interrupts import interrupted_at
from tests.postgres_server import new_queue, shared_server

if TYPE_CHECKING:
    from tests.host.conftest import Until

pytestmark = pytest.mark.xdist_group("postgres")

STEP = 4
"""Of the lines at which it is interrupted, each so many is tried: a start and a stop talk to a server."""


@perdure.message(name="order")
@attrs.frozen
class Order:
    name: str


def cluster_of(name: str) -> perdure.Cluster:
    return perdure.Cluster(shared_server().dsn, name=name, partitions=2, lease=LEASE_S)


def left_behind(cluster: perdure.Cluster) -> list[str]:
    """Return what still runs in this process for a cluster that was stopped."""
    owned = [f"partition {info.number} of {info.owner}" for info in cluster.partitions() if info.owner]
    return owned + [thread.name for thread in threading.enumerate() if thread.name.startswith(("perdure-node", "perdure-lease"))]


def test_an_interrupt_at_any_line_of_a_start_leaves_no_partition_open() -> None:
    cluster = cluster_of(new_queue())
    with cluster:
        pass  # the tables are there
    for n in range(1, 10_000, STEP):
        if not interrupted_at(n, cluster.__enter__):
            cluster.stop()
            break
        assert not cluster.running, n
        assert left_behind(cluster) == [], n
    assert n > STEP
    with cluster:
        assert len(cluster.publish_many([Order("a"), Order("b")])) == 2


def test_an_interrupt_at_any_line_of_a_stop_leaves_no_partition_open() -> None:
    cluster = cluster_of(new_queue())
    for n in range(3, 10_000, STEP):
        cluster.start()
        if not interrupted_at(n, cluster.stop):
            break
        assert not cluster.running, n
        assert left_behind(cluster) == [], n
    assert n > STEP


def test_an_interrupt_ends_the_grace_period() -> None:
    cluster = cluster_of(new_queue())
    began, release = threading.Barrier(2), threading.Event()

    @cluster.handler(Order)
    def wait(_order: Order) -> None:
        began.wait(30.0)
        release.wait(60.0)

    cluster.start()
    try:
        cluster.publish(Order("a"))
        began.wait(30.0)
        threading.Timer(0.3, _thread.interrupt_main).start()
        began_s = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            cluster.stop(50.0)
        assert time.monotonic() - began_s < 25.0
        assert left_behind(cluster) == []
    finally:
        release.set()
        cluster.stop()


def test_a_start_hook_of_a_start_that_is_interrupted_is_cancelled(until: Until) -> None:
    cluster = cluster_of(new_queue())
    seen: list[str] = []

    @cluster.on_start
    async def connect() -> None:
        seen.append("began")
        try:
            await asyncio.sleep(60.0)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    def interrupt() -> None:
        until(lambda: seen)
        _thread.interrupt_main()

    interrupting = threading.Thread(target=interrupt)
    interrupting.start()
    with pytest.raises(KeyboardInterrupt):
        cluster.start()
    interrupting.join()
    assert seen == ["began", "cancelled"]
    assert not cluster.running
    assert left_behind(cluster) == []


def test_a_stop_without_a_thread_to_be_had_closes_all_partitions(monkeypatch: pytest.MonkeyPatch) -> None:
    """As at the exit of the interpreter: from Python 3.12 on, no thread begins then."""

    def none(_thread: object) -> None:
        raise background_thread.NoThread("there is none")

    cluster = cluster_of(new_queue())
    cluster.start()
    monkeypatch.setattr(background_thread.BackgroundThread, "start", none)
    try:
        cluster.stop(1.0)
    finally:
        monkeypatch.undo()
    assert not cluster.running
    assert left_behind(cluster) == []


def test_a_cancelled_start_that_waits_behind_another_leaves_that_running() -> None:
    is_in_hook, may_go_on = threading.Event(), threading.Event()
    cluster = cluster_of(new_queue())

    @cluster.on_start
    def wait() -> None:
        is_in_hook.set()
        may_go_on.wait(60.0)

    def starts() -> int:
        return sum(thread.name.startswith("perdure-start") for thread in threading.enumerate())

    async def run() -> None:
        async def enter() -> None:
            async with cluster:
                raise AssertionError("entered")

        first = threading.Thread(target=cluster.start)
        first.start()
        await asyncio.to_thread(is_in_hook.wait)
        task = asyncio.ensure_future(enter())
        async with asyncio.timeout(30.0):
            while starts() < 2:  # noqa: ASYNC110 - threads are looked at
                await asyncio.sleep(0.005)
        task.cancel()
        await asyncio.sleep(0)
        may_go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(first.join)

    asyncio.run(run())
    try:
        assert cluster.running
        assert cluster.publish(Order("a"))
    finally:
        cluster.stop()
