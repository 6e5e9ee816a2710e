"""Forks of a process with a Cluster, or with a client of one: calls in the child work or say what became of it, and none hangs."""

from __future__ import annotations

import pytest

import perdure
from tests.host.cluster.conftest import LEASE_S
from tests.host.forks.forked_calls import Job, Other, calls_of, check_refused, check_works, outcomes, start_under_way
from tests.host.forks.test_forked import in_a_child
from tests.postgres_server import new_queue, shared_server

pytestmark = [
    pytest.mark.xdist_group("postgres"),
    pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning"),
]


def cluster_of(name: str) -> perdure.Cluster:
    return perdure.Cluster(shared_server().dsn, name=name, partitions=2, lease=LEASE_S)


def test_calls_to_a_cluster_that_the_parent_runs() -> None:
    with cluster_of(new_queue()) as cluster:
        ident = cluster.publish(Job(0))
        calls = calls_of(cluster, ident) | {"running": lambda: cluster.running, "handler": lambda: cluster.handler(Job)(print)}
        calls |= {"partitions": lambda: len(cluster.partitions()), "partition": lambda: cluster.partition(0)}
        calls |= {"start": cluster.start, "enter": cluster.__enter__, "stop": cluster.stop}
        check_refused(outcomes(calls))
        assert cluster.running
        assert cluster.publish(Job(1))


def test_calls_to_a_cluster_whose_start_is_under_way() -> None:
    cluster = cluster_of(new_queue())
    with start_under_way(cluster):
        check_refused(outcomes({"publish": lambda: cluster.publish(Job(1)), "start": cluster.start, "stop": cluster.stop}))


def test_a_cluster_that_does_not_run_starts_in_the_child() -> None:
    cluster = cluster_of(new_queue())
    calls = {"start": cluster.start, "publish": lambda: cluster.publish(Job(1)), "stop": cluster.stop, "once more": cluster.start}
    check_works(outcomes(calls | {"stop then": cluster.stop}), {})
    with cluster:
        pass
    check_works(outcomes(calls | {"stop then": cluster.stop}), {})


def test_a_client_of_a_cluster_goes_on_in_the_child() -> None:
    name = new_queue()
    with cluster_of(name) as cluster:
        cluster.handler(Other)(print)
        with perdure.connect(shared_server().dsn, name=name) as client:
            ident = client.publish(Job(0))
            unlike = {"call": "UnknownMessageType: ", "result": "UnknownMessage: ", "drain": "TimeoutError: "}
            check_works(outcomes(calls_of(client, ident) | {"close": client.close}), unlike)
            assert client.publish(Job(1))


def test_children_of_one_parent_make_ids_of_their_own() -> None:
    """Made before the fork and started after it, as under gunicorn with --preload: equal ids would count as one message."""
    clock = perdure.ManualClock()
    dsn, name = shared_server().dsn, new_queue()
    cluster = perdure.Cluster(dsn, name=name, partitions=2, ownership="never", clock=clock)

    def publish() -> list[str]:
        with cluster:
            return [cluster.publish(Job(n)) for n in range(10)]

    first, second = in_a_child(publish), in_a_child(publish)
    assert len(first) == len(second) == 10
    assert not set(first) & set(second)


def test_calls_to_a_system_in_a_database_and_its_client() -> None:
    name = new_queue()
    with perdure.System(store=perdure.PostgresStore(shared_server().dsn, name=name)) as system:
        system.handler(Other)(print)
        ident = system.publish(Job(0))
        check_refused(outcomes(calls_of(system, ident)))
        with perdure.connect(shared_server().dsn, name=name) as client:
            unlike = {"call": "UnknownMessageType: ", "result": "UnknownMessage: ", "drain": "TimeoutError: "}
            check_works(outcomes(calls_of(client, ident) | {"close": client.close}), unlike)
    calls = {"start": system.start, "publish": lambda: system.publish(Job(1)), "stop": system.stop}
    check_works(outcomes(calls), {})
