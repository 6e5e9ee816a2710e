"""For how long another process counts as heard after its last sign of life. Pure: times are the caller's, in seconds."""

from __future__ import annotations

__all__ = ["HEARD_S", "heard_until", "is_heard"]

HEARD_S = 1.0
"""A process without a sign of life for this long is silent: it gets no deliveries and relays no outbox until the next one."""


def heard_until(heard_s: float, within_s: float) -> float:
    """Return when a process whose last sign of life came at `heard_s` begins to be silent."""
    return heard_s + within_s


def is_heard(heard_s: float, now_s: float, within_s: float) -> bool:
    """Return whether a process whose last sign of life came at `heard_s` has given it within the last `within_s` seconds."""
    return now_s < heard_until(heard_s, within_s)
