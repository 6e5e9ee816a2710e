"""Which ticks of a schedule are due, and which of them are published: rules, pure like all here.

When the next one comes is the schedule's own business (`after`); that each counts once is the queue's rule (`Tick`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.events.commands import Tick
    from perdure.events.queue_state import QueueState

__all__ = ["MISSED_MAX", "Due", "comes_too_early", "due"]

MISSED_MAX = 1_000
"""Ticks made up for at once, where the policy is to make up for all; those before are passed over."""


@attrs.frozen
class Due:
    """One tick that is due; `publish`: with its message, else it is only passed over."""

    due_us: int
    publish: bool


def due(after: Callable[[int], int], last_us: int, now_us: int, *, missed: str, started_us: int) -> tuple[list[Due], int]:
    """Give the ticks that are due, in their order, and the time of the next one.

    Args:
        after: gives the first tick after a time.
        last_us: the last one that is dealt with.
        now_us: the time.
        missed: of ticks that nothing was running for, publish the `last`, `all` or `none`.
        started_us: when the process began: one tick alone may be just late, unless it was due before that.
    """
    times: list[int] = []
    next_us = after(last_us)
    while next_us <= now_us:
        times = [*times[1 - MISSED_MAX :], next_us]
        next_us = after(next_us)
    if len(times) == 1 and times[0] >= started_us:
        return [Due(times[0], publish=True)], next_us
    return [Due(at_us, missed == "all" or (missed == "last" and at_us == times[-1])) for at_us in times], next_us


def comes_too_early(state: QueueState, tick: Tick) -> bool:
    """Tell whether the tick before this one is not dealt with: it was lost with a journal, and both will be sent again in order."""
    return state.ticks.get(tick.schedule, 0) < tick.after_us
