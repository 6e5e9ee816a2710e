"""Cron expressions in zones with summer time, the machine's own included; names of zones."""

from __future__ import annotations

import datetime as dt
import time
import zoneinfo
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import perdure
from perdure.handling.recurring.schedules import following
from perdure.handling.recurring.zones import MachineZone, checked_zone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WRONG = ["Europe/Berlinn", "", "../../etc/passwd", "Europe", "\0", "x" * 5000, 3, object(), b"UTC", "/etc/localtime"]
BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")


@pytest.fixture(params=["name", "tzinfo", "machine"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Berlin, told in each way."""
    if request.param == "machine":
        monkeypatch.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield None
        monkeypatch.undo()
        time.tzset()
    else:
        yield "Europe/Berlin" if request.param == "name" else BERLIN


def ticks(expression: str, zone: Any, since: dt.datetime, until: dt.datetime) -> list[str]:
    """Give the ticks between two moments, in Berlin's time with its offset."""
    after = following(expression, zone)
    found, at_us = [], int(since.timestamp()) * 1_000_000
    while (at_us := after(at_us)) <= until.timestamp() * 1_000_000:
        found.append(dt.datetime.fromtimestamp(at_us / 1_000_000, tz=BERLIN).strftime("%d %H:%M %z"))
    return found


def berlin(month: int, day: int, hour: int = 0, minute: int = 0, fold: int = 0) -> dt.datetime:
    return dt.datetime(2025, month, day, hour, minute, tzinfo=BERLIN, fold=fold)


def test_daily_job_keeps_its_hour_over_both_changes(zone: Any) -> None:
    assert ticks("0 9 * * *", zone, berlin(3, 29), berlin(3, 31, 12)) == ["29 09:00 +0100", "30 09:00 +0200", "31 09:00 +0200"]
    assert ticks("0 9 * * *", zone, berlin(10, 25), berlin(10, 27, 12)) == ["25 09:00 +0200", "26 09:00 +0100", "27 09:00 +0100"]


def test_job_in_the_skipped_hour_runs_right_after_it_and_in_the_repeated_hour_once(zone: Any) -> None:
    assert ticks("30 2 * * *", zone, berlin(3, 29, 12), berlin(3, 31, 12)) == ["30 03:00 +0200", "31 02:30 +0200"]
    assert ticks("30 2 * * *", zone, berlin(10, 25, 12), berlin(10, 27, 12)) == ["26 02:30 +0200", "27 02:30 +0100"]


def test_job_of_each_half_hour_goes_by_the_time_that_passes(zone: Any) -> None:
    assert ticks("*/30 * * * *", zone, berlin(10, 26, 1, 45), berlin(10, 26, 3)) == [
        "26 02:00 +0200",
        "26 02:30 +0200",
        "26 02:00 +0100",
        "26 02:30 +0100",
        "26 03:00 +0100",
    ]
    assert ticks("*/30 * * * *", zone, berlin(3, 30, 1, 15), berlin(3, 30, 3, 30)) == [
        "30 01:30 +0100",
        "30 03:00 +0200",
        "30 03:30 +0200",
    ]


@settings(deadline=None, max_examples=50)
@given(
    st.sampled_from(["30 2 * * *", "*/7 * * * *", "0 * * * *", "15 1-3 * * *", "0 0 * * SUN", "59 23 L * *", "*/20 2 * * *"]),
    st.integers(0, 90 * 86_400),
    st.sampled_from(["Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia", "UTC"]),
)
def test_next_tick_is_always_later_and_nothing_lies_between(expression: str, later_s: int, name: str) -> None:
    after = following(expression, name)
    at_us = (int(berlin(9, 1).timestamp()) + later_s) * 1_000_000
    first = after(at_us)
    assert first > at_us
    assert after(first - 1) == first
    assert after((at_us + first) // 2) == first
    assert after(first) > first


@settings(deadline=None, max_examples=50)
@given(st.integers(946_684_800, 2_051_222_400))
def test_machine_zone_agrees_with_the_library_at_each_moment(at_s: int) -> None:
    there = dt.datetime.fromtimestamp(at_s, tz=dt.UTC)
    here = there.astimezone(MachineZone())
    assert here.timestamp() == there.timestamp()
    assert here.utcoffset() == there.astimezone().utcoffset()


def test_machine_zone_distinguishes_both_of_a_repeated_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        for hour in range(24):
            there = dt.datetime(2025, 10, 26, hour, 30, tzinfo=dt.UTC)
            assert there.astimezone(MachineZone()).timestamp() == there.timestamp()
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("wrong", WRONG, ids=range(len(WRONG)))
def test_wrong_zone_is_refused_by_name(folder: Path, wrong: Any) -> None:
    system = perdure.System(folder)
    with pytest.raises(perdure.InvalidMessage, match=r"^zone: "):
        system.every("0 9 * * *", name="daily", zone=wrong)(lambda tick, ctx: None)
    assert not folder.exists() or not any(folder.iterdir())


def test_error_without_any_zones_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoneinfo, "available_timezones", set)

    def missing(name: str) -> None:
        raise zoneinfo.ZoneInfoNotFoundError(name)

    monkeypatch.setattr(zoneinfo, "ZoneInfo", missing)
    with pytest.raises(ValueError, match="pip install tzdata"):
        checked_zone("Europe/Berlin")
    assert checked_zone("UTC") is dt.UTC


def test_zone_of_a_rate_is_refused(folder: Path) -> None:
    with pytest.raises(perdure.InvalidMessage, match=r"^zone: goes with a cron expression"):
        perdure.System(folder).every(60.0, name="n", zone="Europe/Berlin")(lambda tick, ctx: None)


def test_time_after_never_is_never() -> None:
    after = following("0 0 29 2 *", "UTC")
    assert after(after(0)) > after(0)
    assert after(1 << 62) > 1 << 62
