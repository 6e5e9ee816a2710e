"""How many workers an elastic handler gets, and when: it grows while its workers are pressed, and shrinks after a quiet time.

Pure: the times come from the caller. The bounds of a handler are kept by `registry.decide` (`Adapt`); whether a handler is pressed
is decided by the queue (`events/queue`).
"""

from __future__ import annotations

import attrs

__all__ = ["QUIET_US", "QuietTime", "grown", "is_underused", "shrunk"]

QUIET_US = 1_000_000
"""A handler shrinks at most once in this time, and not until this time after any handler last grew."""


def grown(workers: int, ready: int) -> int:
    """Return how many workers to have where `ready` messages wait: at most twice as many, and no more new ones than messages."""
    return workers + min(ready, max(1, workers))


def shrunk(workers: int, minimum: int) -> int:
    """Return how many workers to have where some are unused: half as many above the minimum."""
    return workers - max(1, (workers - minimum) // 2)


def is_underused(workers: int, out: int) -> bool:
    """Return whether a handler has more workers than deliveries that are out."""
    return out < workers


@attrs.define
class QuietTime:
    """The time after which elastic handlers may shrink. Times in microseconds."""

    since_us: int = 0
    """When a handler last grew, or handlers were last looked at to shrink them."""

    @property
    def over_us(self) -> int:
        """When the quiet time is over."""
        return self.since_us + QUIET_US

    def is_over(self, now_us: int) -> bool:
        """Return whether handlers may shrink now."""
        return now_us >= self.over_us

    def restart(self, now_us: int) -> None:
        """Let the quiet time begin now."""
        self.since_us = now_us
