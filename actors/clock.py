"""Where time comes from: the one clock that is passed in, real or moved by hand.

No rule reads a clock; actors read this one and hand the time to the rules.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Clock", "ManualClock", "SystemClock"]


class Clock(Protocol):
    """Gives the time, and says how long to wait for a later one."""

    def now_us(self) -> int:
        """Give the time in microseconds since the Unix epoch; it never goes back within a process."""

    def seconds_until(self, at_us: int) -> float | None:
        """Give how long a thread should wait for `at_us`; None where only a call of `subscribe`'s callback can end it."""

    def subscribe(self, moved: Callable[[], None]) -> None:
        """Have `moved` called whenever the clock was moved by something else than the passing of time."""


class SystemClock:
    """Wall time at the start, carried on by the monotonic clock.

    So a jump of the machine's wall clock neither ends every lease at once nor makes a delayed message wait for an hour; the
    next start of the process sees the corrected time.
    """

    def __init__(self) -> None:
        self._offset_ns = time.time_ns() - time.monotonic_ns()

    def now_us(self) -> int:
        """See `Clock.now_us`."""
        return (time.monotonic_ns() + self._offset_ns) // 1000

    def seconds_until(self, at_us: int) -> float | None:
        """See `Clock.seconds_until`."""
        return max(0.0, (at_us - self.now_us()) / 1_000_000)

    def subscribe(self, moved: Callable[[], None]) -> None:
        """Do nothing: real time needs no announcement."""


class ManualClock:
    """A clock that stands still until it is moved: for tests of delays, retries and leases. Safe in any thread."""

    def __init__(self, start_us: int = 1_700_000_000_000_000) -> None:
        self._now_us = start_us
        self._lock = threading.Lock()
        self._moved: list[Callable[[], None]] = []

    def now_us(self) -> int:
        """See `Clock.now_us`."""
        return self._now_us

    def seconds_until(self, at_us: int) -> float | None:
        """See `Clock.seconds_until`."""
        return 0.0 if at_us <= self._now_us else None

    def subscribe(self, moved: Callable[[], None]) -> None:
        """See `Clock.subscribe`."""
        self._moved.append(moved)

    def advance(self, seconds: float) -> None:
        """Move the time forward and tell whoever waits for it.

        Raises:
            ValueError: a step back.
        """
        if seconds < 0:
            msg = f"a clock only goes forward, not by {seconds} s"
            raise ValueError(msg)
        with self._lock:
            self._now_us += round(seconds * 1_000_000)
        for moved in self._moved:
            moved()
