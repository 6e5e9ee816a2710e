"""The options of a handler: their names and types for callers, and one checked object of them.

A decorator's keyword options and the operator's settings (`perdure.config`) become one `HandlerOptions`, which `registration` turns
into the worker's `HandlerSpec`. Checks of single values are in `option_checks`.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict, get_args

import attrs

from perdure.arguments.choices import check_one_of, check_truth, check_whole
from perdure.events.errors import InvalidMessage
from perdure.events.handlers.backoff import Exponential
from perdure.events.publish_options import DEDUP, Dedup
from perdure.events.seconds import seconds_or_none
from perdure.handling.option_checks import (
    check_backoff,
    check_exceptions,
    check_parallelism,
    check_rate,
    check_retries,
)

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping

    from perdure.events.handlers.backoff import Backoff

__all__ = [
    "DEFAULTS",
    "SETTINGS",
    "BatchHandlerKeywords",
    "ChangeableKeywords",
    "HandlerKeywords",
    "HandlerOptions",
    "Isolation",
    "Setting",
    "check_changes",
]

Isolation: TypeAlias = Literal["thread", "process"]
"""Where a handler runs."""
ISOLATION: tuple[Isolation, ...] = get_args(Isolation)
MEMORY_MIN = 1 << 20
_TRUTHS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_SPEC_NAMES = {
    "timeout": "timeout_s",
    "lease": "lease_s",
    "dedup_window": "dedup_window_s",
    "rate": "rate_per_s",
    "memory_limit": "memory_bytes",
}
"""What `HandlerSpec` calls an option, where it has another name for it."""


class ChangeableKeywords(TypedDict, total=False):
    """Options that can be changed while the system runs."""

    timeout: float | dt.timedelta | None
    lease: float | dt.timedelta | None
    renew: bool | None
    retries: float | None
    rate: float | str | None


class BatchHandlerKeywords(ChangeableKeywords, total=False):
    """Options of every handler."""

    parallelism: int | tuple[int, int]
    backoff: Backoff | Callable[[int, BaseException], float] | float | dt.timedelta
    retry_on: type[BaseException] | tuple[type[BaseException], ...]
    dead_letter_on: type[BaseException] | tuple[type[BaseException], ...]
    dedup: Dedup
    dedup_window: float | dt.timedelta | None
    key_parallelism: int | None


class HandlerKeywords(BatchHandlerKeywords, total=False):
    """Options of a handler that takes one message in a call."""

    isolation: Isolation
    memory_limit: int | None


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
class Setting:
    """How an operator sets an option in a file or an environment variable."""

    name: str
    read: Callable[[Any], Any]
    check: Callable[[str, Any], Any]

    def value(self, text: Any) -> Any:
        """Return what was set, read and checked.

        Raises:
            InvalidMessage: it is out of its range.
        """
        found = self.read(text)
        self.check(self.name, found)
        return found


def _option(
    default: Any, check: Callable[[str, Any], Any], *, setting: str | None = None, read: Callable[[Any], Any] = _number
) -> Any:
    """Make a field that is checked whenever it gets a value; `setting` is its name outside the code, units included."""

    def checked(value: Any, field: attrs.Attribute[Any]) -> Any:
        return check(field.name, value)

    metadata: dict[str, Any] = {"check": check}
    if setting is not None:
        metadata["setting"] = Setting(setting, read, check)
    return attrs.field(default=default, converter=attrs.Converter(checked, takes_field=True), metadata=metadata)


@attrs.frozen(kw_only=True)
class HandlerOptions:
    """The checked options of one handler. `System.handler` says what each option means.

    Raises:
        InvalidMessage: an option is out of its range, or two do not go together; names them and what is allowed.
    """

    parallelism: tuple[int, int] = _option(1, check_parallelism, setting="parallelism", read=_workers)
    """The least and the most workers."""
    timeout: float | None = _option(None, seconds_or_none, setting="timeout_s")
    lease: float | None = _option(None, seconds_or_none, setting="lease_s")
    renew: bool | None = _option(None, check_truth, setting="renew", read=_truth)
    retries: float | None = _option(None, _retries_or_none, setting="retries", read=_retries)
    """None: as `Options.retries`."""
    backoff: Backoff | Callable[[int, BaseException], float] = _option(  # noqa: RUF009 - a field
        Exponential(1.0, maximum=300.0, jitter=0.1), check_backoff, setting="backoff_s"
    )
    retry_on: tuple[type[BaseException], ...] = _option((), check_exceptions)
    dead_letter_on: tuple[type[BaseException], ...] = _option((), check_exceptions)
    dedup: Dedup = _option("replace", _is_dedup, setting="dedup", read=str)  # noqa: RUF009 - a field
    dedup_window: float | None = _option(None, seconds_or_none, setting="dedup_window_s")
    key_parallelism: int | None = _option(None, _at_least(1), setting="key_parallelism")
    rate: float | None = _option(None, check_rate, setting="rate", read=_rate)
    isolation: Isolation = _option("thread", _is_isolation)  # noqa: RUF009 - a field
    memory_limit: int | None = _option(None, _at_least(MEMORY_MIN), setting="memory_bytes")

    def __attrs_post_init__(self) -> None:
        """Check options that depend on each other."""
        if self.memory_limit is not None and self.isolation != "process":
            msg = "memory_limit: only a process can be limited; add isolation='process'"
            raise InvalidMessage(msg)
        if self.renew and self.lease is None:
            msg = "renew: without a lease there is nothing to renew; a message is held for as long as its handler runs"
            raise InvalidMessage(msg)
        if self.dedup_window and self.dedup == "append":
            msg = "dedup_window: keys are only labels with dedup='append', there is nothing to keep"
            raise InvalidMessage(msg)
        if self.key_parallelism is not None and self.dedup != "append":
            msg = f"key_parallelism: with dedup={self.dedup!r} a key has one message at a time; it goes with dedup='append'"
            raise InvalidMessage(msg)

    def spec_fields(self, retries: int) -> dict[str, Any]:
        """Return the fields of a `HandlerSpec`; `retries` is the number where none is set here."""
        values = attrs.asdict(self, recurse=False)
        low, high = values.pop("parallelism")
        del values["isolation"]
        if values["retries"] is None:
            values["retries"] = retries
        return {"parallelism": low, "parallelism_max": high if high > low else 0, **_for_spec(values)}


FIELDS = {field.name: field for field in attrs.fields(HandlerOptions)}
DEFAULTS = {name: field.default for name, field in FIELDS.items()}
SETTINGS: dict[str, tuple[str, Setting]] = {
    field.metadata["setting"].name: (name, field.metadata["setting"])
    for name, field in FIELDS.items()
    if "setting" in field.metadata
}
"""By the name that an operator uses: the option's name in the code, and how it is read."""


def check_changes(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a `HandlerSpec` for options that are changed while the system runs.

    Raises:
        InvalidMessage: one is out of its range, or cannot be changed.
    """
    checked = {}
    for name, value in options.items():
        if name not in ChangeableKeywords.__annotations__:
            msg = f"{name}: cannot be changed while the system runs; timeout, lease, renew, retries and rate can"
            raise InvalidMessage(msg)
        check = check_retries if name == "retries" else FIELDS[name].metadata["check"]
        checked[name] = check(name, value)
    return _for_spec(checked)


def _for_spec(values: dict[str, Any]) -> dict[str, Any]:
    """Return options under the names and with the values that `HandlerSpec` has for them."""
    found = {_SPEC_NAMES.get(name, name): value for name, value in values.items()}
    if found.get("retries") == math.inf:
        found["retries"] = -1
    if "rate_per_s" in found:
        found["rate_per_s"] = found["rate_per_s"] or 0.0
    return found
