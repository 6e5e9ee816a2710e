"""The schedules of a log: what ticks when, its last tick and its next, as far as the log knows.

The handler of a schedule's ticks has on record when it ticks. A schedule that publishes a message of the host has no such record:
its next tick is estimated from the last two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from perdure.actors.journal.log_fold import fold_log
from perdure.arguments.moments import moment
from perdure.events import vocabulary as ev
from perdure.events.codec.wire import decode
from perdure.events.errors import InvalidMessage
from perdure.events.schedules.ticks import TICK_PREFIX
from perdure.handling.recurring.schedules import NEVER_US, following

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

    from perdure.store import LogReader

__all__ = ["ListedSchedule", "listed_schedules"]


@attrs.frozen(kw_only=True)
class ListedSchedule:
    """One schedule."""

    name: str
    every: str
    """A cron expression, or the seconds between two ticks; empty where the log does not know."""
    zone: str
    """The time zone of the cron expression; empty for that of the machine."""
    last: dt.datetime | None
    """Its last tick that is done, published or passed over."""
    next: dt.datetime | None
    """Its next tick; None where it is unknown, or never comes."""
    is_estimate: bool
    """Whether the next tick is an estimate, from the last two."""
    paused: bool
    """Whether deliveries of its ticks are paused."""


def listed_schedules(log: LogReader, now_us: int, *, progress: Callable[[int], None] | None = None) -> list[ListedSchedule]:
    """Return the schedules of a log by name; `progress` is called with the sequence number reached.

    Raises:
        StoreCorrupt, StoreUnavailable, HistoryDropped: the log cannot be folded.
    """
    states, _ = fold_log(log, progress=progress)
    ticks, handlers = states.queue.ticks, states.handlers
    recorded = {
        name.removeprefix(TICK_PREFIX): handler.registered.more or {}
        for name, handler in handlers.handlers.items()
        if name.startswith(TICK_PREFIX)
    }
    gaps = _gaps(log) if any("every" not in recorded.get(name, {}) for name in ticks) else {}
    found = []
    for name in sorted({*ticks, *recorded}):
        more, last_us = recorded.get(name, {}), ticks.get(name)
        every, zone = more.get("every"), more.get("zone")
        next_us = _next(every, zone, max(last_us or 0, now_us)) if every is not None else None
        is_estimate = every is None and last_us is not None and name in gaps
        if is_estimate and last_us is not None:
            next_us = last_us + gaps[name] * max(1, -(-(now_us - last_us) // gaps[name]))
        found.append(
            ListedSchedule(
                name=name,
                every="" if every is None else str(every),
                zone=zone or "",
                last=None if last_us is None else moment(last_us),
                next=None if next_us is None else moment(next_us),
                is_estimate=is_estimate,
                paused=handlers.is_paused(f"{TICK_PREFIX}{name}"),
            )
        )
    return found


def _next(every: str | float, zone: str | None, after_us: int) -> int | None:
    """Return the next tick; None where it never comes, or cannot be computed here (cronsim is missing, or the zone unknown)."""
    try:
        found = following(every, zone)(after_us)
    except InvalidMessage:
        return None
    return found if found < NEVER_US else None


def _gaps(log: LogReader) -> dict[str, int]:
    """Return the time between the last two ticks of each schedule, in microseconds."""
    last: dict[str, int] = {}
    gaps: dict[str, int] = {}
    for frame in log.frames():
        for _, events in decode(frame.body, frame.count):
            for event in events:
                if isinstance(event, ev.Ticked):
                    if event.due_us > last.get(event.schedule, event.due_us):
                        gaps[event.schedule] = event.due_us - last[event.schedule]
                    last[event.schedule] = event.due_us
    return gaps
