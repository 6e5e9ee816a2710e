"""The options of a handler, each declared once: its name, type, default and check.

Type checkers and editors read the `TypedDict`s, `help()` shows them, and the checks here read them. The options in the code and an
operator's settings (`perdure.config`) become fields of the worker's `HandlerSpec`, which `registration` makes. Checks of single
values are in `option_checks`.
"""

# Annotations are evaluated here (no `from __future__ import annotations`), because the options are read from them.
import datetime as dt
import math
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, TypeAlias, TypedDict, get_args

import attrs

from perdure.arguments.choices import check_one_of, check_truth, check_whole
from perdure.events.errors import InvalidMessage
from perdure.events.handlers.backoff import Backoff, Exponential
from perdure.events.keyword_options import no_such_option
from perdure.events.publish_options import DEDUP, Dedup
from perdure.events.seconds import seconds_or_none
from perdure.handling.options.option_checks import (
    check_backoff,
    check_exceptions,
    check_parallelism,
    check_rate,
    check_retries,
)

__all__ = [
    "DEFAULTS",
    "SETTINGS",
    "BatchHandlerKeywords",
    "ChangeableKeywords",
    "HandlerKeywords",
    "Isolation",
    "Option",
    "check_changed_fields",
    "check_changes",
    "check_options",
    "spec_fields",
]

Isolation: TypeAlias = Literal["thread", "process"]
"""Where a handler runs."""
ISOLATION: tuple[Isolation, ...] = get_args(Isolation)
MEMORY_MIN = 1 << 20
_TRUTHS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def _number(value: Any) -> Any:
    """Read a text as a number, whole where it is one; anything else is left for the check."""
    if isinstance(value, str) and re.fullmatch(r"\s*-?[\d_]+\s*", value):
        return int(value)
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _workers(value: Any) -> Any:
    """Read `8`, `"2-8"` or `[2, 8]` as a number of workers, or as a pair."""
    if isinstance(value, str) and (found := re.fullmatch(r"\s*(\d+)\s*-\s*(\d+)\s*", value)):
        return int(found[1]), int(found[2])
    return tuple(value) if isinstance(value, list) else _number(value)


def _retries(value: Any) -> Any:
    return math.inf if value == "inf" else _number(value)


def _rate(value: Any) -> Any:
    return value if isinstance(value, str) and "/" in value else _number(value)


def _truth(value: Any) -> Any:
    return _TRUTHS.get(value.strip().lower(), value) if isinstance(value, str) else value


def _retries_or_none(field: str, value: Any) -> float | None:
    return None if value is None else check_retries(field, value)


def _at_least(minimum: int) -> Callable[[str, Any], int | None]:
    return lambda field, value: None if value is None else check_whole(field, value, minimum)


def _is_dedup(field: str, value: Any) -> Any:
    return check_one_of(field, value, DEDUP)


def _is_isolation(field: str, value: Any) -> Any:
    return check_one_of(field, value, ISOLATION)


@attrs.frozen
class Option:
    """One option of a handler, beside its name and the type that callers see."""

    default: Any
    check: Callable[[str, Any], Any]
    """Returns the value as it is used, given the option's name and what a caller gave; raises InvalidMessage."""
    field: str | None = None
    """The name in `HandlerSpec`, if that is another one."""
    setting: str | None = None
    """The name in an operator's file or environment, units included; None: only the code can set it."""
    read: Callable[[Any], Any] = _number
    """Reads what an operator wrote."""

    def value(self, text: Any) -> Any:
        """Return what an operator set, read and checked.

        Raises:
            InvalidMessage: it is out of its range.
        """
        found = self.read(text)
        self.check(self.setting or "", found)
        return found


class ChangeableKeywords(TypedDict, total=False):
    """Options that can be changed while the system runs."""

    timeout: Annotated[float | dt.timedelta | None, Option(None, seconds_or_none, field="timeout_s", setting="timeout_s")]
    lease: Annotated[float | dt.timedelta | None, Option(None, seconds_or_none, field="lease_s", setting="lease_s")]
    renew: Annotated[bool | None, Option(None, check_truth, setting="renew", read=_truth)]
    retries: Annotated[float | None, Option(None, _retries_or_none, setting="retries", read=_retries)]
    rate: Annotated[float | str | None, Option(None, check_rate, field="rate_per_s", setting="rate", read=_rate)]


