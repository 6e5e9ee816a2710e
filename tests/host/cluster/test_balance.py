"""Which node owns which partition: each has one, no node has more than its share, and few move when nodes come and go."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perdure.actors.core.clock import SystemClock
from perdure.cluster.owning.balance import Plan, Seen, assigned, plan
from perdure.cluster.routing import PARTITIONS_MAX, PartitionIds, of_id, of_text

NODES = st.sets(st.integers(0, 1_000).map("host-{}".format), min_size=1, max_size=6)
PARTITIONS = st.integers(1, 20)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(NODES, PARTITIONS)
def test_every_partition_has_a_node_and_no_node_more_than_its_share(nodes: set[str], partitions: int) -> None:
    found = assigned(nodes, partitions)
    assert sorted(found) == list(range(partitions))
    loads = [Counter(found.values())[node] for node in nodes]
    assert max(loads) <= math.ceil(partitions / len(nodes))
    assert min(loads) >= partitions // len(nodes)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(NODES, PARTITIONS, st.randoms(use_true_random=False))
def test_all_nodes_compute_the_same(nodes: set[str], partitions: int, rng: random.Random) -> None:
    shuffled = rng.sample(sorted(nodes), len(nodes))
    assert assigned(shuffled, partitions) == assigned(nodes, partitions)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 7])
def test_when_a_node_comes_most_partitions_stay(count: int) -> None:
    partitions, moved = 16, 0
    rng = random.Random(3)
    for _ in range(10):
        nodes = [f"host-{rng.random()}" for _ in range(count)]
        before, after = assigned(nodes, partitions), assigned([*nodes, "new"], partitions)
        moved += sum(before[number] != after[number] for number in range(partitions))
    assert moved / 10 <= 2.5 * partitions / (count + 1), "it takes what is its share, and little else moves"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(NODES, PARTITIONS, st.data())
def test_nodes_that_follow_their_plans_reach_the_balance_and_never_own_the_same(
    nodes: set[str], partitions: int, data: st.DataObject
) -> None:
    """Each node in turn takes and gives up as it is told; some die, and their leases pass."""
    owner: dict[int, str] = {}
    living = set(nodes)

    def turn(me: str) -> None:
        seen = {number: Seen(node, node not in living) for number, node in owner.items()}
        mine = [number for number, node in owner.items() if node == me]
        told = plan(me, living, partitions, seen, mine)
        for number in told.give:
            del owner[number]
        for number in told.take:
            assert owner.get(number) not in living
            owner[number] = me

    for _ in range(data.draw(st.integers(0, 10))):
        turn(data.draw(st.sampled_from(sorted(living))))
        if len(living) > 1 and data.draw(st.booleans()):
            living.discard(data.draw(st.sampled_from(sorted(living))))
    for _ in range(2):
        for me in sorted(living):
            turn(me)
    assert owner == assigned(living, partitions)


def test_a_node_keeps_what_is_its_own_and_takes_nothing_that_another_holds() -> None:
    assert plan("me", {"me"}, 2, {0: Seen("me:1", is_free=False), 1: Seen("by hand", is_free=False)}, [0]) == Plan((), ())
    assert plan("me", {"me"}, 2, {1: Seen("by hand", is_free=True)}, []) == Plan((0, 1), ())


@given(st.text(max_size=50), PARTITIONS)
def test_a_text_always_leads_to_the_same_partition(text: str, partitions: int) -> None:
    assert 0 <= of_text(text, partitions) < partitions
    assert of_id(text, partitions) == of_text(text, partitions), "an id that perdure did not make"


def test_the_routing_is_on_record_and_does_not_change() -> None:
    assert [of_text(text, 16) for text in ("", "ORD-1", "ORD-2", "Zürich")] == [4, 14, 3, 8]


@pytest.mark.parametrize("partition", [0, 7, PARTITIONS_MAX - 1])
def test_ids_tell_their_partition(partition: int) -> None:
    ids = PartitionIds(SystemClock(), random.Random(1), partition)
    ids.begin(9)
    made = [ids.one(), *ids.run(3)]
    assert len(set(made)) == 4
    assert {of_id(ident, PARTITIONS_MAX) for ident in made} == {partition}
