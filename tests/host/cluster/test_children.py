"""What a handler publishes finds the partition of its key, also where that is another one than its own; and it counts once."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure
from perdure.cluster import draining
from perdure.cluster.routing import of_id, of_text
from perdure.store.postgres.spread_ingress import SpreadIngress
from tests.host.cluster.conftest import LEASE_S, PARTITIONS
from tests.postgres_server import PATIENCE_S, new_queue, shared_server

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.host.conftest import Collected

pytestmark = pytest.mark.xdist_group("postgres")

KEYS = [f"key {n}" for n in range(6)]


@perdure.message(name="parent")
@attrs.frozen
class Parent:
    name: str


@perdure.message(name="child")
@attrs.frozen
class Child:
    key: str


def cluster_of(name: str) -> perdure.Cluster:
    return perdure.Cluster(shared_server().dsn, name=name, partitions=PARTITIONS, lease=LEASE_S)


def test_children_go_to_the_partition_of_their_key_and_stay_without_one(collected: Collected) -> None:
    with cluster_of(new_queue()) as cluster:

        @cluster.handler(Parent)
        def handle(message: Parent, ctx: perdure.Context) -> None:
            made = [ctx.publish(Child(key), key=key) for key in KEYS]
            made += [ctx.publish(Child("group"), group="group"), ctx.publish(Child("none")), ctx.publish(Child("id"), id="given")]
            collected.add(made)

        @cluster.handler(Child)
        def handle_child(message: Child, ctx: perdure.Context) -> None:
            assert ctx.correlation_id == ctx.causation_id == parent

        parent = cluster.publish(Parent("one"), key="of the parent")
        cluster.drain(timeout=PATIENCE_S)
        where = {record.message_id: number for number, record in cluster.audit.events(type="Published")}
        [made] = collected.items
        assert [where[ident] for ident in made[:6]] == [of_text(key, PARTITIONS) for key in KEYS]
        assert where[made[6]] == of_text("group", PARTITIONS)
        assert where[made[7]] == where[parent] == of_text("of the parent", PARTITIONS)
        assert where["given"] == of_id("given", PARTITIONS)
        assert {cluster.state(ident).status for ident in made} == {"completed"}
        assert [record.name for record in cluster.audit.timeline(made[0])][-1] == "Completed"


def test_an_attempt_that_is_made_again_publishes_its_children_once(monkeypatch: pytest.MonkeyPatch) -> None:
    add, lost = SpreadIngress.add, [True]

    def add_and_lose_the_answer(self: SpreadIngress, bodies: Mapping[int, bytes], wall_us: int | None) -> None:
        add(self, bodies, wall_us)
        if lost.pop() if lost else False:
            raise perdure.StoreUnavailable("the answer was lost for good")

    monkeypatch.setattr(SpreadIngress, "add", add_and_lose_the_answer)
    with cluster_of(new_queue()) as cluster:

        @cluster.handler(Parent, retries=3, backoff=perdure.Fixed(0.0))
        def handle(message: Parent, ctx: perdure.Context) -> None:
            for key in KEYS:
                ctx.publish(Child(key), key=key)
                ctx.publish(Child(key), key=key, dedup="append")

        cluster.handler(Child)(lambda message: None)
        cluster.publish(Parent("one"))
        cluster.drain(timeout=PATIENCE_S)
        published = Counter(record.message_id for _, record in cluster.audit.events(type="Published"))
        assert set(published.values()) == {1}
        assert published.total() == 13
        assert len(list(cluster.audit.events(type="AttemptFailed"))) == 1


def test_an_attempt_that_fails_publishes_no_child_anywhere() -> None:
    with cluster_of(new_queue()) as cluster:

        @cluster.handler(Parent, retries=0)
        def handle(message: Parent, ctx: perdure.Context) -> None:
            for key in KEYS:
                ctx.publish(Child(key), key=key)
            raise ValueError("after all")

        cluster.publish(Parent("one"))
        cluster.drain(timeout=PATIENCE_S)
        assert cluster.dead_letters.stats().total == 1
        assert cluster.admin.metrics().published == 1


def test_a_batch_and_a_stop_let_children_through() -> None:
    name = new_queue()
    cluster = cluster_of(name)

    @cluster.batch_handler(Parent, size=5, wait=0.5)
    def handle(batch: perdure.Batch[Parent]) -> None:
        for item in batch:
            for key in KEYS:
                item.publish(Child(item.message.name + key), key=item.message.name + key)

    with cluster:
        cluster.publish_many([Parent(f"{n}") for n in range(5)])
    with cluster:  # the stop waited for the batch that was under way, and took what had not begun back
        cluster.handler(Child)(lambda message: None)
        cluster.drain(timeout=PATIENCE_S)
        published = Counter(record.message_id for _, record in cluster.audit.events(type="Published"))
    assert published.total() == len(published) == 5 + 5 * len(KEYS)


def test_drain_waits_for_a_child_in_a_partition_that_was_empty_when_it_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    with cluster_of(new_queue()) as cluster:
        first, last = (next(key for key in KEYS if of_text(key, PARTITIONS) == number) for number in (0, PARTITIONS - 1))
        begun, go_on, asked_again = threading.Event(), threading.Event(), threading.Event()
        done: list[str] = []

        @cluster.handler(Parent)
        def handle(_: Parent, ctx: perdure.Context) -> None:
            go_on.wait(PATIENCE_S)
            ctx.publish(Child(first), key=first)

        @cluster.handler(Child)
        def handle_child(message: Child) -> None:
            begun.set()
            asked_again.wait(PATIENCE_S)
            done.append(message.key)

        looked = cluster._ingress_waits

        def look_once_the_child_is_taken_in() -> bool:
            go_on.set()
            assert begun.wait(PATIENCE_S)
            return looked()

        drain_one = draining._left_after

        def drain(partition: Any, seconds: float) -> str:
            if partition is cluster.partition(PARTITIONS - 1):
                go_on.set()
            elif begun.is_set():
                asked_again.set()
            return drain_one(partition, seconds)

        monkeypatch.setattr(cluster, "_ingress_waits", look_once_the_child_is_taken_in)
        monkeypatch.setattr(draining, "_left_after", drain)
        cluster.publish(Parent("one"), key=last)
        cluster.drain(timeout=PATIENCE_S)
        done_then = list(done)
        asked_again.set()
        assert done_then == [first]
