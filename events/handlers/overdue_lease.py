"""What becomes of an attempt whose lease runs out while a worker has it: it gets more time, or it has timed out, or it is lost.

Pure. A delivery that has not started, or that no worker has, is settled by the dispatcher (`actors/workers/dispatcher`).
"""

from __future__ import annotations

from enum import Enum

import attrs

__all__ = ["Attempt", "AttemptLimits", "End", "overdue"]


class End(Enum):
    """How an attempt ends whose lease has run out."""

    TIMED_OUT = "it ran longer than its timeout"
    SILENT = "its lease ran out without a sign of life"


@attrs.frozen
class AttemptLimits:
    """How long an attempt of a handler may take from its start, in microseconds; 0: no limit."""

    timeout_us: int
    """The whole time."""
    lease_us: int
    """The time without a sign of life."""
    renews: bool = False
    """Whether the lease is renewed for as long as the worker is alive."""

    @property
    def limit_us(self) -> int:
        """The length of its lease."""
        return min((us for us in (self.timeout_us, self.lease_us) if us), default=0)


@attrs.frozen
class Attempt:
    """An attempt that a worker has claimed. Times in microseconds."""

    started_us: int
    """When its handler was called; 0: not yet."""
    leased_until_us: int
    """The end of its lease at its delivery."""
    asked_until_us: int = 0
    """Until when its handler asked for time; 0: it did not."""
    sign_us: int = 0
    """When the last heartbeat of its handler was answered; now, while the handler waits for such an answer; 0: none was."""


def overdue(attempt: Attempt, attempt_limits: AttemptLimits, until_us: int, now_us: int) -> int | End:
    """Return for how many microseconds more to lease it, or how it ends. `until_us`: the end of the lease that has run out.

    A lease counts from the delivery; the time of a handler counts from its start.
    """
    limit_us = attempt_limits.timeout_us if attempt_limits.renews else attempt_limits.limit_us
    ends_us = max(attempt.asked_until_us, attempt.started_us + limit_us)
    if not attempt.started_us:  # it may be extended several times: its child process may start slowly
        return attempt_limits.limit_us
    if attempt_limits.renews and (not limit_us or ends_us > now_us):
        return min(attempt_limits.lease_us, ends_us - now_us) if limit_us else attempt_limits.lease_us
    if attempt.sign_us and attempt_limits.lease_us:  # the time that a heartbeat waited for the disk does not count as silence
        alive_us = attempt.sign_us + attempt_limits.lease_us
        if attempt_limits.timeout_us:
            alive_us = min(alive_us, max(attempt.asked_until_us, attempt.started_us + attempt_limits.timeout_us))
        if alive_us > now_us:
            return alive_us - now_us
    own = until_us == attempt.leased_until_us or not attempt.asked_until_us
    if own and ends_us > now_us:
        return ends_us - now_us
    return End.TIMED_OUT if 0 < attempt_limits.timeout_us <= now_us - attempt.started_us else End.SILENT
