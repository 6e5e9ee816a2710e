"""Checks of single arguments: whole numbers, truth values, one of several words.

Each returns the value, and raises `InvalidMessage` that names the argument and what is allowed. Lengths of time are checked in
`perdure.events.seconds`, moments in `moments`.
"""

from __future__ import annotations

from typing import Any

from perdure.events.errors import InvalidMessage

__all__ = ["check_one_of", "check_truth", "check_whole"]


def check_whole(field: str, value: Any, minimum: int, maximum: int | None = None) -> int:
    """Return a whole number within these bounds; a bool is none."""
    if type(value) is not int or value < minimum or (maximum is not None and value > maximum):
        upper = "" if maximum is None else f" and at most {maximum:,}"
        msg = f"{field}: a whole number of {minimum} or more{upper}, not {value!r}"
        raise InvalidMessage(msg)
    return value


def check_truth(field: str, value: Any) -> bool | None:
    """Return True, False or None."""
    if value is not None and not isinstance(value, bool):
        msg = f"{field}: true or false, not {value!r}"
        raise InvalidMessage(msg)
    return value


def check_one_of(field: str, value: Any, allowed: tuple[str, ...]) -> Any:
    """Return a value that is one of these."""
    if value not in allowed:
        msg = f"{field}: {', '.join(map(repr, allowed[:-1]))} or {allowed[-1]!r}, not {value!r}"
        raise InvalidMessage(msg)
    return value