class BatchHandlerKeywords(ChangeableKeywords, total=False):
    """Options of every handler."""

    parallelism: Annotated[int | tuple[int, int], Option(1, check_parallelism, setting="parallelism", read=_workers)]
    limit: Annotated[int | None, Option(None, _at_least(1), setting="limit")]
    backoff: Annotated[
        Backoff | Callable[[int, BaseException], float] | float | dt.timedelta,
        Option(Exponential(1.0, maximum=300.0, jitter=0.1), check_backoff, setting="backoff_s"),
    ]
    retry_on: Annotated[type[BaseException] | tuple[type[BaseException], ...], Option((), check_exceptions)]
    dead_letter_on: Annotated[type[BaseException] | tuple[type[BaseException], ...], Option((), check_exceptions)]
    dedup: Annotated[Dedup, Option("replace", _is_dedup, setting="dedup", read=str)]
    dedup_window: Annotated[
        float | dt.timedelta | None, Option(None, seconds_or_none, field="dedup_window_s", setting="dedup_window_s")
    ]
    key_parallelism: Annotated[int | None, Option(None, _at_least(1), setting="key_parallelism")]


class HandlerKeywords(BatchHandlerKeywords, total=False):
    """Options of a handler that takes one message in a call."""

    isolation: Annotated[Isolation, Option("thread", _is_isolation)]
    memory_limit: Annotated[int | None, Option(None, _at_least(MEMORY_MIN), field="memory_bytes", setting="memory_bytes")]


OPTIONS: dict[str, Option] = {name: get_args(kind)[1] for name, kind in HandlerKeywords.__annotations__.items()}
DEFAULTS = {name: option.default for name, option in OPTIONS.items()}
SETTINGS = {option.setting: (name, option) for name, option in OPTIONS.items() if option.setting is not None}
"""By the name that an operator uses: the option's name in the code, and how it is read."""


def check_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return all options of a handler as they are used, with the defaults of those that are not given.

    Raises:
        InvalidMessage: an option is out of its range, or two do not go together; names them and what is allowed.
    """
    checked = {name: option.check(name, options.get(name, option.default)) for name, option in OPTIONS.items()}
    if checked["memory_limit"] is not None and checked["isolation"] != "process":
        msg = "memory_limit: only a process can be limited; add isolation='process'"
        raise InvalidMessage(msg)
    if checked["renew"] and checked["lease"] is None:
        msg = "renew: without a lease there is nothing to renew; a message is held for as long as its handler runs"
        raise InvalidMessage(msg)
    dedup = checked["dedup"]
    if checked["dedup_window"] and dedup == "append":
        msg = "dedup_window: keys are only labels with dedup='append', there is nothing to keep"
        raise InvalidMessage(msg)
    if checked["key_parallelism"] is not None and dedup != "append":
        msg = f"key_parallelism: with dedup={dedup!r} a key has one message at a time; it goes with dedup='append'"
        raise InvalidMessage(msg)
    return checked


def spec_fields(checked: Mapping[str, Any], retries: int) -> dict[str, Any]:
    """Return the fields of a `HandlerSpec` for checked options; `retries` is the number where none is set among them."""
    values = dict(checked)
    low, high = values.pop("parallelism")
    del values["isolation"]
    if values["retries"] is None:
        values["retries"] = retries
    return {"parallelism": low, "parallelism_max": high if high > low else 0, **_for_spec(values)}


def check_changes(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a `HandlerSpec` for options that are changed while the system runs.

    Raises:
        InvalidMessage: one is out of its range, or cannot be changed.
    """
    checked = {}
    for name, value in options.items():
        if name not in ChangeableKeywords.__annotations__:
            if name not in DEFAULTS:
                raise InvalidMessage(no_such_option("configure", name, ChangeableKeywords.__annotations__))
            *most, last = ChangeableKeywords.__annotations__
            msg = f"{name}: cannot be changed while the system runs; {', '.join(most)} and {last} can"
            raise InvalidMessage(msg)
        check = check_retries if name == "retries" else OPTIONS[name].check
        checked[name] = check(name, value)
    return _for_spec(checked)


def check_changed_fields(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return changes that another process has checked, as `check_changes` gives them, once more checked.

    Raises:
        InvalidMessage: one is out of its range, or cannot be changed.
    """
    named = {OPTIONS[name].field or name: name for name in ChangeableKeywords.__annotations__}
    options = {named.get(field, field): value for field, value in changes.items()}
    if options.get("retries") == -1:
        options["retries"] = math.inf
    return check_changes(options)


def _for_spec(values: dict[str, Any]) -> dict[str, Any]:
    """Return options under the names and with the values that `HandlerSpec` has for them."""
    found = {OPTIONS[name].field or name: value for name, value in values.items()}
    if found.get("retries") == math.inf:
        found["retries"] = -1
    if "rate_per_s" in found:
        found["rate_per_s"] = found["rate_per_s"] or 0.0
    return found
