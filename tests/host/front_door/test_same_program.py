"""One program in each engine: a System on a folder, the owner of a shared folder, its client, PostgreSQL, a Cluster.

What is published, handled, refused, failed and mended is the same in all of them. Which options calls have is compared in
`test_same_in_each_engine`.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure
from tests.postgres_server import PATIENCE_S, new_queue, shared_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.host.conftest import Until

IN_POSTGRES = pytest.mark.xdist_group("postgres")
ENGINES = ["system", "owner", "client", pytest.param("postgres", marks=IN_POSTGRES), pytest.param("cluster", marks=IN_POSTGRES)]


@perdure.message(name="same.Order")
@attrs.frozen
class Order:
    number: int
    note: str = ""


@perdure.message(name="same.Receipt")
@attrs.frozen
class Receipt:
    number: int


class Engine:
    """`host` takes handlers; `running` gives what publishes and asks."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self._folder = folder
        makers: dict[str, Callable[[], Any]] = {
            "system": lambda: perdure.System(folder),
            "owner": lambda: perdure.System(folder, shared=True),
            "client": lambda: perdure.System(folder, shared=True),
            "postgres": lambda: perdure.System(store=perdure.PostgresStore(shared_server().dsn, name=new_queue())),
            "cluster": lambda: perdure.Cluster(shared_server().dsn, name=new_queue(), partitions=2),
        }
        self.host: perdure.System = makers[kind]()  # a Cluster has the same decorators

    @contextmanager
    def running(self) -> Iterator[Any]:
        with self.host:
            if self.kind == "client":
                with perdure.connect(self._folder) as client:
                    yield client
            else:
                yield self.host

    def systems(self) -> list[perdure.System]:
        """Return the Systems that have the actors."""
        if self.kind != "cluster":
            return [self.host]
        cluster: Any = self.host
        return [cluster.partition(info.number) for info in cluster.partitions()]


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, folder: Path) -> Engine:
    return Engine(request.param, folder)


def next_of(queue: Any) -> perdure.Delivery[Any]:
    """Return the next order; there must be one."""
    delivery: perdure.Delivery[Any] | None = queue.checkout(Order)
    assert delivery is not None
    return delivery


def ended(queue: Any) -> tuple[int, int]:
    """Return how many messages are completed, and how many are dead letters."""
    numbers = queue.admin.metrics()
    return numbers.completed, numbers.dead_letters


def test_deduplication(engine: Engine) -> None:
    with engine.running() as queue:
        first = queue.publish(Order(1), key="k")
        queue.publish(Order(2), key="k")
        assert queue.state(first).status == "superseded"
        running = next_of(queue)
        assert running.message == Order(2)
        newer = queue.publish(Order(3), key="k")
        assert queue.state(newer).status == "held"
        assert queue.checkout(Order) is None
        running.ack()
        following = next_of(queue)
        assert (following.message, following.attempt) == (Order(3), 1)
        following.ack()

        live = queue.publish(Order(4), key="r", dedup="reject", dedup_window=60.0)
        for _ in range(2):  # while it waits, and in the window after its end
            with pytest.raises(perdure.DuplicateKey, match=live) as refused:
                queue.publish(Order(5), key="r", dedup="reject")
            assert refused.value.live_id == live
            if queue.state(live).live:
                next_of(queue).ack()
        assert queue.admin.metrics().keys_held == 1

        labels = [queue.publish(Order(n), key="a", dedup="append") for n in (6, 7)]
        assert [queue.state(ident).status for ident in labels] == ["ready", "ready"]


def test_order(engine: Engine) -> None:
    with engine.running() as queue:
        for number, priority in ((1, 0), (2, 5), (3, -5), (4, 5)):  # one key, so that a Cluster has them in one partition
            queue.publish(Order(number), priority=priority, key="one", dedup="append")
        taken = []
        while (delivery := queue.checkout(Order)) is not None:
            taken.append(delivery.message.number)
            delivery.ack()
        assert taken == [2, 4, 1, 3]

        queue.publish_many([Order(number) for number in range(3)], group="g")
        for number in range(3):
            delivery = next_of(queue)
            assert delivery.message.number == number
            assert queue.checkout(Order) is None
            if number == 1:
                delivery.requeue("not yet")
                delivery = next_of(queue)
                assert (delivery.message.number, delivery.attempt) == (1, 2)
            delivery.ack()


