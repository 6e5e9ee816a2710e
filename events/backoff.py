"""How long a failed message waits before its next attempt: fixed, linear or exponential, with jitter and a cap.

Pure: chance comes in as a number from 0 to 1, drawn by whoever asks.
"""

from __future__ import annotations

from typing import Protocol

import attrs
from attrs import validators as v

__all__ = ["Backoff", "Exponential", "Fixed", "Linear"]

_SECONDS = [v.instance_of((int, float)), v.ge(0.0), v.lt(float("inf"))]
_SHARE = [v.instance_of((int, float)), v.ge(0.0), v.le(1.0)]


class Backoff(Protocol):
    """The wait after each failed attempt."""

    def delay(self, attempt: int, chance: float) -> float:
        """Give the seconds to wait after failed attempt number `attempt` (from 1); `chance` is uniform in [0, 1)."""


def _spread(seconds: float, jitter: float, chance: float) -> float:
    """Shorten a wait by up to the share `jitter`, so that what failed together does not come back together."""
    return seconds * (1.0 - jitter * chance)


@attrs.frozen
class Fixed:
    """The same wait each time, in seconds."""

    seconds: float = attrs.field(validator=_SECONDS)
    jitter: float = attrs.field(default=0.0, validator=_SHARE, kw_only=True)

    def delay(self, attempt: int, chance: float) -> float:  # noqa: ARG002 - the protocol's name; a fixed wait ignores it
        """See `Backoff.delay`."""
        return _spread(self.seconds, self.jitter, chance)


@attrs.frozen
class Linear:
    """`first` seconds after the first failure, `step` more after each further one, at most `maximum`."""

    first: float = attrs.field(validator=_SECONDS)
    step: float | None = attrs.field(default=None, validator=v.optional(_SECONDS))
    maximum: float = attrs.field(default=300.0, validator=_SECONDS)
    jitter: float = attrs.field(default=0.0, validator=_SHARE, kw_only=True)

    def delay(self, attempt: int, chance: float) -> float:
        """See `Backoff.delay`."""
        step = self.first if self.step is None else self.step
        return _spread(min(self.first + step * (attempt - 1), self.maximum), self.jitter, chance)


@attrs.frozen
class Exponential:
    """`first` seconds after the first failure, `factor` times more after each further one, at most `maximum`."""

    first: float = attrs.field(validator=_SECONDS)
    maximum: float = attrs.field(default=300.0, validator=_SECONDS)
    factor: float = attrs.field(default=2.0, validator=v.ge(1.0))
    jitter: float = attrs.field(default=0.0, validator=_SHARE, kw_only=True)

    def delay(self, attempt: int, chance: float) -> float:
        """See `Backoff.delay`."""
        # The exponent is bounded so that the ten thousandth retry of a message does not overflow a float.
        grown = self.first * self.factor ** min(attempt - 1, 64)
        return _spread(min(grown, self.maximum), self.jitter, chance)
