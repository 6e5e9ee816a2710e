"""The clocks of a simulation: virtual time, which moves only when the executor moves it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["START_US", "ProcessClock", "SimulatedClock"]

START_US = 1_700_000_000_000_000


class SimulatedClock:
    """See `perdure.actors.core.clock.Clock`. Time moves when nothing can be done at the present moment, or on request."""

    def __init__(self, start_us: int = START_US) -> None:
        self._now_us = self.start_us = start_us
        self.passed_us = 0
        """Microseconds since the simulation began. Unlike the time of day, this never goes back."""
        self.set_back_us = 0
        """How far the time of day was set back, in all, less how far it was put forward."""
        self.put_forward_us = 0
        """How far it was put forward, in all."""
        self._corrections: list[tuple[int, int]] = [(0, 0)]
        """When it was corrected, by `passed_us`, and `set_back_us` since then."""
        self._jumps: list[tuple[int, int]] = []

    def now_us(self) -> int:
        """See `Clock.now_us`."""
        return self._now_us

    def wall_us(self) -> int:
        """See `Clock.wall_us`."""
        return self.now_us()

    def skipped_us(self, since_us: int, until_us: int, /) -> int:
        """See `Clock.skipped_us`: what it was put forward by."""
        return _skipped_us(self._jumps, since_us, until_us)

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
        self._jumps.clear()  # the processes that made them have ended
        self._correct(-round(seconds * 1_000_000))

    def put_forward(self, seconds: float) -> None:
        """Put the time of day forward. All processes live through it, and follow it at once."""
        by_us = round(seconds * 1_000_000)
        self._jumps.append((self._now_us, self._now_us + by_us))
        self.put_forward_us += by_us
        self._correct(by_us)

    def _correct(self, by_us: int) -> None:
        self._now_us += by_us
        self.set_back_us -= by_us
        self._corrections.append((self.passed_us, self.set_back_us))

    def set_back_since(self, passed_us: int) -> tuple[int, int]:
        """Return the least and the most of `set_back_us` since a moment."""
        before = [set_back_us for at_us, set_back_us in self._corrections if at_us < passed_us]
        since = [set_back_us for at_us, set_back_us in self._corrections if at_us >= passed_us]
        found = [*before[-1:], *since]
        return min(found), max(found)


class ProcessClock:
    """The clock of a process that may live on while the machine's is set back: it does not go back then, and is ahead of it since.

    Unlike the one of a real process it does not run slower until they agree.
    """

    def __init__(self, machine: SimulatedClock) -> None:
        self._machine = machine
        self._began_us = machine.now_us() - machine.passed_us
        self._jumps: list[tuple[int, int]] = []

    def now_us(self) -> int:
        """See `Clock.now_us`."""
        machine_us, own_us = self._machine.now_us(), self._began_us + self._machine.passed_us
        if machine_us > own_us:  # it was put forward, and is followed at once
            self._jumps.append((own_us, machine_us))
            self._began_us += machine_us - own_us
        return max(machine_us, own_us)

    def wall_us(self) -> int:
        """See `Clock.wall_us`."""
        return self._machine.now_us()

    def skipped_us(self, since_us: int, until_us: int, /) -> int:
        """See `Clock.skipped_us`: what it was put forward by."""
        return _skipped_us(self._jumps, since_us, until_us)

    def seconds_until(self, at_us: int) -> float | None:
        """See `Clock.seconds_until`."""
        return max(0.0, (at_us - self.now_us()) / 1_000_000)

    def subscribe(self, callback: Callable[[], None]) -> None:
        """See `Clock.subscribe`; no effect, as the executor reads the time itself."""


def _skipped_us(jumps: list[tuple[int, int]], since_us: int, until_us: int) -> int:
    return sum(max(0, min(until_us, after_us) - max(since_us, before_us)) for before_us, after_us in jumps)
