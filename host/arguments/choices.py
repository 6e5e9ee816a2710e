"""Checks of single arguments: whole numbers, truth values, one of several words.

Each returns the value, and raises `InvalidMessage` that names the argument and what is allowed. Lengths of time are checked in
`perdure.events.seconds`, moments in `moments`.
"""

from __future__ import annotations

from typing import Any

from perdure.arguments.labels import plain
from perdure.events.errors import InvalidMessage
from perdure.events.seconds import shown

__all__ = ["WHOLE_MAX", "check_callable", "check_flag", "check_one_of", "check_truth", "check_whole"]


WHOLE_MAX = 1 << 53
"""The largest number of anything. It fits into every field of events, snapshots and frames between processes."""


def check_whole(field: str, value: Any, minimum: int, maximum: int = WHOLE_MAX) -> int:
    """Return a whole number within these bounds; a bool is none."""
    if type(value) is not int or not minimum <= value <= maximum:
        is_told = maximum < WHOLE_MAX or (type(value) is int and value > maximum)
        upper = f" and at most {maximum:,}" if is_told else ""
        msg = f"{field}: a whole number of {minimum} or more{upper}, not {shown(value)}"
        raise InvalidMessage(msg)
    return value


def check_truth(field: str, value: Any) -> bool | None:
    """Return True, False or None."""
    if value is not None and not isinstance(value, bool):
        msg = f"{field}: true or false, not {shown(value)}"
        raise InvalidMessage(msg)
    return value


def check_flag(field: str, value: Any) -> bool:
    """Return True or False."""
    if value is not True and value is not False:
        msg = f"{field}: True or False, not {shown(value)}"
        raise InvalidMessage(msg)
    return value


def check_one_of(field: str, value: Any, allowed: tuple[str, ...]) -> Any:
    """Return a value that is one of these words, as a plain text."""
    word = plain(value) if isinstance(value, str) else None
    if word not in allowed:
        msg = f"{field}: {', '.join(map(repr, allowed[:-1]))} or {allowed[-1]!r}, not {shown(value)}"
        raise InvalidMessage(msg)
    return word


def check_callable(field: str, value: Any) -> None:
    """Check that an argument can be called, if it is given, before anything is begun that would call it.

    Raises:
        TypeError: it cannot.
    """
    if value is not None and not callable(value):
        msg = f"{field}: a function, not {shown(value)}"
        raise TypeError(msg)
