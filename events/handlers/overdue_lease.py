"""What becomes of an attempt whose lease has run out while a worker has it: more time, its timeout, or lost. A pure rule.

What has not started is given back, and what nobody has is lost: that is the dispatcher's to see.
"""

from __future__ import annotations

from enum import Enum

import attrs

__all__ = ["Attempt", "AttemptLimits", "End", "overdue"]


class End(Enum):
    """How an attempt ends whose time is over."""

    TIMED_OUT = "it ran longer than its timeout"
    SILENT = "its lease ran out without a sign of life"


@attrs.frozen
class AttemptLimits:
    """How long a handler's attempt may take from its start, in microseconds; 0: as long as it likes."""

    timeout_us: int
    """In all."""
    lease_us: int
    """Without a sign of life."""
    renews: bool = False
    """That its worker is alive is sign enough."""

    @property
    def limit_us(self) -> int:
        """For how long it is leased."""
        return min((us for us in (self.timeout_us, self.lease_us) if us), default=0)


@attrs.frozen
class Attempt:
    """An attempt that a worker has claimed. Times in microseconds."""

    started_us: int
    """When its handler was called; 0: it is about to be."""
    leased_until_us: int
    """When its lease ended as it was handed out."""
    asked_until_us: int = 0
    """Until when its handler asked for time, if it did."""


def overdue(attempt: Attempt, patience: AttemptLimits, until_us: int, now_us: int) -> int | End:
    """Give for how many microseconds more to lease it, or how it ends. `until_us`: when the lease ended that has run out.

    A lease counts from when the message was handed out; the handler's time counts from its start.
    """
    limit_us = patience.timeout_us if patience.renews else patience.limit_us
    ends_us = max(attempt.asked_until_us, attempt.started_us + limit_us)
    if not attempt.started_us:  # perhaps not for the first time: its child may start slowly
        return patience.limit_us
    if patience.renews and (not limit_us or ends_us > now_us):
        return min(patience.lease_us, ends_us - now_us) if limit_us else patience.lease_us
    own = until_us == attempt.leased_until_us or not attempt.asked_until_us
    if own and ends_us > now_us:
        return ends_us - now_us
    return End.TIMED_OUT if 0 < patience.timeout_us <= now_us - attempt.started_us else End.SILENT
