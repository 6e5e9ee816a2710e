"""When an outbox is read again, and from which row: after a success, a refused row, or a failure.

Pure: the times come from the caller, on one monotonic clock, in seconds. Reading and deleting rows is up to
`actors/services/relay`.
"""

from __future__ import annotations

import attrs

__all__ = ["PAUSE_MAX_S", "OutboxPolling", "pause_s"]

PAUSE_MAX_S = 30.0
_DOUBLINGS_MAX = 10
"""Enough to pass `PAUSE_MAX_S` for every interval that matters, and few enough for a float."""


def pause_s(every_s: float, times: int) -> float:
    """Return how long to pause after the `times`-th failure in a row of an outbox that is read each `every_s` seconds."""
    return min(every_s * 2.0 ** min(times, _DOUBLINGS_MAX), PAUSE_MAX_S)


@attrs.define(eq=False)
class OutboxPolling:
    """When and from where one outbox is read next.

    A refused row stays in the outbox, and reading goes on behind it. After a pause that grows, reading starts from the first row
    again, and tries all refused rows together.
    """

    next_s: float = 0.0
    """When to read next."""
    after: int = 0
    """Read only rows behind this one, as rows up to it were refused; 0: read from the first row."""
    retry_s: float = 0.0
    """When to read from the first row again."""
    last: int = 0
    """The last row that was read."""
    failures: int = 0
    """How many times in a row the outbox could not be read, published or deleted from."""
    refusals: int = 0
    """How many times in a row, from the first row to the last, some rows were refused."""

    def is_due(self, now_s: float) -> bool:
        """Return whether to read now."""
        return self.next_s <= now_s

    def begin(self, now_s: float, every_s: float) -> int:
        """Plan the next look, and return the row behind which to read now."""
        self.next_s = now_s + every_s
        if self.after and self.retry_s <= now_s:
            self.after = 0
        return self.after

    def note_read(self, last: int) -> None:
        """Note that rows up to `last` were read; 0: there were none."""
        if last:
            self.last = last
        elif not self.after:
            self.refusals = 0

    def hurry(self) -> None:
        """Read again at once."""
        self.next_s = 0.0

    def succeed(self) -> None:
        """Note that rows were published and deleted; more may wait."""
        self.failures = 0
        self.hurry()

    def refuse(self, now_s: float, every_s: float) -> bool:
        """Read on behind the rows that were read; return whether this is the first refusal since reading from the first row."""
        first = not self.after
        if first:
            self.refusals += 1
            self.retry_s = now_s + pause_s(every_s, self.refusals)
        self.after = max(self.after, self.last)
        return first

    def fail(self, now_s: float, every_s: float) -> float:
        """Return the pause until the next look, in seconds; it doubles with each failure in a row."""
        self.failures += 1
        wait_s = pause_s(every_s, self.failures)
        self.next_s = now_s + wait_s
        self.retry_s = min(self.retry_s, self.next_s)  # rows of this batch may lie before refused ones
        return wait_s
