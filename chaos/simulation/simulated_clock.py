"""The clock of a simulation: virtual time, which moves only when the executor moves it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["START_US", "SimulatedClock"]

START_US = 1_700_000_000_000_000


class SimulatedClock:
    """See `perdure.actors.core.clock.Clock`. Time moves when nothing can be done at the present moment, or on request."""

    def __init__(self, start_us: int = START_US) -> None:
        self._now_us = start_us
        self.passed_us = 0
        """Microseconds since the simulation began. Unlike the time of day, this never goes back."""

    def now_us(self) -> int:
        """See `Clock.now_us`."""
        return self._now_us

    def wall_us(self) -> int:
        """See `Clock.wall_us`."""
        return self.now_us()

    def skipped_us(self, _since_us: int, _until_us: int, /) -> int:
        """See `Clock.skipped_us`: simulated time does not jump."""
        return 0

    def seconds_until(self, at_us: int) -> float | None:
        """See `Clock.seconds_until`."""
        return max(0.0, (at_us - self._now_us) / 1_000_000)

    def subscribe(self, callback: Callable[[], None]) -> None:
        """See `Clock.subscribe`; no effect, as the executor reads the time itself."""

    def advance(self, seconds: float) -> None:
        """Move the time forward. What falls due meanwhile happens when the executor goes on.

        Raises:
            ValueError: `seconds` is negative.
        """
        if seconds < 0:
            msg = f"time does not go back: {seconds}"
            raise ValueError(msg)
        self._now_us += round(seconds * 1_000_000)
        self.passed_us += round(seconds * 1_000_000)

    def set_back(self, seconds: float) -> None:
        """Set the time of day back. Only between two processes: within one, `Clock.now_us` never goes back."""
        self._now_us -= round(seconds * 1_000_000)
