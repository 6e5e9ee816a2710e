"""Publishing from any host through the database of a queue: the owner takes in what is there, once, whatever fails."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure
from perdure.actors.core.messages import TakeInRows
from perdure.actors.core.threads.answer import Answer
from perdure.actors.requests.pending import PendingRequests
from perdure.store import RowsGone
from tests.postgres_server import PATIENCE_S, Server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perdure.actors.requests.request import Request
    from tests.host.conftest import Collected, Until

pytestmark = pytest.mark.xdist_group("postgres")


@attrs.frozen
class Order:
    name: str


@pytest.fixture
def owner(server: Server, name: str, collected: Collected) -> perdure.System:
    """The owner of the queue, which handles orders. It has run before, so the tables are there."""
    system = perdure.System(store=perdure.PostgresStore(server.dsn, name=name))

    @system.handler(Order, dedup="reject")
    def handle(order: Order) -> None:
        collected.add(order.name)

    with system:
        pass
    return system


@pytest.fixture
def client(server: Server, name: str, owner: perdure.System) -> Iterator[perdure.Client]:
    with perdure.connect(server.dsn, name=name) as made:
        yield made


def test_a_publish_needs_no_owner_and_the_next_one_takes_it_in_once(
    owner: perdure.System, client: perdure.Client, collected: Collected
) -> None:
    for _ in range(2):
        assert client.publish(Order("early"), id="early", headers={"from": "afar"}) == "early"
    with owner:
        owner.drain(timeout=PATIENCE_S)
        assert collected.items == ["early"]
        assert client.publish(Order("early"), id="early") == "early"
        client.publish(Order("last"))
        collected.wait_for(2)
        assert collected.items == ["early", "last"]
        assert owner.audit.verify().ok


def test_each_way_to_publish_arrives_whole_and_in_order(
    owner: perdure.System, client: perdure.Client, collected: Collected
) -> None:
    async def publish_async() -> None:
        await client.apublish(Order("async"))

    with owner:
        client.publish_many([Order(f"many {n}") for n in range(300)])
        collected.wait_for(300)
        assert collected.items == [f"many {n}" for n in range(300)]
        for future in [client.submit(Order(f"submitted {n}")) for n in range(300)]:
            future.result(PATIENCE_S)
        collected.wait_for(600)
        assert collected.items[300:] == [f"submitted {n}" for n in range(300)]
        asyncio.run(publish_async())
        collected.wait_for(601)


def test_what_the_owner_refuses_is_a_dead_letter_with_the_reason(
    owner: perdure.System, client: perdure.Client, until: Until
) -> None:
    client.publish(Order("first"), id="first", key="k", delay=3600)
    client.publish(Order("second"), id="second", key="k")
    with owner:
        until(owner.dead_letters.list)
        [letter] = owner.dead_letters.list()
        assert (letter.id, letter.exception) == ("second", "perdure.DuplicateKey")


def test_without_an_owner_a_question_is_refused_in_time_and_publishing_goes_on(
    server: Server, name: str, owner: perdure.System
) -> None:
    with perdure.connect(server.dsn, name=name, timeout=1.0) as client:
        with pytest.raises(perdure.NotRunning, match="no process owns"):
            client.admin.metrics()
        client.publish(Order("all the same"))


def test_a_publisher_needs_the_right_to_publish_and_no_other(server: Server, name: str, owner: perdure.System) -> None:
    role = f"publisher_{abs(hash(name))}"
    server.run(f"CREATE ROLE {role} LOGIN")
    try:
        server.run(f"GRANT USAGE ON SCHEMA perdure TO {role}")
        server.run(f"GRANT SELECT ON perdure.version, perdure.cluster TO {role}")
        server.run(f"GRANT EXECUTE ON FUNCTION perdure.add_to_ingress TO {role}")
        with perdure.connect(server.dsn.replace("user=perdure", f"user={role}"), name=name) as client:
            client.publish(Order("allowed"), id="allowed")
        with owner:
            assert owner.state("allowed").status in ("ready", "leased", "completed")
    finally:
        server.run(f"DROP OWNED BY {role}")
        server.run(f"DROP ROLE {role}")


def test_a_row_counts_once_even_where_its_ids_are_forgotten(server: Server, name: str, collected: Collected) -> None:
    """The answer to a row that was taken in is lost, and it is taken in again when nothing remembers its messages."""
    system = perdure.System(store=perdure.PostgresStore(server.dsn, name=name))
    system.handler(Order)(lambda order: collected.add(order.name))
    rows: list[TakeInRows] = []

    class Watching(PendingRequests):
        def send(self, target: str, command: Any, *args: Any, **options: Any) -> Request:
            if isinstance(command, TakeInRows):
                rows.append(command)
            return super().send(target, command, *args, **options)

    with system, perdure.connect(server.dsn, name=name) as client:
        pending = system._pending
        pending.__class__ = Watching
        client.publish(Order("once"), id="once")
        collected.wait_for(1)
        system.drain(timeout=PATIENCE_S)
        answer = Answer()
        [(row, drafts)] = rows[0].rows
        unknown = [draft._replace(id="not remembered") for draft in drafts]
        pending.send("queue", TakeInRows([(row, unknown)], in_append=True), answer, from_outside=False)
        with pytest.raises(RowsGone):
            answer.wait(PATIENCE_S)
        system.publish(Order("later"))
        collected.wait_for(2)
        assert collected.items == ["once", "later"]
        assert "not remembered" not in [record.message_id for record in system.audit.events(type="Published")]


def test_a_queue_must_be_named(server: Server) -> None:
    with pytest.raises(perdure.StoreUnavailable, match="which queue"):
        perdure.connect(server.dsn)


@pytest.mark.long(seconds=6)
def test_nothing_is_lost_or_doubled_while_sessions_end_and_the_server_is_killed(
    server: Server, owner: perdure.System, client: perdure.Client, collected: Collected
) -> None:
    acknowledged: set[str] = set()
    over = threading.Event()

    def publish(number: int) -> None:
        n = 0
        while not over.is_set():
            ident = f"{number}-{(n := n + 1)}"
            acknowledged.add(client.publish(Order(ident), id=ident))

    with owner:
        threads = [threading.Thread(target=publish, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        for fail in (server.end_all_sessions, server.kill, server.end_all_sessions):
            over.wait(0.4)
            fail()
            if not server.is_running:
                server.start()
        over.wait(0.4)
        over.set()
        for thread in threads:
            thread.join(PATIENCE_S)
        until_s = time.monotonic() + PATIENCE_S
        while not acknowledged <= set(collected.items):
            assert time.monotonic() < until_s
            time.sleep(0.05)
        published = [record.message_id for record in owner.audit.events(type="Published")]
        assert len(published) == len(set(published))
        assert owner.audit.verify().ok


def test_publishers_of_one_process_that_come_back_together_share_a_row_set(
    server: Server, name: str, owner: perdure.System
) -> None:
    """Where a commit takes its time, the first of them waits a moment for those that are known to come."""
    with perdure.connect(server.dsn, name=name) as client:
        connection: Any = client._connection
        added: list[int] = []
        add = connection._ingress.add

        def counted(bodies: list[bytes], wall_us: int | None) -> None:
            added.append(len(bodies))
            add(bodies, wall_us)

        connection._ingress.add = counted
        connection._gathering = Expecting(4)
        together([lambda: client.publish(Order("single"))] * 4)
        client.publish_many([Order("a"), Order("b")])  # waits for none
    assert added == [4, 1]


class Expecting:
    """Stands in for what earlier commits said: so many publishers come."""

    is_worth_it = True

    def __init__(self, count: int) -> None:
        self._count = count

    def wait_s(self, waiting: int, _now_s: float) -> float:
        return PATIENCE_S if waiting < self._count else 0.0

    def committed(self, _took_s: float, answered: int, *, more_came: bool) -> None:
        assert answered
        assert not more_came


def together(calls: list[Any]) -> None:
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
