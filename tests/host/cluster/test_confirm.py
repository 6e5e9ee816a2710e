"""Publishers of other processes that wait for the owner's word: what it refuses is raised to them, and becomes no dead letter."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import attrs
import pytest

import perdure
from tests.postgres_server import PATIENCE_S, new_queue, shared_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.host.conftest import Until

pytestmark = pytest.mark.xdist_group("postgres")

PARTITIONS = 2
BACKLOG = 5


@perdure.message(name="order")
@attrs.frozen
class Order:
    name: str


@pytest.fixture
def owner() -> Iterator[perdure.Cluster]:
    """Owns all partitions; its handlers are paused, and its backlog is small."""
    options = perdure.Options(backlog_max=BACKLOG, publish_timeout_s=0.2)
    cluster = perdure.Cluster(shared_server().dsn, name=new_queue(), partitions=PARTITIONS, options=options)

    @cluster.handler(Order, dedup="reject")
    def handle(order: Order) -> None:
        pass

    with cluster:
        cluster.admin.pause()
        yield cluster


def connected(owner: perdure.Cluster) -> perdure.Client:
    return perdure.connect(shared_server().dsn, name=owner.name, timeout=PATIENCE_S, confirm="owner")


def test_what_the_owner_refuses_is_raised_to_the_publisher(owner: perdure.Cluster) -> None:
    with connected(owner) as client:
        assert client.publish(Order("first"), id="first", key="k") == "first"
        with pytest.raises(perdure.DuplicateKey):
            client.publish(Order("second"), key="k")
        assert client.publish(Order("first"), id="first", key="k") == "first"
        with pytest.raises(perdure.DuplicateKey):
            client.submit(Order("third"), key="k").result(PATIENCE_S)
        with pytest.raises(perdure.DuplicateKey):
            asyncio.run(client.apublish(Order("fourth"), key="k"))
        for n in range(BACKLOG - 1):
            client.publish(Order(f"{n}"), group="k")  # of the same partition
        with pytest.raises(perdure.QueueFull):
            client.publish(Order("one too many"), group="k")
    assert owner.dead_letters.list() == []
    assert owner.admin.metrics().ready + owner.admin.metrics().held == BACKLOG


def test_a_process_that_owns_nothing_waits_for_the_owner_too(owner: perdure.Cluster) -> None:
    dsn = shared_server().dsn
    with perdure.Cluster(dsn, name=owner.name, partitions=PARTITIONS, ownership="never", confirm="owner") as afar:
        afar.publish_many([Order("a"), Order("b")])
        afar.publish(Order("keyed"), key="k")
        with pytest.raises(perdure.DuplicateKey):
            afar.publish(Order("keyed"), key="k")
        assert afar.admin.metrics().published == 3
        keys = [str(n) for n in range(20)]
        with pytest.raises(perdure.InvalidMessage, match="belong to 2 partitions"):
            afar.publish_many([Order(key) for key in keys], keys=keys)
        assert afar.admin.metrics().published == 3


def test_a_publisher_that_waits_for_an_owner_goes_on_with_the_next_one() -> None:
    server, name = shared_server(), new_queue()
    first = perdure.System(store=perdure.PostgresStore(server.dsn, name=name))
    with first:
        client = perdure.connect(server.dsn, name=name, timeout=PATIENCE_S, confirm="owner")
        client.publish(Order("before"), id="before")
    with client:
        future = client.submit(Order("meanwhile"), id="meanwhile")
        assert not future.done()
        with perdure.System(store=perdure.PostgresStore(server.dsn, name=name)) as second:
            assert future.result(PATIENCE_S) == "meanwhile"
            assert second.admin.metrics().published == 2


def test_unless_it_waits_what_the_owner_refuses_by_its_handlers_policy_is_a_dead_letter(
    owner: perdure.Cluster, until: Until
) -> None:
    with perdure.connect(shared_server().dsn, name=owner.name) as client:
        client.publish(Order("first"), id="first", key="k")
        client.publish(Order("second"), id="second", key="k")
        until(owner.dead_letters.list)
    [letter] = owner.dead_letters.list()
    assert (letter.id, letter.exception) == ("second", "perdure.DuplicateKey")


def test_without_an_owner_nothing_is_published(owner: perdure.Cluster) -> None:
    owner.stop()
    with (
        perdure.connect(shared_server().dsn, name=owner.name, timeout=0.3, confirm="owner") as client,
        pytest.raises(perdure.NotRunning, match="no process owns"),
    ):
        client.publish(Order("without an owner"))
    assert not any(info.lag for info in owner.partitions())


def test_a_wrong_choice_is_a_clear_error() -> None:
    with pytest.raises(perdure.InvalidMessage, match="confirm"):
        perdure.Cluster(shared_server().dsn, name=new_queue(), confirm="both")  # type: ignore[arg-type] # that is the point
    with pytest.raises(perdure.InvalidMessage, match="spool"):
        perdure.connect(shared_server().dsn, name=new_queue(), confirm="owner", spool=True)
