"""`HeapSet` against a set and `sorted`; stale entries never pile up."""

from __future__ import annotations

from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from perdure.events.structures.heap_set import SLACK, HeapSet

MEMBERS = st.tuples(st.integers(0, 5), st.integers(0, 20))


@given(st.lists(st.tuples(st.booleans(), MEMBERS), max_size=200))
def test_it_is_a_set_in_order(steps: list[tuple[bool, tuple[int, int]]]) -> None:
    heap: HeapSet[tuple[int, int]] = HeapSet()
    plain: set[tuple[int, int]] = set()
    for adds, member in steps:
        if adds:
            heap.add(member)
            plain.add(member)
        else:
            heap.discard(member)
            plain.discard(member)
        assert len(heap) == len(plain)
        assert (member in heap) == (member in plain)
        assert list(heap.ascending()) == list(heap) == sorted(plain)
        assert list(islice(heap.ascending(), 2)) == sorted(plain)[:2]
        if plain:
            assert heap.first == min(plain)
        assert len(heap.heap) <= 2 * len(heap) + SLACK + 1


def test_members_that_come_and_go_behind_one_that_stays_leave_nothing() -> None:
    heap: HeapSet[int] = HeapSet()
    heap.add(0)
    most = 0
    for _ in range(1_000):
        for n in (5, 6):
            heap.add(n)
        for n in (6, 5):
            heap.discard(n)
        most = max(most, len(heap.heap))
    assert most <= SLACK + 8
