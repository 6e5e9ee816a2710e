"""A schedule that is far behind: what it costs to find its ticks does not grow with how many were missed."""

from __future__ import annotations

from bisect import bisect_right

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perdure.events.schedules.ticks import MISSED_MAX, due

DAY_US = 86_400_000_000
BURSTS = st.tuples(st.integers(0, 10**9), st.integers(1, 6_000), st.integers(1, 50))


class Every:
    """Ticks at regular times, and how often they were asked for."""

    def __init__(self, step_us: int) -> None:
        self.step_us = step_us
        self.asked = 0

    def __call__(self, at_us: int) -> int:
        """Return the first tick after a time."""
        self.asked += 1
        return (at_us // self.step_us + 1) * self.step_us


@pytest.mark.parametrize("step_us", [1_000, 100_000, 60_000_000, DAY_US])
@pytest.mark.parametrize("days", [1, 30, 36_500])
def test_cost_is_bounded(step_us: int, days: int) -> None:
    every = Every(step_us)
    now_us = days * DAY_US + 17
    ticks, next_us = due(every, 0, now_us, missed="all", started_us=now_us)
    assert every.asked < 3 * MISSED_MAX
    last_us = now_us // step_us * step_us
    assert ticks[-1].due_us == last_us
    assert next_us == last_us + step_us
    assert [tick.due_us for tick in ticks] == list(range(ticks[0].due_us, last_us + 1, step_us))
    assert len(ticks) == min(MISSED_MAX, now_us // step_us)


def stepping(after: object, last: int, now: int) -> tuple[list[int], int]:
    """Find them the slow way."""
    assert callable(after)
    times, tick = [], after(last)
    while tick <= now:
        times.append(tick)
        tick = after(tick)
    return times[-MISSED_MAX:], tick


@settings(deadline=None, max_examples=50)
@given(st.data())
def test_uneven_schedules_are_found_as_by_stepping(data: st.DataObject) -> None:
    """A burst of ticks, a long pause, another burst: the guess by the next gap is wrong by far."""
    bursts = data.draw(st.lists(BURSTS, min_size=1, max_size=4))
    times = sorted({begin + n * step for begin, count, step in bursts for n in range(count)})
    last = data.draw(st.integers(-5, 10**9))
    now = data.draw(st.sampled_from([times[-1], times[-1] + 1, times[len(times) // 2], last, last - 3, 2 * 10**9]))

    def after(at: int) -> int:
        position = bisect_right(times, at)
        return times[position] if position < len(times) else (at // 10**10 + 1) * 10**10

    ticks, following = due(after, last, now, missed="all", started_us=now + 1)
    assert ([tick.due_us for tick in ticks], following) == stepping(after, last, now)


def test_after_the_clock_was_put_back_it_waits_until_its_last_tick_is_past() -> None:
    assert due(Every(10), 200, 120, missed="all", started_us=0) == ([], 210)


def test_schedule_that_does_not_go_forward_is_an_error() -> None:
    with pytest.raises(ValueError, match="do not go forward"):
        due(lambda _: 5, 0, 10, missed="all", started_us=0)
