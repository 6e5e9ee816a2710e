"""Validation of moments, sequence numbers and message ids, for every query and every `at=`.

Not here: lengths of time, which `perdure.events.seconds` validates.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

from perdure.arguments.labels import plain
from perdure.events.errors import InvalidMessage
from perdure.events.seconds import plain_number, shown

if TYPE_CHECKING:
    from perdure.store import LogReader

__all__ = ["Moment", "Point", "checked_id", "moment", "moment_us", "not_a_time", "point"]

Moment: TypeAlias = "int | float | dt.datetime"

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MICROSECOND = dt.timedelta(microseconds=1)
SECONDS_END = 253_402_300_800
"""The end of the year 9999, in seconds since the epoch."""
TIMES = (10**9, 41 * 10**8)
"""Seconds since the epoch from 2001 to 2099: a number between these, or that times a power of 1,000, looks like a time."""
AWARE = "for example datetime.now(datetime.UTC); .replace(tzinfo=datetime.UTC) makes a naive UTC one aware, .astimezone() a local"


def moment(at_us: int) -> dt.datetime:
    """Return microseconds since the epoch as an aware datetime in UTC; the last one that there is for a time beyond the year 9999.

    No publish of this version writes such a time, but a row that another program wrote may have one.
    """
    return EPOCH + min(at_us, SECONDS_END * 1_000_000 - 1) * MICROSECOND


class WrongType(InvalidMessage, TypeError):
    """An argument has a wrong type; the text names the argument."""


@attrs.frozen
class Point:
    """A position in the log: a sequence number, or a moment in microseconds since the epoch."""

    seq: int | None = None
    at_us: int | None = None


def point(field: str, value: Any) -> Point:
    """Return the position that a value names: an int is a sequence number, an aware datetime or a float (epoch) a moment.

    Raises:
        InvalidMessage: the value names no position; the text names the argument and what it may be. Also a TypeError where the
            type is wrong.
    """
    number = plain_number(value)
    if isinstance(number, int):
        if number < 0:
            msg = f"{field}: sequence numbers begin with 1, not {shown(value)}"
            raise InvalidMessage(msg)
        return Point(seq=number)
    if not isinstance(value, (dt.datetime, float)):
        msg = f"{field}: a sequence number (int) or a moment (an aware datetime: {AWARE}), not {shown(value)}"
        raise WrongType(msg)
    return Point(at_us=moment_us(field, value))


def moment_us(field: str, value: Any) -> int:
    """Return a moment, an aware datetime or seconds since the epoch, in microseconds since the epoch.

    Raises:
        InvalidMessage: it is naive, not finite, before 1970, or after 9999, or its time zone raises. Also a TypeError where the
            type is wrong.
    """
    if isinstance(value, dt.datetime):
        try:
            at_us = None if value.utcoffset() is None else (value - EPOCH) // MICROSECOND
        except Exception as error:  # foreign code: a time zone of the host's own
            msg = f"{field}: the time zone of {shown(value)} raised {type(error).__name__}"
            raise InvalidMessage(msg) from error
        if at_us is None:
            msg = f"{field}: {shown(value)} has no time zone, so it may mean local time or UTC. Give an aware one: {AWARE}."
            raise InvalidMessage(msg)
        if not 0 <= at_us < SECONDS_END * 1_000_000:  # in its own zone it may be of 9999, and in UTC be later
            msg = f"{field}: a moment from 1970 to the end of 9999, in UTC, not {shown(value)}"
            raise InvalidMessage(msg)
        return at_us
    number = plain_number(value)
    if number is None:
        msg = f"{field}: an aware datetime ({AWARE}) or seconds since the epoch, not {shown(value)}"
        raise WrongType(msg)
    if not 0 <= number < SECONDS_END:
        msg = f"{field}: seconds since the epoch, from 0 (1970) to the end of 9999, not {shown(value)}"
        raise InvalidMessage(msg)
    return round(number * 1_000_000)


def not_a_time(field: str, seq: int, log: LogReader) -> int:
    """Return a sequence number.

    Raises:
        InvalidMessage: the number lies past the log's end and looks like a time.
    """
    for unit in (1, 10**3, 10**6, 10**9):
        if TIMES[0] * unit < seq < TIMES[1] * unit and next(iter(log.frames(seq - 1)), None) is None:
            meant = EPOCH + dt.timedelta(seconds=seq // unit)
            msg = (
                f"{field}: an int is a sequence number, and the log ends before {seq}. If the moment {meant.isoformat()} is "
                f"meant, give an aware datetime: datetime.fromtimestamp({seq // unit}, datetime.UTC)."
            )
            raise InvalidMessage(msg)
    return seq


def checked_id(field: str, value: Any) -> str:
    """Return a message's id.

    Raises:
        InvalidMessage: it is empty or not a string. Also a TypeError where it is not a string.
    """
    if not isinstance(value, str):
        msg = f"{field}: the id of a message, as `publish` returns it, not {shown(value)}"
        raise WrongType(msg)
    ident = plain(value)
    if not ident:
        msg = f"{field}: the id of a message, as `publish` returns it, not an empty string"
        raise InvalidMessage(msg)
    return ident
