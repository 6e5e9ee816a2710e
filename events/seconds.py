"""The validator of lengths of time: delays, times to live, leases, timeouts, pauses, waits.

Pure. Moments (a datetime, "since when") are not lengths of time; the host checks those in `perdure.arguments.moments`.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from perdure.events.errors import InvalidMessage

__all__ = [
    "LONGEST",
    "SECONDS_MAX",
    "checked_seconds",
    "is_seconds",
    "plain_number",
    "seconds_or_none",
    "shown",
    "wait_seconds",
    "whole_us",
]

SECONDS_MAX = 100 * 365 * 86_400.0
"""`LONGEST`: the longest delay, lease or wait, so that every time fits into the log and into the system calls that wait."""
LONGEST = "a hundred years"
SHOWN_CHARS_MAX = 200


def checked_seconds(field: str, value: Any, *, above_zero: bool = False, least: float = 0.0, most: float = SECONDS_MAX) -> float:
    """Return a length of time in seconds, from a number or a timedelta.

    Args:
        field: the argument's name, for the error.
        value: what was given for it.
        above_zero: refuse 0 as well.
        least: the shortest that is allowed.
        most: the longest that is allowed.

    Raises:
        InvalidMessage: it is not a number (a bool is not one), NaN, infinite, or out of these bounds; names field and bounds.
    """
    seconds = plain_number(dt.timedelta.total_seconds(value) if isinstance(value, dt.timedelta) else value)
    if seconds is None or not least <= seconds <= most or (above_zero and not seconds):
        lower = "above 0" if above_zero and not least else f"from {least:g}"
        upper = LONGEST if most == SECONDS_MAX else f"{most:g}"
        msg = f"{field}: seconds {lower} to {upper}, as a number or a timedelta, not {shown(value)}"
        raise InvalidMessage(msg)
    return float(seconds)


def seconds_or_none(field: str, value: Any, *, above_zero: bool = True) -> float | None:
    """Return a length of time in seconds, or None where none is set.

    Raises:
        InvalidMessage: as `checked_seconds`.
    """
    if value is None:
        return None
    try:
        return checked_seconds(field, value, above_zero=above_zero)
    except InvalidMessage as error:
        msg = f"{error}; None sets none"
        raise InvalidMessage(msg) from None


def wait_seconds(field: str, value: Any) -> float:
    """Return how long a caller waits for an answer, as `Answer.wait` takes it: in seconds, -1.0 (no limit) for None.

    Raises:
        InvalidMessage: as `checked_seconds`.
    """
    if value is None:
        return -1.0
    try:
        return checked_seconds(field, value)
    except InvalidMessage as error:
        msg = f"{error}; None waits for as long as it takes"
        raise InvalidMessage(msg) from None


def is_seconds(value: Any, least: float = 0.0, most: float = SECONDS_MAX) -> bool:
    """Return whether a value is a number within these bounds; a bool, NaN and infinity are not."""
    number = plain_number(value)
    return number is not None and least <= number <= most


def plain_number(value: Any) -> int | float | None:
    """Return a number as a plain int or float, whatever a subclass overrides; None for a bool or anything that is not a number."""
    if type(value) is float or type(value) is int:
        return value
    if isinstance(value, float):
        return float.__float__(value)
    return int.__int__(value) if isinstance(value, int) and not isinstance(value, bool) else None


def whole_us(seconds: float) -> int:
    """Return seconds in whole microseconds; at least one for what is above 0, so that no time is rounded away."""
    return max(1, round(seconds * 1_000_000)) if seconds > 0 else 0


def shown(value: Any) -> str:
    """Return a value as an error shows it: its repr, cut to a line's length, whatever its `__repr__` does."""
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001 - foreign code, or an int of more digits than Python prints
        return f"a {type(value).__name__} whose repr raised {type(error).__name__}"
    return text if len(text) <= SHOWN_CHARS_MAX else f"{text[: SHOWN_CHARS_MAX - 3]}..."
