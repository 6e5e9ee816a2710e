"""A million deadlines at one instant: each decision handles a bounded number, none is lost, and the bounds of what is kept hold."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perdure.events import vocabulary as ev
from perdure.events.codec.snapshot import States
from perdure.events.commands import Draft, Publish, Subscription
from perdure.events.queue import deadlines, leasing
from perdure.events.queue import decisions as rules
from perdure.events.queue.endings import excess
from perdure.events.queue.folding.folds import evolve_all
from perdure.events.queue.state import QueueState
from perdure.events.vocabulary import Extras
from tests.effort import examples

RESULTS = 5
LIMITS = rules.Limits(results=RESULTS, held_keys=4)
EVENTS_EACH = 4
"""At most: the end of a message, its result, and two older ones that make room."""


@pytest.fixture(autouse=True)
def few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "LOOK_MAX", 3)


def publish(state: QueueState, drafts: list[Draft], now_us: int = 1) -> list[ev.Event]:
    events = rules.decide(state, Publish(drafts), now_us, LIMITS)
    evolve_all(state, events)
    return events


def pass_time(state: QueueState, now_us: int) -> list[list[ev.Event]]:
    looks = []
    while deadlines.next_deadline_us(state) <= now_us:
        decided = deadlines.due(state, now_us, LIMITS)
        evolve_all(state, decided)
        looks.append(decided)
        assert len(looks) < 1_000, "each look must come further"
    return looks


message = st.tuples(
    st.sampled_from([0, 5, 5, 5, 9]),
    st.sampled_from([0, 5, 5, 9]),
    st.booleans(),
)


@settings(max_examples=examples(150), deadline=None)
@given(st.lists(message, min_size=1, max_size=40))
def test_due_messages_end_in_bounded_decisions(messages: list[tuple[int, int, bool]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deadlines, "LOOK_MAX", 3)
        state = QueueState()
        publish(
            state,
            [
                Draft(f"m{n}", "t", b"x", due_us=due, expires_us=expires, priority=1, extras=Extras(result_us=20) if kept else None)
                for n, (due, expires, kept) in enumerate(messages)
            ],
        )
        for now_us in (5, 9, 40):
            looks = pass_time(state, now_us)
            assert all(0 < len(decided) <= 3 * EVENTS_EACH for decided in looks if decided)
            assert len(state.results) <= RESULTS
            for found in state.messages.values():
                assert not leasing.is_past_ttl(found.published, now_us)
                assert found.due_us == 0 or found.due_us > now_us
        assert sum(counts.expired for counts in state.by_type.values()) == sum(expires > 0 for _, expires, _ in messages)
        assert not state.results, "each was kept for 20 us after its end"


def test_nothing_wakes_or_goes_out_before_all_that_has_expired_is_known() -> None:
    state = QueueState()
    publish(state, [Draft(f"m{n}", "t", b"", due_us=5, expires_us=5) for n in range(10)])
    publish(state, [Draft(f"w{n}", "t", b"", expires_us=5) for n in range(10)])
    publish(state, [Draft("lives", "t", b"", expires_us=50)])
    subscriptions = [Subscription("t", 30, 30, 5, 0)]
    while deadlines.next_deadline_us(state) <= 5:
        assert not any(isinstance(event, ev.Awakened) for event in deadlines.due(state, 5, LIMITS))
        handed = [lease.number for lease in leasing.deliver(state, subscriptions, 5) if isinstance(lease, ev.Leased)]
        assert handed == [21], "only what has time left"
        evolve_all(state, deadlines.due(state, 5, LIMITS))
    assert state.live == 1


def test_results_keep_their_bound_where_many_messages_end_in_one_commit() -> None:
    state = QueueState()
    drafts = [Draft(f"m{n}", "t", b"", key=f"k{n}", dedup="replace", extras=Extras(result_us=20)) for n in range(20)]
    publish(state, drafts)
    events = publish(state, [draft._replace(id=f"newer {draft.id}") for draft in drafts])
    kept = [event.id for event in events if isinstance(event, ev.ResultKept)]
    assert kept == [f"m{n}" for n in range(20)], "each end is on record, for what waits for it"
    assert list(state.results) == [f"m{n}" for n in range(15, 20)]


def test_what_was_kept_past_a_bound_is_dropped_in_parts() -> None:
    """As after a start with a lower bound, or of a folder in which an older version had kept more."""
    state = QueueState()
    evolve_all(state, [ev.ResultKept(n, f"m{n}", b"", "", "", 99) for n in range(20)])
    evolve_all(state, [ev.KeyHeld("t", f"k{n}", f"m{n}", 99) for n in range(11)])
    parts = []
    while beyond := excess(state, LIMITS, 3):
        assert len(beyond) <= 3
        evolve_all(state, beyond)
        parts.append(beyond)
    assert list(state.results) == [f"m{n}" for n in range(15, 20)]
    assert list(state.held_keys) == [("t", f"k{n}") for n in range(7, 11)]
    assert States(state).encode()


def test_orphans_that_are_half_on_record_are_the_same_after_another_crash() -> None:
    """Where messages were prefetched, it is unknown which had started, also after half of them are on record."""
    state = QueueState()
    publish(state, [Draft(f"m{n}", "t", b"", priority=1) for n in range(6)])
    evolve_all(state, [ev.Leased(n, 1, 0, 5, "", prefetched=n in {1, 2}) for n in range(1, 7)])
    for _ in range(6):
        first = deadlines.orphans(state)[0]
        assert not first.started
        evolve_all(state, rules.decide(state, first, 9, LIMITS))
    assert not deadlines.orphans(state)
    assert all(found.attempts == found.forgiven == 1 for found in state.messages.values())


@pytest.mark.parametrize("most", [1, 4, 100])
def test_leases_are_given_some_at_a_time(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(leasing, "LEASES_MAX", most)
    state = QueueState()
    for kind in ("a", "b"):
        publish(state, [Draft(f"{kind}{n}", kind, b"") for n in range(5)])
        publish(state, [Draft(f"{kind}p{n}", kind, b"", priority=1) for n in range(5)])
    out = 0
    subscriptions = [Subscription(kind, 8, 8, 5, 0) for kind in ("a", "b")]
    while leases := leasing.deliver(state, subscriptions, 1):
        evolve_all(state, leases)
        assert 0 < len(state.leased) - out <= most
        out = len(state.leased)
    assert out == 16
