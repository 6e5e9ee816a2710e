"""Moments, sequence numbers and message ids: a wrong one is refused with the argument's name, before anything is done."""

from __future__ import annotations

import datetime as dt
import math
import time
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import perdure
from perdure.arguments.moments import EPOCH, Point, moment_us, point
from perdure.store import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NAIVE = dt.datetime(2026, 1, 1)  # noqa: DTZ001 - that is the point
NO_MOMENT = [NAIVE, math.inf, -math.inf, math.nan, -1.0, 1e300, True, dt.date(2026, 1, 1), "now", b"", [], 1j]
NO_MOMENT += [dt.timedelta(1), dt.time(12), dt.datetime(1969, 1, 1, tzinfo=dt.UTC)]


@attrs.frozen
class Job:
    n: int


@pytest.fixture
def system() -> Iterator[perdure.System]:
    """A running system with a message."""
    with perdure.System(store=MemoryStore(), clock=perdure.ManualClock()) as made:
        made.publish(Job(1))
        yield made


def calls(system: perdure.System) -> dict[str, Callable[[Any], object]]:
    """Return every call that takes a moment."""
    return {
        "since": lambda value: list(system.audit.events(since=value)),
        "until": lambda value: list(system.audit.events(until=value)),
        "when": system.audit.state_at,
        "at": lambda value: system.publish(Job(2), at=value),
        "older_than": system.dead_letters.purge,
    }


@pytest.mark.parametrize("argument", ["since", "until", "when", "at", "older_than"])
@pytest.mark.parametrize("value", NO_MOMENT, ids=range(len(NO_MOMENT)))
def test_wrong_moment_is_refused_with_the_name_of_the_argument(system: perdure.System, argument: str, value: Any) -> None:
    if argument == "older_than" and isinstance(value, dt.timedelta):
        return  # an age
    with pytest.raises(ValueError, match=rf"^{argument}: "):
        calls(system)[argument](value)
    assert system.admin.metrics().published == 1


@pytest.mark.parametrize("argument", ["since", "until", "when", "at", "older_than"])
def test_naive_datetime_is_refused_with_the_way_out(system: perdure.System, argument: str) -> None:
    with pytest.raises(perdure.InvalidMessage, match=r"no time zone.*UTC.*datetime\.now\(datetime\.UTC\).*astimezone"):
        calls(system)[argument](NAIVE)
    calls(system)[argument](NAIVE.replace(tzinfo=dt.timezone(dt.timedelta(hours=-5))))


def test_wrong_types_are_type_errors_too(system: perdure.System) -> None:
    for value in (None, "x", dt.date(2026, 1, 1), True):
        with pytest.raises(TypeError, match=r"^when: "):
            system.audit.state_at(value)  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize("unit", [1, 10**3, 10**6, 10**9])
def test_time_given_as_a_sequence_number_is_refused_with_the_way_out(system: perdure.System, unit: int) -> None:
    for argument in ("since", "until", "when"):
        with pytest.raises(perdure.InvalidMessage, match=rf"^{argument}: an int is a sequence number.*datetime\.fromtimestamp"):
            calls(system)[argument](int(time.time()) * unit)


def test_number_past_the_end_that_is_not_a_time_stands_for_the_end(system: perdure.System) -> None:
    assert system.audit.state_at(2**62).published == 1
    assert system.audit.state_at(10**9).published == 1
    assert list(system.audit.events(since=100)) == []
    assert len(list(system.audit.events(until=2**62))) == len(list(system.audit.events()))
    for argument in ("since", "until", "when"):
        with pytest.raises(perdure.InvalidMessage, match=rf"^{argument}: "):
            calls(system)[argument](-1)


NO_IDS: list[Any] = [None, 5, b"x", [], {}, ""]


@pytest.mark.parametrize("value", NO_IDS, ids=range(len(NO_IDS)))
def test_wrong_id_is_refused_with_the_name_of_the_argument(system: perdure.System, value: Any) -> None:
    for argument in (
        system.audit.timeline,
        lambda ident: system.result(ident, timeout=1.0),
        system.cancel,
        system.dead_letters.get,
        system.dead_letters.replay,
    ):
        with pytest.raises(perdure.InvalidMessage, match=r"^(message_)?id: the id of a message"):
            argument(value)
    if value is not None:
        with pytest.raises(perdure.InvalidMessage, match=r"^message_id: "):
            system.audit.events(message_id=value)
    assert system.admin.metrics().runtime_counters.get("deaths", 0) == 0


@given(st.datetimes(EPOCH.replace(tzinfo=None), timezones=st.just(dt.UTC)))
def test_datetime_is_exact_to_the_microsecond(value: dt.datetime) -> None:
    at_us = moment_us("at", value)
    assert EPOCH + dt.timedelta(microseconds=at_us) == value
    assert point("at", value) == Point(at_us=at_us)


def test_at_is_never_early_where_the_wall_clock_was_put_back() -> None:
    class Ahead(perdure.ManualClock):
        """Shows an hour more than the wall clock."""

        def wall_us(self) -> int:
            """See `Clock.wall_us`."""
            return self.now_us() - 3_600_000_000

    clock = Ahead()
    with perdure.System(store=MemoryStore(), clock=clock) as system:
        system.publish(Job(1), at=clock.wall_us() / 1e6 + 60)
        assert system.admin.metrics().delayed == 1
        clock.advance(59)
        assert system.admin.metrics().delayed == 1
        clock.advance(2)
        assert system.admin.metrics().ready == 1


def test_queries_by_time_are_right_where_the_clock_was_put_back_between_two_runs(folder: Path) -> None:
    """Every record of a moment is found, even where an earlier record has a later time."""
    starts = [1_700_000_000, 1_700_003_600, 1_700_001_800, 1_699_990_000]
    for n, start_s in enumerate(starts):
        clock = perdure.ManualClock(start_s * 1_000_000)
        with perdure.System(folder, clock=clock) as system:
            system.publish(Job(n))
            clock.advance(10)
            system.publish(Job(n))
    audit = perdure.Audit(folder)
    records = list(audit.events())
    times = sorted({record.at for record in records})
    for at in times:
        assert [r.seq for r in audit.events(until=at)] == [r.seq for r in records if r.at <= at]
        assert [r.seq for r in audit.events(since=at)] == [r.seq for r in records if r.at >= at]
        assert audit.state_at(at).seq == max(r.seq for r in records if r.at <= at)
    assert audit.state_at(times[0] - dt.timedelta(1)).published == 0
    assert audit.state_at(times[-1]).published == 8
    last = dt.datetime.fromtimestamp(starts[-1] + 11, tz=dt.UTC)
    assert sum(type(record.event).__name__ == "Published" for record in audit.events(until=last)) == 2
    assert audit.state_at(last).published == 8
