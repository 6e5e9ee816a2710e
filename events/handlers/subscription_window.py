"""How many deliveries of one handler may be out at a time: one for each worker's slot, and some prefetched for each.

Pure. The queue keeps within the window (`events/queue`); the dispatcher announces it (`actors/workers/dispatcher`).
"""

from __future__ import annotations

__all__ = ["prefetch", "window"]


def window(slots: int, run_us: float, *, rate_limited: bool, prefetch_us: float, prefetch_max: int) -> int:
    """Return how many deliveries may be out.

    Args:
        slots: how many messages the handler's workers can run at a time.
        run_us: how long one call takes on average, in microseconds; 0: unknown.
        rate_limited: whether the handler has a limited rate. What the rate allows is to start at once, so nothing is prefetched.
        prefetch_us: how much work to prefetch for each slot, in microseconds.
        prefetch_max: how many messages to prefetch for each slot at most.
    """
    return slots * (1 if rate_limited else 1 + prefetch(run_us, prefetch_us, prefetch_max))


def prefetch(run_us: float, prefetch_us: float, most: int) -> int:
    """Return how many messages to prefetch for one slot, so that its worker need not wait for the next.

    Nothing is prefetched while `run_us` is 0 (unknown): a call may take long.
    """
    return min(int(prefetch_us / run_us), most) if run_us else 0
