"""The source of time: one clock, passed in from outside, real or moved by hand.

No rule reads a clock; actors read this one and pass the time to the rules.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Protocol

from perdure.events.loggers import GuardedLogger
from perdure.events.public_names import public
from perdure.events.seconds import checked_seconds, shown
from perdure.store.disk.forked_locks import lock_of

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

__all__ = ["Clock", "ManualClock", "SystemClock", "ahead_us", "is_machines", "mark_us"]

logger = GuardedLogger("perdure")

LOOK_NS = 100_000_000
"""How often the wall clock is looked at."""
JUMP_NS = 1_000_000_000
"""From here on the wall clock has jumped; less is drift, which is followed without a log line."""
DRIFT_NS = 10_000_000
"""How far the wall clock may be behind before time runs slower."""
AT_ONCE_NS = 5_000_000
"""Two clocks that are read within this were read at once."""
SLOWER_BY = 10
"""After the wall clock was put back, time runs slower than it by one part in this many."""
JUMPS_MAX = 64
"""Jumps that are remembered."""
NEAR_US = 20_000
"""How far a clock may be ahead of the wall clock, or behind it, by drift alone."""
TRIES = 5
"""How often two clocks are read until they are read at once."""


@public
class Clock(Protocol):
    """The time, and how long to wait for a later one. Safe in any thread."""

    def now_us(self) -> int:
        """Return the time in microseconds since the Unix epoch; it never goes back within a process."""

    def seconds_until(self, at_us: int) -> float | None:
        """Return how long a thread should wait for `at_us`; None where only a call of `subscribe`'s callback can end it."""

    def wall_us(self) -> int:
        """Return the wall clock's time in microseconds, for schedules; it goes back when the wall clock is put back."""

    def skipped_us(self, since_us: int, until_us: int, /) -> int:
        """Return how much of a stretch of time was skipped: the clock was put forward, or the machine slept."""

    def subscribe(self, moved: Callable[[], None]) -> None:
        """Call `moved` whenever the clock is moved by something other than the passing of time."""


