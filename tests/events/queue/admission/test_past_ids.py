"""Ids that ended long ago are kept in a few bytes each, up to a bound; an id that may be forgotten is recognised as such."""

from __future__ import annotations

import tracemalloc
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perdure.events.structures.id_index import IdRun
from perdure.events.structures.past_ids import GENERATIONS, PastIds
from tests.effort import examples

RUNS = ("7abc-8000", "7abd-8001")
pieces = st.one_of(
    st.tuples(st.sampled_from(RUNS), st.integers(0, 60), st.integers(1, 9)).map(
        lambda t: IdRun(f"00000001-0000-{t[0]}-", t[1], t[2])
    ),
    st.lists(st.text(max_size=3) | st.integers(0, 2**64).map(lambda n: str(UUID(int=n))), min_size=1, max_size=4),
)
ENDED = st.lists(st.lists(pieces, min_size=1, max_size=3), max_size=40)


def known(past: PastIds, ids: set[str]) -> dict[str, bool]:
    return {ident: ident in past for ident in ids}


@settings(max_examples=examples(200), deadline=None)
@given(ENDED, st.integers(1, 40), st.integers(0, 40))
def test_the_last_ids_are_known_and_no_others(ended: list[list[list[str] | IdRun]], kept_max: int, cut: int) -> None:
    past = PastIds(kept_max)
    past.begin_run(RUNS[0])
    everything = [ident for together in ended for ids in together for ident in ids]
    for together in ended[:cut]:
        past.add(together, sum(map(len, together)))
    again = PastIds(kept_max)
    again.load(past.dump())
    for together in ended[cut:]:
        past.add(together, sum(map(len, together)))
        again.add([list(ids) for ids in together], sum(map(len, together)))
    assert again.dump()["own"] == past.dump()["own"]
    assert known(again, {*everything}) == known(past, {*everything}), "in which pieces they came is of no meaning"
    assert all(ident in past for ident in everything[-kept_max:])
    assert past.count + past.forgotten == len(everything)
    assert past.count == len(everything) or past.count >= kept_max
    gone = {*everything[: past.forgotten]} - {*everything[past.forgotten :]}
    assert not any(ident in past for ident in gone)
    assert all(past.may_have_been(ident) for ident in gone if ident[14:23] == RUNS[0])
    assert not any(ident in past for ident in ("none", str(UUID(int=2**127)), f"00000001-0000-{RUNS[0]}-0000000000ff"))


def test_id_that_only_looks_like_one_of_perdure_is_not() -> None:
    past = PastIds(100)
    past.begin_run(RUNS[0])
    ours = IdRun(f"00000001-0000-{RUNS[0]}-", 16, 10)
    past.add([ours], 10)
    assert all(ident in past for ident in ours)
    one = ours[3]
    others = (one + "0", one[:-1], f"00000002{one[8:]}", one.replace("-8000-", "-8001-"), f"{one[:24]}+00000000013")
    for other in others:
        assert other not in past, other


@pytest.mark.long(seconds=5)
def test_a_million_ids_of_a_host_take_little_memory() -> None:
    """Of 30,000 here: each some 30 bytes; ids of perdure's next to nothing."""
    count = 30_000
    tracemalloc.start()
    try:
        past = PastIds(count)
        before = tracemalloc.get_traced_memory()[0]
        for n in range(count):
            past.add([[f"row-{n}"]], 1)
        took = tracemalloc.get_traced_memory()[0] - before
        past.begin_run(RUNS[0])
        for n in range(0, count, 1_000):
            past.add([IdRun(f"00000001-0000-{RUNS[0]}-", n, 1_000)], 1_000)
        ours = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert took < 42 * count
    assert ours < 42 * count // GENERATIONS + 100_000, "all those of the host are forgotten but of one generation"


@pytest.mark.parametrize("pages", [[b"x" * 15], [b"x" * 16] * 256, [bytes(16)] * 255])
def test_malformed_hashes_are_refused(pages: list[bytes]) -> None:
    with pytest.raises(ValueError, match="hashes of ids"):
        PastIds(10).load({"own": {}, "last": "", "forgotten": [0, 0], "generations": [[1, {}, pages]]})
