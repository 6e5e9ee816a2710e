"""Schedules: each tick is published once, whatever restarts or dies; missed ticks by policy; ticks that their key rejects.

Cron expressions are in `test_cron`, the rule for due ticks in tests/events/schedules.
"""

from __future__ import annotations

import datetime as dt
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs
import pytest

import perdure

if TYPE_CHECKING:
    from pathlib import Path

    from perdure.handling.recurring.schedules import Missed
    from tests.host.conftest import Collected, Until

MINUTE_S = 60.0


@attrs.frozen
class Report:
    name: str


def _has_ticked(system: perdure.System, times: int) -> bool:
    return _ticks(system) == times


def _ticks(system: perdure.System) -> int:
    return len(list(system.audit.events(type="Ticked")))


@pytest.mark.parametrize(
    ("missed", "while_nothing_ran", "made_up_for"),
    [("last", 1, 1), ("last", 3, 1), ("all", 1, 1), ("all", 3, 3), ("none", 1, 0), ("none", 3, 0)],
)
def test_missed_ticks_by_policy(
    folder: Path, clock: perdure.ManualClock, until: Until, missed: Missed, while_nothing_ran: int, made_up_for: int
) -> None:
    """A single missed tick is a missed one too; the next that falls due while it runs is published whatever the policy."""

    def make() -> perdure.System:
        system = perdure.System(folder, clock=clock)
        system.every(MINUTE_S, message=Report("minutely"), missed=missed)
        return system

    with make() as system:
        until(lambda: _ticks(system) == 1)  # its beginning
    clock.advance(MINUTE_S * while_nothing_ran)
    with make() as system:
        until(lambda: _ticks(system) == 1 + while_nothing_ran)
        assert system.admin.metrics().published == made_up_for
        for name in ("scheduler", "queue"):
            system.actors.kill(name)
        clock.advance(MINUTE_S)
        until(lambda: _ticks(system) == 2 + while_nothing_ran)
        assert system.admin.metrics().published == made_up_for + 1


def test_tick_whose_key_is_held_is_passed_over(folder: Path, clock: perdure.ManualClock, until: Until) -> None:
    """With `reject` a slow job is not begun again while it waits or runs; on record, and not made up for at the next start."""

    def make() -> perdure.System:
        system = perdure.System(folder, clock=clock)
        system.every(MINUTE_S, message=Report("slow"), key="slow", dedup="reject", missed="all")
        return system

    with make() as system:
        until(lambda: _ticks(system) == 1)
        for n in range(2, 5):
            clock.advance(MINUTE_S)
            until(partial(_has_ticked, system, n))
        assert system.admin.metrics().published == 1
    with make() as system:
        delivery = system.checkout(Report)
        assert delivery is not None
        delivery.ack()
        clock.advance(MINUTE_S)
        until(lambda: _ticks(system) == 5)
        assert system.admin.metrics().published == 2


def test_ticks_of_a_removed_schedule_are_called_off_at_the_next_start(
    folder: Path, clock: perdure.ManualClock, until: Until, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing would ever take them, and `drain` would wait for ever; an operator who only looks in calls nothing off."""

    def make(*, scheduled: bool) -> perdure.System:
        system = perdure.System(folder, clock=clock)
        system.handler(Report)(lambda report, ctx: None)
        if scheduled:
            system.every(MINUTE_S, name="gone", missed="all", retries=9, backoff=perdure.Fixed(1e6))(lambda tick, ctx: 1 / 0)
            system.every(MINUTE_S, name="stays", missed="all")(lambda tick, ctx: None)
        return system

    with make(scheduled=True) as system:
        until(lambda: _ticks(system) == 2)
        system.admin.pause("every:gone")
        clock.advance(MINUTE_S)
        until(lambda: system.admin.metrics().completed == 1)
    clock.advance(5 * MINUTE_S)
    with make(scheduled=True) as system:
        until(lambda: (metrics := system.admin.metrics()).ready == metrics.completed == 6)  # those that stay are handled
    with perdure.System(folder, clock=clock) as system:
        assert system.admin.metrics().ready == 6
    with make(scheduled=False) as system:
        system.drain(timeout=20)
        assert system.admin.metrics().cancelled == 6
        assert any("6 waiting tick(s) are cancelled" in message for message in caplog.messages)


def test_each_tick_is_published_once_also_over_restarts_and_kills(
    folder: Path, clock: perdure.ManualClock, collected: Collected, until: Until
) -> None:
    """Recurring messages: each tick exactly once; of those missed, the last."""

    def make() -> perdure.System:
        system = perdure.System(folder, clock=clock)

        @system.every("*/5 * * * *", name="clean", zone=dt.UTC)
        def clean(tick: perdure.Tick, ctx: perdure.Context) -> None:
            collected.add(tick.due)

        return system

    def ticked(system: perdure.System) -> int:
        return len(list(system.audit.events(type="Ticked")))

    with make() as system:
        until(lambda: ticked(system) == 1)  # its beginning
        for n in range(1, 4):
            clock.advance(300.0)
            collected.wait_for(n)
            system.actors.kill("scheduler" if n == 1 else "timer" if n == 2 else "queue")
        system.drain(timeout=10.0)
    clock.advance(3600.0)
    with make() as system:
        assert len(collected.wait_for(4)) == 4
        until(lambda: ticked(system) == 1 + 3 + 12)
        clock.advance(300.0)
        dues = collected.wait_for(5)
        system.drain(timeout=10.0)
    assert len(set(dues)) == len(dues) == 5
    assert all(due.minute % 5 == 0 and due.second == 0 for due in dues)


def test_schedule_with_a_message_makes_up_for_all(
    folder: Path, clock: perdure.ManualClock, collected: Collected, until: Until
) -> None:
    def make() -> perdure.System:
        system = perdure.System(folder, clock=clock)
        system.every(60.0, message=Report("hourly"), missed="all", priority=3)
        system.handler(Report)(lambda report, ctx: collected.add((report.name, ctx.id)))
        return system

    with make() as system:
        until(lambda: len(list(system.audit.events(type="Ticked"))) == 1)
    clock.advance(60.0 * 7)
    with make() as system:
        assert len(set(collected.wait_for(7))) == 7
        system.drain(timeout=10.0)
        assert system.admin.metrics().published == 7


@pytest.mark.parametrize("when", ["not cron", "99 * * * *", 0, -5, True])
def test_wrong_schedule_is_refused(folder: Path, when: Any) -> None:
    with pytest.raises(perdure.InvalidMessage, match="every"):
        perdure.System(folder).every(when, message=Report("x"))


@pytest.mark.parametrize("name", ["x" * 401, "\ud800", 5])
def test_a_schedule_has_a_name_that_an_id_can_hold(folder: Path, name: Any) -> None:
    with pytest.raises(perdure.InvalidMessage, match=r"^name: "):
        perdure.System(folder).every(60.0, name=name, message=Report("x"))


def test_a_schedule_takes_no_id(folder: Path) -> None:
    wrong: Any = {"id": "one"}
    with pytest.raises(TypeError, match=r"^every: there is no option 'id'"):
        perdure.System(folder).every(60.0, message=Report("x"), **wrong)


def test_handler_that_takes_the_context_first_is_told_that_the_tick_comes_first() -> None:
    def nightly(ctx: perdure.Context) -> None: ...

    unchecked: Any = nightly  # a type checker refuses it, too
    with pytest.raises(perdure.InvalidMessage, match="the tick comes first, then the context"):
        perdure.Handlers().every("0 3 * * *")(unchecked)
