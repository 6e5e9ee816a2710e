"""Whether a manual consumer's report of its delivery counts, or comes after the lease was lost; when a lease that ran out is lost.

Pure. What follows from a report is decided in `outcomes`; the answer is given by `actors/queue/consumers`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.events import vocabulary as ev
from perdure.events.commands import Done, Release
from perdure.events.queue.outcomes import current

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perdure.events.commands import Fail
    from perdure.events.queue.state import QueueState

__all__ = ["is_anothers", "is_refused", "left_us"]

WAIT_US = 1_000_000
"""The shortest extension of a lease while its consumer waits: each one is an event, and the disk may be stuck."""


def left_us(answered_us: int, lease_us: int, now_us: int) -> int:
    """Return for how many microseconds more a consumer has its lease, which has run out; 0: it has lost it.

    The time that a consumer waits for the answer to its checkout, heartbeat or `extend` does not count as silence.

    Args:
        answered_us: when it was answered; 0: it still waits.
        lease_us: the length of the lease that it asked for.
        now_us: the time.
    """
    return max(0, answered_us + lease_us - now_us) if answered_us else max(lease_us, WAIT_US)


def is_anothers(state: QueueState, report: Done | Fail | Release) -> bool:
    """Return whether the attempt of that number is out with another holder: a failed sync had taken back the lease of this one."""
    message = current(state, report.number, report.id, report.attempt)
    holder = "" if isinstance(report, Release) else report.holder
    return bool(holder) and message is not None and message.lease is not None and message.lease.holder != holder


def is_refused(state: QueueState, report: Done | Fail | Release, events: Sequence[ev.Event], *, sent_again: bool) -> bool:
    """Return whether the reporter had lost its lease.

    Args:
        state: the queue with `events` folded.
        report: what the consumer reported.
        events: what followed from the report.
        sent_again: whether the report may have been decided before. It then counts where nothing follows from it now; a completion
            counts only where exactly this attempt completed its message.
    """
    if events:
        return isinstance(events[0], ev.LateResultRefused)
    return not sent_again or (isinstance(report, Done) and not _has_completed(state, report))


def _has_completed(state: QueueState, report: Done) -> bool:
    return state.finished.get(report.number) == (report.id, report.attempt) and report.number not in state.dead