@public
class SystemClock:
    """The machine's time, for moments and for lengths of time alike. Safe in any thread.

    `now_us` never goes back and follows the wall clock: where that is put forward, or has gone on while the machine slept, it is
    followed at once; where it is put back, `now_us` runs a tenth slower until they agree. So what is due at a moment is never
    late, and what has a length is never more than a tenth too long. `skipped_us` says how much of a stretch was jumped over: a
    lease or a timeout counts without it, so that no jump ends one. `wall_us` is the wall clock itself, for schedules.
    """

    def __init__(self) -> None:
        monotonic_ns = time.monotonic_ns()
        self._course = (monotonic_ns, time.time_ns(), False)
        """Since when it runs on as it does, in monotonic time; what it showed then; and whether it runs slower."""
        self._look_ns = monotonic_ns + LOOK_NS
        self._looking = lock_of(self, "_looking")
        self._jumps: deque[tuple[int, int]] = deque(maxlen=JUMPS_MAX)
        """What it showed before and after each jump, in microseconds, oldest first."""

    def now_us(self) -> int:
        """See `Clock.now_us`."""
        monotonic_ns = time.monotonic_ns()
        if monotonic_ns >= self._look_ns:
            self._compare(monotonic_ns)
        since_ns, shown_ns, slower = self._course
        # As `_shown_ns`, written out: a call costs more than the work.
        return (self._shown_ns(monotonic_ns) if slower else shown_ns + monotonic_ns - since_ns) // 1000

    def _shown_ns(self, monotonic_ns: int) -> int:
        since_ns, shown_ns, slower = self._course
        passed_ns = monotonic_ns - since_ns
        return shown_ns + (passed_ns - passed_ns // SLOWER_BY if slower else passed_ns)

    def _compare(self, monotonic_ns: int) -> None:
        """Set the course by the wall clock."""
        if not self._looking.acquire(blocking=False):
            return  # another thread does it
        try:
            wall_ns, before_ns, monotonic_ns = time.time_ns(), monotonic_ns, time.monotonic_ns()
            self._look_ns = monotonic_ns + LOOK_NS
            if monotonic_ns - before_ns > AT_ONCE_NS:
                return  # the thread was held up in between, so the two cannot be compared
            shown_ns = self._shown_ns(monotonic_ns)
            ahead_ns = wall_ns - shown_ns
            if ahead_ns >= JUMP_NS:
                self._jumps.append((shown_ns // 1000, wall_ns // 1000))
                logger.warning("the clock is %.1f s ahead of where it was: corrected, or the machine slept", ahead_ns / 1e9)
            elif ahead_ns <= -JUMP_NS and not self._course[2]:
                logger.warning("the clock was put back by %.1f s; time runs a tenth slower until that is made up", -ahead_ns / 1e9)
            self._course = (monotonic_ns, max(shown_ns, wall_ns), ahead_ns < -DRIFT_NS)
        finally:
            self._looking.release()

    def wall_us(self) -> int:
        """See `Clock.wall_us`."""
        return time.time_ns() // 1000

    def skipped_us(self, since_us: int, until_us: int, /) -> int:
        """See `Clock.skipped_us`."""
        if not self._jumps:
            return 0
        jumps = tuple(self._jumps)
        return sum(max(0, min(until_us, after_us) - max(since_us, before_us)) for before_us, after_us in jumps)

    def seconds_until(self, at_us: int) -> float | None:
        """See `Clock.seconds_until`."""
        return max(0.0, (at_us - self.now_us()) / 1_000_000)

    def subscribe(self, moved: Callable[[], None]) -> None:
        """Do nothing: threads that wait look at the clock again within seconds."""


def ahead_us(clock: Clock) -> int:
    """Return by how many microseconds a clock is ahead of the wall clock, since that was put back; 0 within drift.

    Below 0: the wall clock was put forward, and that has not been noticed yet.
    """
    now_us, wall_us = clock.now_us(), clock.wall_us()
    for _ in range(TRIES):
        if clock.now_us() - now_us <= AT_ONCE_NS // 1000:
            break
        now_us, wall_us = clock.now_us(), clock.wall_us()  # the thread was held up in between
    ahead = now_us - wall_us
    return ahead if abs(ahead) > NEAR_US else 0


def is_machines(clock: Clock) -> bool:
    """Return whether a clock shows the machine's time, so that it may be compared with the clocks of other machines."""
    return isinstance(clock, SystemClock)


def mark_us(clock: Clock) -> int | None:
    """Return the wall clock for what a process of another machine reads; None where it is no machine's."""
    return clock.wall_us() if is_machines(clock) else None


START_US_MAX = 250_246_627_200_000_000
"""Of a clock that a test moves: the year 9900, so that a hundred years ahead there still are dates."""


@public
class ManualClock:
    """A clock that stands still until it is moved: for tests of delays, retries and leases. Safe in any thread."""

    def __init__(self, start_us: int = 1_700_000_000_000_000) -> None:
        if type(start_us) is not int or not 0 <= start_us <= START_US_MAX:
            msg = f"start_us: whole microseconds since 1970, up to the year 9900, not {shown(start_us)}"
            raise ValueError(msg)
        self._now_us = start_us
        self._lock = lock_of(self, "_lock")
        self._moved: list[Callable[[], None]] = []

    def now_us(self) -> int:
        """See `Clock.now_us`."""
        return self._now_us

    def seconds_until(self, at_us: int) -> float | None:
        """See `Clock.seconds_until`."""
        return 0.0 if at_us <= self._now_us else None

    def wall_us(self) -> int:
        """See `Clock.wall_us`."""
        return self._now_us

    def skipped_us(self, _since_us: int, _until_us: int, /) -> int:
        """See `Clock.skipped_us`: a move forward counts as time that passed."""
        return 0

    def subscribe(self, moved: Callable[[], None]) -> None:
        """See `Clock.subscribe`."""
        self._moved.append(moved)

    def advance(self, seconds: float | dt.timedelta) -> None:
        """Move the time forward, by seconds or a timedelta, and call the callbacks of `subscribe`.

        Raises:
            ValueError: a step back, or no time.
        """
        if not isinstance(seconds, bool) and isinstance(seconds, (int, float)) and seconds < 0:
            msg = f"a clock only goes forward, not by {seconds} s"
            raise ValueError(msg)
        step_us = round(checked_seconds("seconds", seconds) * 1_000_000)
        with self._lock:
            self._now_us += step_us
        for moved in self._moved:
            moved()
