"""What an operator can set for one handler from outside the code: an attrs class, checked when it is made, units in the names.

Where the settings are found is in `config`; what they mean to a handler, and what the code itself says, in `registration`.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import attrs

from perdure.handling.registration import (
    DEDUP,
    check_backoff,
    check_one_of,
    check_parallelism,
    check_rate,
    check_seconds,
    check_truth,
    check_whole,
)

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["HandlerOptions"]

_TRUTHS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def _number(value: Any) -> Any:
    """Read a text as a number, whole where it is one; what is no text, or no number, is left for the check."""
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


def _is_retries(name: str, value: Any) -> None:
    if value != math.inf:
        check_whole(name, value, 0)


def _option(code: str, read: Callable[[Any], Any], check: Callable[[str, Any], Any]) -> Any:
    """Make a field: `code` is what the option is called in `System.handler`."""

    def validate(_options: Any, field: attrs.Attribute[Any], value: Any) -> None:
        if value is not None:
            check(field.name, value)

    return attrs.field(default=None, converter=attrs.converters.optional(read), validator=validate, metadata={"code": code})


@attrs.frozen(kw_only=True)
class HandlerOptions:
    """Settings of one handler, stronger than the code's; None: as the code says. See `System.handler` for what each means.

    Raises:
        ValueError: an option is out of its range; the error names it and what is allowed.
    """

    parallelism: int | tuple[int, int] | None = _option("parallelism", _workers, lambda _, value: check_parallelism(value))
    timeout_s: float | None = _option("timeout", _number, check_seconds)
    lease_s: float | None = _option("lease", _number, check_seconds)
    renew: bool | None = _option("renew", _truth, check_truth)
    retries: float | None = _option("retries", _retries, _is_retries)
    backoff_s: float | None = _option("backoff", _number, lambda _, value: check_backoff(value))
    """The same wait before each retry."""
    dedup: str | None = _option("dedup", str, lambda name, value: check_one_of(name, value, DEDUP))
    dedup_window_s: float | None = _option("dedup_window", _number, check_seconds)
    key_parallelism: int | None = _option("key_parallelism", _number, lambda name, value: check_whole(name, value, 1))
    rate: float | str | None = _option("rate", _rate, lambda _, value: check_rate(value))
    memory_bytes: int | None = _option("memory_limit", _number, lambda name, value: check_whole(name, value, 1 << 20))

    def changes(self) -> dict[str, Any]:
        """Give what is set, by the names that `System.handler` has for it."""
        found = {field.metadata["code"]: getattr(self, field.name) for field in attrs.fields(HandlerOptions)}
        return {name: value for name, value in found.items() if value is not None}
