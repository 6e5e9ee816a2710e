"""The measured size of events is never less than their bytes on record, so that what is within the bounds can be written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perdure.events import commit_size
from perdure.events import vocabulary as ev
from perdure.events.codec import wire
from perdure.events.commands import Done, Draft, Publish, Subscription
from perdure.events.commit_size import Size, draft_bytes, measure
from perdure.events.errors import PayloadTooLarge
from perdure.events.queue import decisions as rules
from perdure.events.queue import leasing
from perdure.events.queue.folding.folds import evolve_all
from perdure.events.queue.state import QueueState
from perdure.events.runs import CompletedRun, LeasedRun, PublishedRun, count
from perdure.events.structures.id_index import IdRun
from perdure.store.format import frame
from tests.effort import examples
from tests.events.codec import test_wire as strategies

if TYPE_CHECKING:
    from collections.abc import Sequence

wide = st.text(st.sampled_from("a\u00e9\u20ac\U0001f600"), max_size=40)
runs = st.one_of(
    st.builds(
        lambda number, kind, payloads: PublishedRun(number, kind, [f"id-{kind}{n}" for n in range(len(payloads))], payloads),
        st.integers(1, 2**62),
        wide,
        st.lists(st.binary(max_size=30), min_size=1, max_size=20),
    ),
    st.builds(
        lambda number, payloads: PublishedRun(number, "t", IdRun("p" * 24, 2**40, len(payloads)), payloads),
        st.integers(1, 2**62),
        st.lists(st.binary(max_size=30), min_size=1, max_size=20),
    ),
    st.builds(lambda first, n: LeasedRun(range(first, first + n), 2**60, 5, True), st.integers(1, 2**62), st.integers(1, 20)),
    st.builds(CompletedRun, st.lists(st.integers(1, 2**62), min_size=1, max_size=20)),
)


def written(events: Sequence[ev.Event]) -> int:
    return len(wire.encode([(2**60, [*events])]))


@settings(max_examples=examples(400), deadline=None)
@given(st.lists(st.one_of(strategies.events, runs), min_size=1, max_size=12))
def test_no_event_takes_more_than_it_is_measured_to_take(events: list[ev.Event]) -> None:
    size = measure(events)
    assert size.events == count(events)
    assert written(events) <= size.bytes + 16, "sixteen bytes for the batch round them"


@settings(max_examples=examples(100), deadline=None)
@given(wide, wide, wide)
def test_text_counts_in_bytes_wherever_it_stands(one: str, two: str, three: str) -> None:
    published = ev.Published(1, one, two, b"", headers={three: one}, key=two)
    failures = [ev.FailureNote(1, 1, one, two)] * 32
    for event in (
        published,
        ev.AttemptFailed(1, 1, one, two, three, 0),
        ev.DeadLettered(1, published, one, 1, two, three, one, failures),
        ev.Replayed(1, published, 3, failures),
        ev.ResultKept(1, one, two.encode(), three, one, 5),
        ev.Reconfigured(one, {two: [three, {one: two}]}),
    ):
        assert written([event]) <= measure([event]).bytes + 16
    draft = Draft(one, two, b"x", three, headers={one: two}, extras=ev.Extras(result_us=1))
    assert measure([ev.Published(2**40, *draft)]).bytes <= draft_bytes(draft)


def test_a_store_takes_what_the_bounds_allow() -> None:
    assert commit_size.COMMIT_EVENTS_MAX <= frame.COUNT_MAX
    assert commit_size.COMMIT_BYTES_MAX + 1024 <= frame.FRAME_BYTES_MAX


def test_completion_that_is_more_than_a_commit_takes_fails_its_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handler's messages go on record with its completion. Where they are too many, the attempt has failed."""
    monkeypatch.setattr(commit_size, "COMMIT_BYTES_MAX", 2_000)
    state = QueueState()
    limits = rules.Limits()
    evolve_all(state, rules.decide(state, Publish([Draft("one", "t", b"", headers={"h": "x"})]), 1, limits))
    evolve_all(state, leasing.deliver(state, [Subscription("t", 5, 5, 0, 0)], 2))
    children = tuple(Draft(f"child {n}", "t", b"", headers={"h": "\u20ac" * 100}) for n in range(7))
    events = rules.decide(state, Done(1, "one", 1, children), 3, limits)
    assert [type(event) for event in events] == [ev.AttemptFailed, ev.DeadLettered]
    assert isinstance(events[0], ev.AttemptFailed)
    assert events[0].exception == "perdure.PayloadTooLarge"
    few = rules.decide(state, Done(1, "one", 1, children[:3]), 3, limits)
    assert [type(event) for event in few] == [ev.Published] * 3 + [ev.Completed]


def test_error_names_the_bound_and_what_to_do() -> None:
    with pytest.raises(PayloadTooLarge, match=r"messages: 900,001 events .* Nothing of it was done; do it in several parts"):
        commit_size.check_commit(Size(900_001, 10), "messages")
    with pytest.raises(PayloadTooLarge, match=r"62,914,561 bytes"):
        commit_size.check_commit(Size(1, (60 << 20) + 1), "messages")
    commit_size.check_commit(Size(900_000, 60 << 20), "messages")
