"""The middleware of a Cluster, or of a client of one, sees the same calls whichever process owns the partition."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure
from tests.postgres_server import new_queue, shared_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from perdure.processes.client import Client

pytestmark = pytest.mark.xdist_group("postgres")


@perdure.message(name="seen.Order")
@attrs.frozen
class Order:
    number: int


class Noting(perdure.Middleware):
    """Notes each call that passes it."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def publish(self, message: Any, options: dict[str, Any], call_next: Callable[[Any, dict[str, Any]], str]) -> str:
        self.calls.append("publish")
        return call_next(message, options)

    def send(self, messages: Sequence[Any], call_next: Callable[[], Any]) -> Any:
        self.calls.append("send")
        return call_next()

    def receive(self, type_name: str, call_next: Callable[[], Any]) -> Any:
        self.calls.append(f"receive {type_name}")
        return call_next()

    def settle(self, delivery: Any, operation: str, call_next: Callable[[], None]) -> None:
        self.calls.append(f"settle {operation}")
        call_next()


@pytest.fixture
def name() -> Iterator[str]:
    name = new_queue()
    with perdure.Cluster(shared_server().dsn, name=name, partitions=2):
        yield name


def cluster_of_none(name: str, noting: Noting) -> perdure.Cluster:
    return perdure.Cluster(shared_server().dsn, name=name, partitions=2, ownership="never", middleware=[noting])


def client(name: str, noting: Noting) -> Client:
    return perdure.connect(shared_server().dsn, name=name, middleware=[noting])


@pytest.mark.parametrize("front", [cluster_of_none, client])
def test_each_call_passes_it_once(name: str, front: Callable[[str, Noting], Any]) -> None:
    noting = Noting()
    with front(name, noting) as queue:
        queue.publish(Order(1))
        delivery = queue.checkout(Order)
        assert delivery is not None
        delivery.ack()
        assert noting.calls == ["send", "publish", "receive seen.Order", "settle ack"]


def test_so_do_those_of_one_partition(name: str) -> None:
    noting = Noting()
    with cluster_of_none(name, noting) as cluster:
        partition = cluster.partition(1)
        partition.publish(Order(1))
        delivery = partition.checkout(Order)
        assert delivery is not None
        delivery.reject("not today")
        assert noting.calls == ["send", "publish", "receive seen.Order", "settle reject"]
