"""Recurring messages: when the next tick of a schedule is, and which message it publishes.

The scheduler (`perdure.actors.services.scheduler`) publishes the ticks; `perdure.events.schedules` has the rule that each counts
once.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import attrs

from perdure.events.errors import InvalidMessage
from perdure.events.public_names import public
from perdure.events.seconds import checked_seconds, shown, whole_us
from perdure.handling.recurring.zones import checked_zone

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.events.commands import Draft

__all__ = ["Missed", "Schedule", "Tick", "following", "plain"]

Missed: TypeAlias = Literal["last", "all", "none"]
"""Which ticks are made up for that came due while nothing ran."""
MISSED: tuple[Missed, ...] = get_args(Missed)
STEP_MIN_S = 0.001
STEP_MAX_S = 1e9
NEVER_US = 1 << 62
"""The time of a tick that never comes, as on 30 February."""


@public
@attrs.frozen
class Tick:
    """The message of a schedule that has no message of its own."""

    schedule: str
    due: dt.datetime
    """When it was due; its handler may run later."""


@attrs.frozen
class Schedule:
    """One schedule, as the scheduler uses it."""

    name: str
    missed: str
    after: Callable[[int], int]
    draft: Callable[[int], Draft]


def following(when: str | float | dt.timedelta, zone: str | dt.tzinfo | None) -> Callable[[int], int]:
    """Return a function from a time to the next tick after it, both in microseconds since the epoch.

    Args:
        when: a cron expression, or the time between two ticks (seconds or timedelta), counted from the epoch.
        zone: the time zone of the cron expression, by name or as a tzinfo; the machine's own where None.

    Raises:
        InvalidMessage: `when` or `zone` is not valid.
    """
    if isinstance(when, str):
        return _cron(when, checked_zone(zone))
    if zone is not None:
        msg = f"zone: goes with a cron expression; the time between two ticks is the same everywhere, not {shown(zone)}"
        raise InvalidMessage(msg)
    try:
        step_us = whole_us(checked_seconds("every", when, least=STEP_MIN_S, most=STEP_MAX_S))
    except InvalidMessage as error:
        msg = f"{error}; or a cron expression as text"
        raise InvalidMessage(msg) from None
    return lambda at_us: (at_us // step_us + 1) * step_us


def plain(when: str | float | dt.timedelta) -> str | float:
    """Return for the record when a schedule ticks: a cron expression, or seconds."""
    return when.total_seconds() if isinstance(when, dt.timedelta) else when


def _cron(expression: str, zone: dt.tzinfo) -> Callable[[int], int]:
    try:
        from cronsim import CronSim, CronSimError  # noqa: PLC0415 - an extra
    except ImportError as error:
        msg = 'every: cron expressions need the package cronsim: pip install "perdure[cron]"'
        raise InvalidMessage(msg) from error

    def after(at_us: int) -> int:
        # Whole seconds: cron has nothing finer, and CronSim looks for times strictly after the given one.
        if at_us >= NEVER_US:
            return at_us + NEVER_US
        at_s = at_us // 1_000_000
        for moment in CronSim(expression, dt.datetime.fromtimestamp(at_s, tz=zone)):
            # In an hour that comes twice, CronSim gives the first of both for a job at a fixed time; in the second, that is past.
            due_s = round(moment.timestamp())
            if due_s > at_s:
                return due_s * 1_000_000
        return NEVER_US

    try:
        after(0)
    except CronSimError as error:
        msg = f"every: {expression!r} is not a cron expression: {error}"
        raise InvalidMessage(msg) from error
    return after
