"""A System whose log is in PostgreSQL: the front door does all that it does on a folder, also while the database fails.

`pytest --store postgres tests/host` runs most other tests of host/ so. What a store must hold to is in `tests/store`.
"""

from __future__ import annotations

import contextlib
import random
import signal
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

import attrs
import pytest

import perdure
from perdure.runtime.spool_intake import WAIT_S, SpoolIntake
from tests.postgres_server import PATIENCE_S, Server, new_queue, shared_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.host.conftest import Collected, Until

pytestmark = pytest.mark.xdist_group("postgres")


@attrs.frozen
class Order:
    name: str


@attrs.frozen
class Quote:
    name: str


@pytest.fixture
def name() -> str:
    return new_queue()


def system_on(dsn: str, name: str, collected: Collected) -> perdure.System:
    """A system that handles orders, of which one kind fails, and answers quotes."""
    system = perdure.System(store=perdure.PostgresStore(dsn, name=name, lease=5.0), options=perdure.Options(retries=1))

    @system.handler(Order, backoff=perdure.Fixed(0.01))
    def handle(order: Order, ctx: perdure.Context) -> None:
        collected.add(order.name)
        if order.name == "bad":
            raise ValueError(order.name)
        if order.name == "chain":
            ctx.publish(Order("link"))

    @system.handler(Quote)
    def quote(quote: Quote) -> str:
        return f"price of {quote.name}"

    return system


def test_the_front_door_does_on_postgresql_what_it_does_on_a_folder(name: str, collected: Collected) -> None:
    dsn = shared_server().dsn
    with system_on(dsn, name, collected) as system:
        system.publish(Order("good"), id="good", key="k", headers={"from": "test"})
        system.publish_many([Order("chain"), Order("bad")], ids=["chain", "bad"])
        assert system.call(Quote("bolt"), timeout=PATIENCE_S) == "price of bolt"
        assert system.submit(Order("submitted"), id="submitted").result(PATIENCE_S) == "submitted"
        system.drain(timeout=PATIENCE_S)
        assert Counter(collected.items) == {"good": 1, "chain": 1, "link": 1, "bad": 2, "submitted": 1}
        assert [letter.id for letter in system.dead_letters.list()] == ["bad"]
        system.admin.pause(Order)
        system.publish(Order("waits"), id="waits")
        system.admin.snapshot()
    with system_on(dsn, name, collected) as system:
        assert system.state("waits").status == "ready"
        assert system.publish(Order("good"), id="good") == "good", "known from the run before"
        system.admin.resume(Order)
        system.dead_letters.replay_all()
        system.drain(timeout=PATIENCE_S)
        assert collected.items.count("good") == 1
        assert collected.items.count("waits") == 1
        assert [record.name for record in system.audit.timeline("waits")][:3] == ["Published", "Leased", "Completed"]
        assert system.audit.verify().ok
        assert system.audit.state_at(system.admin.metrics().seq).dead_letters == 1


def test_one_system_at_a_time_owns_a_partition(name: str, collected: Collected) -> None:
    dsn = shared_server().dsn
    with system_on(dsn, name, collected), pytest.raises(perdure.StoreLocked):
        system_on(dsn, name, collected).start()
    with system_on(dsn, name, collected) as system:
        system.publish(Order("of the second"))
        system.drain(timeout=PATIENCE_S)


def test_a_system_that_was_replaced_stops_without_being_used_and_leaves_the_log_to_the_next(
    name: str, collected: Collected, until: Until
) -> None:
    server = shared_server()
    first, second = (system_on(server.dsn, name, collected) for _ in range(2))
    with contextlib.ExitStack() as stack:
        stack.enter_context(first)
        first.publish(Order("of the first"), id="of the first")
        server.run(f"UPDATE perdure.lease SET owner = '', until = '-infinity' WHERE partition_id = {_partition(server, name)}")
        stack.enter_context(second)
        second.publish(Order("of the second"), id="of the second")
        until(lambda: isinstance(getattr(first.runtime.health.failed, "__cause__", None), perdure.OwnershipLost))
        with pytest.raises(perdure.NotRunning):
            first.publish(Order("too late"))
        second.drain(timeout=PATIENCE_S)
        assert second.audit.verify().ok
        published = [record.message_id for record in second.audit.events(type="Published")]
        assert published == ["of the first", "of the second"]


def test_a_start_that_is_replaced_while_it_takes_in_what_was_published_ends_at_once(
    name: str, collected: Collected, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = shared_server()
    with system_on(server.dsn, name, collected):
        pass
    with perdure.connect(server.dsn, name=name) as client:
        client.publish(Order("waits"), id="waits")
    store = perdure.PostgresStore(server.dsn, name=name, lease=5.0)
    system = perdure.System(store=store)
    take_in = SpoolIntake.take_in

    def take_in_late(intake: SpoolIntake) -> bool:
        assert store._lease is not None
        store._lease.lose(perdure.OwnershipLost("replaced by another process"))
        return take_in(intake)

    monkeypatch.setattr(SpoolIntake, "take_in", take_in_late)
    began_s = time.monotonic()
    with pytest.raises(perdure.NotRunning, match="replaced by another process"):
        system.start()
    assert time.monotonic() - began_s < WAIT_S / 2
    monkeypatch.undo()
    with system_on(server.dsn, name, collected) as successor:
        successor.drain(timeout=PATIENCE_S)
    assert collected.items == ["waits"]


def _partition(server: Server, name: str) -> int:
    [(number,)] = server.run(f"SELECT id FROM perdure.partition WHERE queue = '{name}'")
    assert isinstance(number, int)
    return number


@pytest.fixture
def server() -> Iterator[Server]:
    """The server that all tests of this process share: no other test runs meanwhile. It runs again afterwards."""
    shared = shared_server()
    yield shared
    if not shared.is_running:
        shared.start()


@pytest.mark.long(seconds=12)
def test_nothing_that_was_acknowledged_is_lost_or_doubled_while_the_database_fails(
    server: Server, name: str, collected: Collected
) -> None:
    """Its sessions are ended, it is restarted, it crashes, it is killed; publishers go on."""
    system = system_on(server.dsn, name, collected)
    acknowledged: set[str] = set()
    over = threading.Event()

    def publish(number: int) -> None:
        n = 0
        while not over.is_set():
            ident = f"{number}-{(n := n + 1)}"
            try:
                system.publish(Order(ident), id=ident)
            except perdure.PublishTimeout:
                continue  # in doubt
            except perdure.StoreUnavailable:
                time.sleep(0.01)  # refused: it is not there
            else:
                acknowledged.add(ident)

    failures = [
        server.end_all_sessions,
        server.kill,
        server.end_all_sessions,
        lambda: server.stop(signal.SIGQUIT),
        server.stop,
        server.end_all_sessions,
    ]
    rng = random.Random(11)
    with system:
        threads = [threading.Thread(target=publish, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for fail in failures:
            over.wait(rng.uniform(0.1, 0.4))
            fail()
            if not server.is_running:
                server.start()
        over.set()
        for thread in threads:
            thread.join()
        _drained(system)
        assert system.audit.verify().ok
        published = [record.message_id for record in system.audit.events(type="Published")]
    assert acknowledged
    assert acknowledged <= set(published)
    assert len(published) == len(set(published))
    assert acknowledged <= set(collected.items)


def _drained(system: perdure.System) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            system.drain(timeout=PATIENCE_S)
        except perdure.StoreUnavailable:
            assert time.monotonic() < until_s
            time.sleep(0.05)
        else:
            return
