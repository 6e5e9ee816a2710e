"""Missed ticks of a schedule, by policy, and ticks that the policy of their key rejects.

Not here: each tick is published once, whichever actor dies (`test_more`).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import attrs
import pytest

import perdure

if TYPE_CHECKING:
    from pathlib import Path

    from perdure.handling.schedules import Missed
    from tests.host.conftest import Until

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
        until(lambda: system.admin.metrics().ready == 6)
    with perdure.System(folder, clock=clock) as system:
        assert system.admin.metrics().ready == 6
    with make(scheduled=False) as system:
        system.drain(timeout=20)
        assert system.admin.metrics().cancelled == 6
        assert any("6 waiting tick(s) are cancelled" in message for message in caplog.messages)
