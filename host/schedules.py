"""Recurring messages: when the next tick of a schedule is, and which message it publishes.

That each tick is published once is the queue's business, and when the scheduler's (`perdure.actors.scheduler`).
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import attrs

from perdure.events.errors import InvalidMessage

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.events.commands import Draft

__all__ = ["Schedule", "Tick", "following"]

MISSED = ("last", "all", "none")


@attrs.frozen
class Tick:
    """The message of a schedule without one of its own."""

    schedule: str
    due: dt.datetime
    """The time it was meant for; it may run later."""


@attrs.frozen
class Schedule:
    """One schedule as the scheduler needs it."""

    name: str
    missed: str
    after: Callable[[int], int]
    draft: Callable[[int], Draft]


def following(when: str | float | dt.timedelta, zone: dt.tzinfo | None) -> Callable[[int], int]:
    """Give the function from a time to the next tick after it, both in microseconds since the epoch.

    Args:
        when: a cron expression, or the time between two ticks (seconds or timedelta), counted from the epoch.
        zone: the time zone of the cron expression; the machine's own where None.

    Raises:
        InvalidMessage: it says no times.
    """
    if isinstance(when, str):
        return _cron(when, zone)
    seconds = when.total_seconds() if isinstance(when, dt.timedelta) else when
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0.001 <= seconds <= 1e9:  # noqa: PLR2004
        msg = f"every: a cron expression, or at least 0.001 seconds, not {when!r}"
        raise InvalidMessage(msg)
    step_us = round(seconds * 1_000_000)
    return lambda at_us: (at_us // step_us + 1) * step_us


def _cron(expression: str, zone: dt.tzinfo | None) -> Callable[[int], int]:
    try:
        from cronsim import CronSim, CronSimError  # noqa: PLC0415 - an extra, for those who use it
    except ImportError as error:
        msg = 'every: cron expressions need the package cronsim: pip install "perdure[cron]"'
        raise InvalidMessage(msg) from error

    def after(at_us: int) -> int:
        # Whole seconds: cron knows nothing finer, and CronSim looks for times strictly after the one given.
        moment = dt.datetime.fromtimestamp(at_us // 1_000_000, tz=zone or dt.UTC)
        if zone is None:
            moment = moment.astimezone()
        try:
            return round(next(CronSim(expression, moment)).timestamp()) * 1_000_000
        except StopIteration:
            return 1 << 62  # such a date never comes (30 February)

    try:
        after(0)
    except CronSimError as error:
        msg = f"every: {expression!r} is no cron expression: {error}"
        raise InvalidMessage(msg) from error
    return after
