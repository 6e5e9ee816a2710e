"""Within `acting_as`, a Cluster asks its own `authorize`, whichever process owns the partition that is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure
from perdure.operations import asked_audit
from tests.postgres_server import new_queue, shared_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.xdist_group("postgres")


@perdure.message(name="spread.Order")
@attrs.frozen
class Order(perdure.Returns[int]):
    number: int


@perdure.message(name="spread.Letter")
@attrs.frozen
class Letter:
    number: int


def rules(principal: str, _action: str, type_name: str) -> bool:
    """Hosts may do all that they ask for through the database."""
    if principal == "postman":
        return type_name in ("", "spread.Letter")
    return principal == "ann" or principal.startswith("database")


@pytest.fixture(scope="module")
def clusters() -> Iterator[dict[str, perdure.Cluster]]:
    """Two processes of a queue, as it were: one owns all partitions, the other none."""
    made = {
        ownership: perdure.Cluster(shared_server().dsn, name=name, partitions=2, authorize=rules, ownership=ownership)
        for name in [new_queue()]
        for ownership in ("auto", "never")
    }
    with made["auto"] as owner, made["never"]:
        for number in range(2):
            owner.publish_many([Order(number), Letter(number)], keys=[f"key-{number}"] * 2)
        _reject_an_order(owner)
        owner.dead_letters.replay_where("type=spread.Order", id="again")
        _reject_an_order(owner)
        owner.admin.pause(Order)
        yield made


def _reject_an_order(cluster: perdure.Cluster) -> None:
    delivery = cluster.checkout(Order)
    assert delivery is not None
    delivery.reject("secret")


LAZY: dict[str, Callable[[Any], Iterator[Any]]] = {
    "events": lambda audit: audit.events(),
    "events of a kind": lambda audit: audit.events(type="DeadLettered"),
    "search": lambda audit: audit.search("type=spread.Order"),
    "acts": lambda audit: audit.acts(),
}


@pytest.mark.parametrize("ownership", ["auto", "never"])
@pytest.mark.parametrize("call", LAZY)
def test_an_audit_yields_none_of_a_type_that_may_not_be_seen(
    clusters: dict[str, perdure.Cluster], call: str, ownership: str
) -> None:
    audit = clusters[ownership].audit
    with perdure.acting_as("postman"):
        hidden = LAZY[call](audit)
    with pytest.raises(perdure.NotAllowed):
        assert not any(_is_of_orders(found) for found in hidden)
    with perdure.acting_as("ann"):
        assert any(_is_of_orders(found) for found in LAZY[call](audit))


def test_an_audit_yields_what_may_be_seen(clusters: dict[str, perdure.Cluster]) -> None:
    with perdure.acting_as("postman"):
        records = [record for _, record in clusters["auto"].audit.events(type="spread.Letter")]
    assert len(records) == 2
    assert not any(_is_of_orders(record) for record in records)


def test_an_audit_of_a_partition_that_runs_here_folds_no_log_to_know_its_types(
    clusters: dict[str, perdure.Cluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(asked_audit, "fold_log", refused)
    audit = clusters["auto"].audit.partition(0)
    with perdure.acting_as("ann"):
        assert list(audit.events())
    with perdure.acting_as("postman"), pytest.raises(perdure.NotAllowed):
        list(audit.events())


ASKED: dict[str, Callable[[perdure.Cluster], Any]] = {
    "metrics": lambda cluster: cluster.admin.metrics(),
    "handlers": lambda cluster: cluster.admin.handlers(),
    "list": lambda cluster: cluster.dead_letters.list(),
    "stats": lambda cluster: cluster.dead_letters.stats(),
    "count letters": lambda cluster: cluster.dead_letters.count_where("type=spread.Order"),
    "count messages": lambda cluster: cluster.admin.count_where("type=spread.Order"),
    "pause": lambda cluster: cluster.admin.pause(Order),
    "resume": lambda cluster: cluster.admin.resume(Order),
    "purge": lambda cluster: cluster.dead_letters.purge(type=Order),
    "replay": lambda cluster: cluster.dead_letters.replay_all(),
    "replay where": lambda cluster: cluster.dead_letters.replay_where("type=spread.Order"),
    "cancel where": lambda cluster: cluster.admin.cancel_where("type=spread.Order"),
    "drain": lambda cluster: cluster.drain(0.0),
    "checkout": lambda cluster: cluster.checkout(Order),
    "publish": lambda cluster: cluster.publish(Order(3)),
    "publish into a partition": lambda cluster: cluster.partition(0).publish(Order(3)),
    "audit of a partition": lambda cluster: [cluster.partition(number).audit.events() for number in range(2)],
    "acts on a partition": lambda cluster: cluster.partition(0).admin.scale(Order, 0),
}
"""What takes a right for orders."""
ASKED_OF_ALL: dict[str, Callable[[perdure.Cluster], Any]] = {
    "snapshot": lambda cluster: cluster.admin.snapshot(),
    "bulk": lambda cluster: cluster.dead_letters.bulk("again"),
    "bulks": lambda cluster: cluster.dead_letters.bulks(),
}


@pytest.mark.parametrize("ownership", ["auto", "never"])
@pytest.mark.parametrize("call", [*ASKED, *ASKED_OF_ALL])
def test_what_another_process_answers_is_asked_for_here(clusters: dict[str, perdure.Cluster], call: str, ownership: str) -> None:
    cluster = clusters[ownership]
    before = sum(1 for _ in cluster.audit.acts())
    for principal in ("nobody", "postman") if call in ASKED else ("nobody",):
        with perdure.acting_as(principal), pytest.raises(perdure.NotAllowed, match=f"{principal} may not"):
            {**ASKED, **ASKED_OF_ALL}[call](cluster)
    assert sum(1 for _ in cluster.audit.acts()) == before


def _is_of_orders(found: Any) -> bool:
    return "spread.Order" in repr(found)
