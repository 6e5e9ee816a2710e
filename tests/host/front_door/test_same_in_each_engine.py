"""A System, a Client and a Cluster have the same calls with the same options; what a Cluster has otherwise is said here.

What `audit` of a Cluster answers, too: it reads the logs of all partitions.
"""

from __future__ import annotations

import datetime as dt
import inspect
import time
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure
from perdure.cluster.cluster_audit import ClusterAudit
from perdure.cluster.sums import ClusterAdmin, ClusterDeadLetters
from perdure.operations.admin import Admin
from perdure.operations.asked_audit import AskedAudit
from perdure.operations.dead_letters import DeadLetters
from tests.postgres_server import PATIENCE_S, new_queue, shared_server

if TYPE_CHECKING:
    from collections.abc import Iterator

SHARED = [
    *("publish", "publish_many", "submit", "apublish", "asubmit", "call", "acall"),
    *("result", "state", "astate", "cancel", "drain", "adrain", "checkout"),
]
DECLARING = ["handler", "batch_handler", "every", "on_start", "on_stop"]
OF_ONE_LOG = {"follow", "first_seq", "seq_at"}
"""What only the `Audit` of one partition has."""
OTHER_OPTIONS = {"id", "progress", "head"}
"""Options that bulk acts and `verify` of a Cluster do not have."""


@attrs.frozen
class Parcel:
    number: int


def options(function: Any) -> list[tuple[str, Any, Any]]:
    """Return the parameters of a call by name, kind and default."""
    return [(each.name, each.kind, each.default) for each in inspect.signature(function).parameters.values()]


@pytest.mark.parametrize("kind", [perdure.Client, perdure.Cluster])
@pytest.mark.parametrize("name", SHARED)
def test_a_call_has_the_options_of_a_systems(kind: type, name: str) -> None:
    assert options(getattr(kind, name)) == options(getattr(perdure.System, name))


@pytest.mark.parametrize("kind", [perdure.Cluster, perdure.Handlers])
@pytest.mark.parametrize("name", DECLARING)
def test_a_decorator_has_the_options_of_a_systems(kind: type, name: str) -> None:
    assert options(getattr(kind, name)) == options(getattr(perdure.System, name))


@pytest.mark.parametrize(
    ("kind", "of_one"),
    [(ClusterAdmin, Admin), (ClusterDeadLetters, DeadLetters), (ClusterAudit, perdure.Audit), (AskedAudit, perdure.Audit)],
)
def test_what_operators_call_has_the_options_of_a_systems(kind: type, of_one: type) -> None:
    for name in [name for name in vars(of_one) if not name.startswith("_")]:
        if kind is ClusterAudit and name in OF_ONE_LOG:
            continue
        whole, one = getattr(kind, name), getattr(of_one, name)
        if not callable(one):
            continue
        missing = {option[0] for option in options(one)} - {option[0] for option in options(whole)}
        assert missing <= (OTHER_OPTIONS if kind is not AskedAudit else set()), name
        assert all(option[1] is not inspect.Parameter.VAR_KEYWORD for option in options(whole)), name


@pytest.fixture
def cluster() -> Iterator[perdure.Cluster]:
    with perdure.Cluster(shared_server().dsn, name=new_queue(), partitions=2) as cluster:
        yield cluster


@pytest.mark.xdist_group("postgres")
def test_the_history_of_a_cluster_is_that_of_all_its_partitions(cluster: perdure.Cluster) -> None:
    @cluster.handler(Parcel, retries=0)
    def handle(parcel: Parcel) -> None:
        if parcel.number >= 4:
            raise ValueError(parcel.number)

    before = time.time()
    ids = [cluster.publish(Parcel(n), subject=f"customer {n % 2}") for n in range(6)]
    cluster.drain(PATIENCE_S)
    now = cluster.admin.metrics()
    with perdure.acting_as("ann"):
        cluster.admin.pause(Parcel)
    after = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=1)

    then = cluster.audit.state_at(after)
    names = ("published", "completed", "failed", "dead_letters", "ready", "in_flight")
    assert [getattr(then, name) for name in names] == [getattr(now, name) for name in names] == [6, 4, 2, 2, 0, 0]
    assert cluster.audit.state_at(before - 60).published == 0
    assert {found.id for _, found in cluster.audit.search('subject="customer 1"')} == set(ids[1::2])
    assert {number for number, _ in cluster.audit.search("type!=nothing")} == {0, 1}
    assert [(number, act.action, act.principal) for number, act in cluster.audit.acts()] == [
        (0, "pause", "ann"),
        (1, "pause", "ann"),
    ]
    assert "dead letter" in cluster.audit.explain(ids[5])
    assert {letter.id for letter in cluster.dead_letters.list(where='subject="customer 1"')} == {ids[5]}
    assert len(list(cluster.audit.events(type="Published", since=float(before - 60), until=after))) == 6
    with perdure.connect(shared_server().dsn, name=cluster.name) as client:
        whole: Any = client.audit
        assert whole.state_at(after).published == 6
        assert whole.explain(ids[5]) == cluster.audit.explain(ids[5])


@pytest.mark.xdist_group("postgres")
def test_a_sequence_number_is_one_of_a_partition(cluster: perdure.Cluster) -> None:
    ident = cluster.publish(Parcel(1))
    with pytest.raises(perdure.InvalidMessage, match=r"partition\(0\)\.state_at\(5\)"):
        cluster.audit.state_at(5)
    home = cluster.home_of(ident)
    assert cluster.audit.partition(home).state_at(2**62).published == 1
    for wrong in (None, "2026", dt.datetime(2026, 1, 1)):  # noqa: DTZ001 - that is the point
        with pytest.raises(perdure.InvalidMessage, match="when"):
            cluster.audit.state_at(wrong)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(perdure.UnknownMessage):
        cluster.audit.explain("nothing")
