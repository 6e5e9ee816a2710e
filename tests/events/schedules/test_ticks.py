"""Which ticks are due, and which of those that were missed are published. In seconds, with a tick at each whole ten."""

from __future__ import annotations

import pytest

from perdure.events import vocabulary as ev
from perdure.events.commands import Draft, Tick
from perdure.events.limits import Limits
from perdure.events.queue.decisions import decide
from perdure.events.queue.folding.folds import evolve_all
from perdure.events.queue.state import QueueState
from perdure.events.schedules.ticks import MISSED_MAX, comes_too_early, due


def after(at: int) -> int:
    return at - at % 10 + 10


@pytest.mark.parametrize("missed", ["all", "last", "none"])
def test_tick_that_comes_while_it_runs_is_published(missed: str) -> None:
    ticks, following = due(after, 20, 33, missed=missed, started_us=25)
    assert ([(t.due_us, t.publish) for t in ticks], following) == ([(30, True)], 40)


@pytest.mark.parametrize(("missed", "published"), [("all", [30, 40, 50]), ("last", [50]), ("none", [])])
def test_missed_ticks_by_policy(missed: str, published: list[int]) -> None:
    """After a longer pause."""
    ticks, following = due(after, 20, 55, missed=missed, started_us=54)
    assert [t.due_us for t in ticks] == [30, 40, 50], "each is dealt with"
    assert ([t.due_us for t in ticks if t.publish], following) == (published, 60)


@pytest.mark.parametrize(("missed", "publish"), [("all", True), ("last", True), ("none", False)])
def test_single_tick_from_before_the_start_is_a_missed_one(missed: str, publish: bool) -> None:
    ticks, _ = due(after, 20, 33, missed=missed, started_us=31)
    assert [(t.due_us, t.publish) for t in ticks] == [(30, publish)]


def test_nothing_is_due() -> None:
    assert due(after, 20, 29, missed="all", started_us=0) == ([], 30)


def test_made_up_for_is_a_bounded_number() -> None:
    ticks, following = due(after, 0, 10 * MISSED_MAX + 55, missed="all", started_us=0)
    assert len(ticks) == MISSED_MAX
    assert (ticks[-1].due_us, following) == (10 * MISSED_MAX + 50, 10 * MISSED_MAX + 60)


def test_tick_waits_for_the_one_before_it() -> None:
    ticks = {"s": 20}
    assert comes_too_early(ticks, Tick("s", 40, None, after_us=30))
    assert not comes_too_early(ticks, Tick("s", 30, None, after_us=20))
    assert not comes_too_early(ticks, Tick("other", 30, None))


def test_time_that_comes_again_after_the_clock_was_put_back_has_a_message_again() -> None:
    """The id of a tick contains its time; an earlier message with that id must not suppress the new one."""
    state = QueueState()

    def tick(command: Tick, now_us: int) -> list[str]:
        events = decide(state, command, now_us, Limits())
        evolve_all(state, events)
        return [event.id for event in events if isinstance(event, ev.Published)]

    first = Tick("s", 20, Draft("s@20", "every:s", b""), after_us=10)
    state.ticks["s"] = 10
    assert tick(first, 20) == ["s@20"]
    assert tick(first, 20) == [], "sent again, it counts once"
    assert tick(Tick("s", 15, None, 20, anew=True), 15) == [], "the clock was put back"
    again = Tick("s", 20, Draft("s@20", "every:s", b""), after_us=15)
    (ident,) = tick(again, 20)
    assert ident.startswith("s@20#")
    assert tick(again, 20) == [], "sent again, it counts once"