def test_failures_and_dead_letters(engine: Engine, until: Until) -> None:
    done: list[tuple[int, str, int, str | None]] = []

    @engine.host.handler(Order, retries=1, backoff=0.01)
    def handle(order: Order, ctx: perdure.Context) -> None:
        ctx.publish(Receipt(order.number))
        if order.note == "raise":
            raise ValueError(order.number)
        if order.note == "reject":
            raise perdure.Reject("by hand")
        done.append((order.number, order.note, ctx.attempt, ctx.key))

    with engine.running() as queue:
        bad = queue.publish(Order(1, "raise"), key="k", headers={"h": "v"}, subject="ann", correlation_id="chain")
        refused = queue.publish(Order(2, "reject"))
        queue.publish(Order(3))
        until(lambda: ended(queue) == (1, 2))
        letter = queue.dead_letters.get(bad)
        assert (letter.message, letter.attempts, letter.exception, letter.error) == (Order(1, "raise"), 2, "ValueError", "1")
        assert (letter.key, dict(letter.headers), letter.subject, letter.correlation_id) == ("k", {"h": "v"}, "ann", "chain")
        assert "raise ValueError(order.number)" in letter.traceback
        assert [failure.attempt for failure in letter.failures] == [1, 2]
        assert (queue.dead_letters.get(refused).reason, queue.dead_letters.get(refused).attempts) == ("by hand", 1)
        assert queue.dead_letters.stats().by_type == {"same.Order": 2}
        assert [each.id for each in queue.dead_letters.list(where="subject=ann")] == [bad]
        receipt = queue.checkout(Receipt)
        assert (receipt.message, queue.checkout(Receipt)) == (Receipt(3), None)  # what failed has published nothing
        receipt.ack()

        queue.dead_letters.replay(bad, message=Order(1, "mended"))
        until(lambda: ended(queue) == (3, 1))
        assert done == [(3, "", 1, None), (1, "mended", 1, "k")]
        with pytest.raises(perdure.UnknownMessage):
            queue.dead_letters.replay(bad)
        assert queue.dead_letters.edit_where("type=same.Order", {"note": "edited"}).changed == 1
        until(lambda: ended(queue) == (4, 0))
        assert done[-1] == (2, "edited", 1, None)
        assert queue.dead_letters.list() == []


def test_results_and_stale_deliveries(engine: Engine, until: Until) -> None:
    @engine.host.handler(Receipt, retries=0)
    def answer(receipt: Receipt) -> int:
        if receipt.number < 0:
            raise ValueError(receipt.number)
        return receipt.number * 2

    with engine.running() as queue:
        assert queue.call(Receipt(21), timeout=PATIENCE_S) == 42
        kept = queue.publish(Receipt(2), keep_result=60.0)
        assert queue.result(kept, timeout=PATIENCE_S) == queue.result(kept, timeout=0) == 4
        with pytest.raises((ValueError, perdure.HandlerFailed), match="-1"):
            queue.call(Receipt(-1), timeout=PATIENCE_S)
        with pytest.raises(perdure.HandlerFailed, match="expired"):
            queue.call(Receipt(1), delay=60.0, ttl=0.05, timeout=PATIENCE_S)
        later = queue.publish(Receipt(3), delay=60.0, keep_result=60.0)
        with pytest.raises(TimeoutError):
            queue.result(later, timeout=0)
        assert (queue.cancel(later), queue.cancel(later), queue.state(later).status) == (True, False, "cancelled")
        with pytest.raises(perdure.Cancelled):
            queue.result(later, timeout=PATIENCE_S)

        queue.publish(Order(1))
        stale = queue.checkout(Order, lease=0.05)
        until(lambda: queue.state(stale.id).status == "ready")
        newer = next_of(queue)
        assert newer.attempt == 2
        assert newer.fencing_token > stale.fencing_token
        calls: dict[str, tuple[object, ...]] = {"ack": (), "requeue": (), "reject": ("x",), "extend": (5.0,), "heartbeat": (50,)}
        for name, arguments in calls.items():
            with pytest.raises(perdure.LeaseLost):
                getattr(stale, name)(*arguments)
        newer.ack()


def test_each_actor_is_killed_under_load(engine: Engine) -> None:
    """Every actor by its name, one after the other, while three threads publish; the books are balanced afterwards."""
    orders: list[int] = []
    receipts: list[int] = []

    @engine.host.handler(Order, parallelism=3, retries=20, backoff=0.0)
    def handle(order: Order, ctx: perdure.Context) -> None:
        orders.append(order.number)
        ctx.publish(Receipt(order.number))

    @engine.host.handler(Receipt, retries=20, backoff=0.0)
    def file(receipt: Receipt) -> None:
        receipts.append(receipt.number)

    acknowledged: list[int] = []
    over = threading.Event()

    def publish(queue: Any, number: int) -> None:
        while not over.is_set():
            queue.publish(Order(number))
            acknowledged.append(number)
            queue.publish_many([Order(number + n) for n in range(1, 5)])
            acknowledged.extend(range(number + 1, number + 5))
            number += 5

    with engine.running() as queue:
        publishers = [threading.Thread(target=publish, args=(queue, n * 1_000_000)) for n in range(3)]
        for thread in publishers:
            thread.start()
        killed, systems = 0, engine.systems()
        for system in systems:
            for name in system.actors.keys():  # noqa: SIM118 - not a dict
                before = len(acknowledged)
                try:
                    system.actors.kill(name)
                    killed += 1
                except KeyError:
                    continue  # its successor is not there yet
                for _ in range(int(PATIENCE_S / 0.01)):
                    if len(acknowledged) > before or over.wait(0.01):
                        break
                assert len(acknowledged) > before, f"nothing is published any more since {name} was killed"
        over.set()
        for thread in publishers:
            thread.join(PATIENCE_S)
        queue.drain(timeout=PATIENCE_S)
        numbers = queue.admin.metrics()
        verified = queue.audit.verify()
    assert killed >= len(systems) * 5
    assert len(set(acknowledged)) == len(acknowledged)
    assert set(orders) == set(receipts) == set(acknowledged)
    assert numbers.published == numbers.completed == 2 * len(acknowledged)
    assert numbers.dead_letters == 0
    assert all(each.ok for each in (verified.values() if engine.kind == "cluster" else [verified]))
