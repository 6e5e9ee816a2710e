"""Checks of single options of a handler: numbers of workers and retries, rates, backoffs, exception classes.

Each returns the value as it is used from there on, and raises `InvalidMessage` that names the field and what is allowed. Checks of
any argument are in `perdure.arguments`; lengths of time are checked in `perdure.events.seconds`.
"""

from __future__ import annotations

import datetime as dt
import inspect
import math
import re
from typing import TYPE_CHECKING, Any

from perdure.arguments.choices import check_whole
from perdure.events.errors import InvalidMessage
from perdure.events.handlers.backoff import Fixed
from perdure.events.handlers.registry import WORKERS_MAX
from perdure.events.seconds import SECONDS_MAX, plain_number, shown
from perdure.handling.signatures import label_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.events.handlers.backoff import Backoff

__all__ = [
    "check_backoff",
    "check_exceptions",
    "check_parallelism",
    "check_rate",
    "check_retries",
]

RATE_MAX = 1e6
_PERIODS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def check_retries(field: str, value: Any) -> float:
    """Return a number of retries; infinity means for ever."""
    number = plain_number(value)
    return math.inf if number == math.inf else check_whole(field, value, 0)


def check_parallelism(_field: str, value: Any) -> tuple[int, int]:
    """Return the least and the most workers of a number, or of a pair. No workers at all are for an operator to choose."""
    if plain_number(value) == 0:
        msg = (
            "parallelism: 0 would never handle a message. Use 1 or more; to stop deliveries for a while, "
            "`system.admin.pause(Type)` or `system.admin.scale(Type, 0)`; for workers while there is work, a pair such as (0, 4)"
        )
        raise InvalidMessage(msg)
    match value:
        case tuple((minimum, maximum)):
            low = check_whole("parallelism, minimum", minimum, 0, WORKERS_MAX)
            return low, check_whole("parallelism, maximum", maximum, max(low, 1), WORKERS_MAX)
    workers = check_whole("parallelism", value, 1, WORKERS_MAX)
    return workers, workers


def check_rate(field: str, value: Any) -> float | None:
    """Return deliveries a second, of a number or of text such as `100/s`, `30/m`, `1/h`; None for no limit."""
    if value is None:
        return None
    count: Any = plain_number(value)
    if isinstance(value, str):
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*/\s*([smhd])\w*\s*", value)
        count = float(found[1]) / _PERIODS_S[found[2]] if found else None
    if count is None or not 1 / SECONDS_MAX <= count <= RATE_MAX:
        msg = f"{field}: a number a second up to a million, or text such as '100/s', '30/m', '1/h', not {shown(value)}"
        raise InvalidMessage(msg)
    return float(count)


def check_exceptions(field: str, value: Any) -> tuple[type[BaseException], ...]:
    """Return a tuple of exception classes, of one class or of several."""
    kinds = value if isinstance(value, (tuple, list)) else (value,)
    if not all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in kinds):
        msg = f"{field}: an exception class, or a tuple of them, not {shown(value)}"
        raise InvalidMessage(msg)
    return tuple(kinds)


def check_backoff(_field: str, value: Any) -> Backoff | Callable[[int, BaseException], float]:
    """Return a backoff: an object with `delay`, a function of (attempt, error), or `Fixed` for a length of time."""
    if isinstance(value, (int, float, dt.timedelta)) and not isinstance(value, bool):
        try:
            return Fixed(value)
        except ValueError as error:
            msg = f"backoff: {error}"
            raise InvalidMessage(msg) from error
    asked = value if callable(value) else getattr(value, "delay", None)
    if not callable(asked) or isinstance(value, type) or inspect.iscoroutinefunction(asked):
        made = f"; it is a class: make an object of it, {value.__name__}(...)" if isinstance(value, type) else ""
        msg = f"backoff: Fixed, Linear, Exponential, seconds, or a plain function of (attempt, error), not {shown(value)}{made}"
        raise InvalidMessage(msg)
    try:
        inspect.signature(asked).bind(1, 0.5)
    except TypeError as error:
        msg = f"backoff: {label_of(asked)} cannot be called with (attempt, {'error' if asked is value else 'chance'}): {error}"
        raise InvalidMessage(msg) from error
    except ValueError:
        pass  # some callables of C have no signature
    checked: Backoff | Callable[[int, BaseException], float] = value
    return checked
