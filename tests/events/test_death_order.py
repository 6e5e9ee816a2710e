"""Dead letters in their order: walks from either end, whatever has left, in blocks of few and of many."""

from __future__ import annotations

from collections import Counter
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perdure.events.structures import death_order
from perdure.events.structures.death_order import DeathOrder
from tests.effort import examples


@attrs.define(eq=False)
class Dead:
    place: int
    seq: int
    failed_us: int


@pytest.mark.parametrize("block", [1, 3, 512])
@settings(max_examples=examples(200))
@given(steps=st.lists(st.tuples(st.booleans(), st.integers(0, 99), st.integers(0, 9))), data=st.data())
def test_it_agrees_with_a_plain_list(block: int, steps: list[tuple[bool, int, int]], data: Any) -> None:
    """Times may go back, as after a start with the clock set back."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(death_order, "BLOCK", block)
        order, plain = DeathOrder[Dead](), list[Dead]()
        for n, (dies, pick, at_us) in enumerate(steps, 1):
            if dies or not plain:
                plain.append(Dead(n, 2 * n, at_us))
                order.add(plain[-1])
            else:
                order.remove(plain.pop(pick % len(plain)))
            times = [one.failed_us for one in plain]
            assert len(order) == len(plain)
            assert (order.oldest_us, order.newest_us) == (min(times, default=None), max(times, default=None))
        below, before_us, after_seq = (data.draw(st.none() | st.integers(0, 200)) for _ in range(3))
        assert [*order.newest_first(below=below)] == [one for one in reversed(plain) if below is None or one.place < below]
        assert [*order.oldest_first(after_seq=after_seq or 0)] == [one for one in plain if one.seq > (after_seq or 0)]
        found = [*order.newest_first(before_us=before_us)]
        assert [one for one in found if before_us is None or one.failed_us < before_us] == [
            one for one in reversed(plain) if before_us is None or one.failed_us < before_us
        ]


@settings(max_examples=examples(200))
@given(n=st.integers(1, 20), leaves=st.lists(st.integers(0, 19), max_size=20), at=st.integers(0, 20))
def test_a_walk_goes_on_while_letters_come_and_go(n: int, leaves: list[int], at: int) -> None:
    """What is there from its beginning to its end is met once, and what comes meanwhile never."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(death_order, "BLOCK", 3)
        order, alive = DeathOrder[Dead](), {place: Dead(place, place, 0) for place in range(n)}
        for one in alive.values():
            order.add(one)
        met: Counter[int] = Counter()
        for step, one in enumerate(order.newest_first()):
            met[one.place] += 1
            if step == at:
                for place in {place for place in leaves if place < n}:
                    order.remove(alive.pop(place))
                order.add(Dead(n + 1, n + 1, 0))
        assert set(met) >= set(alive)
        assert set(met.values()) == {1}
        assert n + 1 not in met
