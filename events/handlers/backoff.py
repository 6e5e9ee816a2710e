"""How long a failed message waits before its next attempt: fixed, linear or exponential, with jitter and a maximum.

Pure: the caller passes in a random number.
"""

from __future__ import annotations

import datetime as dt
import sys
from typing import Any, Protocol

import attrs

from perdure.events.errors import InvalidMessage
from perdure.events.public_names import public
from perdure.events.seconds import SECONDS_MAX, is_seconds, shown

__all__ = ["Backoff", "Exponential", "Fixed", "Linear", "checked_delay"]

_FLOAT_MAX = sys.float_info.max


def _plain(value: Any) -> Any:
    return value.total_seconds() if isinstance(value, dt.timedelta) else value


def _bounds(least: float, most: float, allowed: str) -> Any:
    def check(_backoff: Any, field: attrs.Attribute[Any], value: Any) -> None:
        if not is_seconds(value, least, most):
            msg = f"{field.name}: {allowed}, not {shown(value)}"
            raise InvalidMessage(msg)

    return check


_SECONDS = _bounds(0.0, _FLOAT_MAX, "seconds of 0 or more, finite, as a number or a timedelta")
_SHARE = _bounds(0.0, 1.0, "a share from 0 to 1")
_FACTOR = _bounds(1.0, _FLOAT_MAX, "a finite number of 1 or more")


def checked_delay(value: Any) -> float:
    """Return the seconds that a backoff returned, at most a hundred years.

    Raises:
        InvalidMessage: the value is not a number, or is NaN, infinite or negative.
    """
    seconds = _plain(value)
    if not isinstance(seconds, (bool, str)) and hasattr(seconds, "__float__"):
        seconds = float(seconds)  # a Decimal, a numpy number
    if not is_seconds(seconds, 0.0, _FLOAT_MAX):
        msg = f"backoff: it returned {shown(value)}, which is not a time to wait; return finite seconds of 0 or more"
        raise InvalidMessage(msg)
    return float(min(seconds, SECONDS_MAX))


@public
class Backoff(Protocol):
    """The wait after each failed attempt."""

    def delay(self, attempt: int, rng: float) -> float:
        """Return the seconds to wait after failed attempt number `attempt` (from 1); `rng` is uniform in [0, 1)."""


def _spread(seconds: float, jitter: float, rng: float) -> float:
    """Return a wait shortened by up to the share `jitter`, so that messages that failed together do not return together."""
    return seconds * (1.0 - jitter * rng)


@public
@attrs.frozen
class Fixed:
    """The same wait each time, in seconds."""

    seconds: float = attrs.field(validator=_SECONDS, converter=_plain)
    jitter: float = attrs.field(default=0.0, validator=_SHARE, kw_only=True)

    def delay(self, attempt: int, rng: float) -> float:  # noqa: ARG002 - the protocol's name; a fixed wait ignores it
        """See `Backoff.delay`."""
        return _spread(self.seconds, self.jitter, rng)


@public
@attrs.frozen
class Linear:
    """`first` seconds after the first failure, `step` more after each further one, at most `maximum`."""

    first: float = attrs.field(validator=_SECONDS, converter=_plain)
    step: float | None = attrs.field(default=None, validator=attrs.validators.optional(_SECONDS), converter=_plain)
    maximum: float = attrs.field(default=300.0, validator=_SECONDS, converter=_plain)
    jitter: float = attrs.field(default=0.0, validator=_SHARE, kw_only=True)

    def delay(self, attempt: int, rng: float) -> float:
        """See `Backoff.delay`."""
        step = self.first if self.step is None else self.step
        return _spread(min(self.first + step * (attempt - 1), self.maximum), self.jitter, rng)


@public
@attrs.frozen
class Exponential:
    """`first` seconds after the first failure, `factor` times more after each further one, at most `maximum`."""

    first: float = attrs.field(validator=_SECONDS, converter=_plain)
    maximum: float = attrs.field(default=300.0, validator=_SECONDS, converter=_plain)
    factor: float = attrs.field(default=2.0, validator=_FACTOR)
    jitter: float = attrs.field(default=0.0, validator=_SHARE, kw_only=True)

    def delay(self, attempt: int, rng: float) -> float:
        """See `Backoff.delay`."""
        if not self.first:
            return 0.0
        try:
            grown = self.first * self.factor ** (attempt - 1)
        except OverflowError:  # 2 to the power of 10,000, or 1e308 squared
            grown = self.maximum
        return _spread(min(grown, self.maximum), self.jitter, rng)
