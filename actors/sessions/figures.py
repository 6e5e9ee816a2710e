"""What a run tells of itself beyond what its actors answer: counters, and how each handler's workers do.

Only reading. The metrics that a user sees are made of it in `perdure.operations`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from perdure.actors.queue.queue_report import QueueFigures
    from perdure.actors.workers.pool import Pool, RunTimes
    from perdure.events.queue.state import TypeCounts

__all__ = ["PERCENTILES", "AskFigures", "HandlerFigures", "RunFigures", "run_figures"]

PERCENTILES = (50, 95, 99)


@attrs.frozen
class AskFigures:
    """Ask a session for `RunFigures`."""


@attrs.frozen
class HandlerFigures:
    """One handler in this run. Times are in microseconds, at the percentiles 50, 95 and 99."""

    workers: int
    active: int
    target: int
    processed: int
    failed: int
    rate_per_s: float
    run_us: tuple[float, ...]
    wait_us: tuple[float, ...]


@attrs.frozen
class RunFigures:
    """One run of a system."""

    counters: dict[str, int]
    """What happened to the actors."""
    ended_before: dict[str, TypeCounts]
    """By type: what had become of all messages when the run began."""
    handlers: dict[str, HandlerFigures]


def run_figures(counters: Mapping[str, int], queue: QueueFigures, pools: Mapping[str, Pool], now_s: float) -> RunFigures:
    """Return the figures of a run at the monotonic time `now_s`, in seconds. Callable in any thread."""
    return RunFigures(dict(counters), dict(queue.ended_before), {name: _of_pool(pool, now_s) for name, pool in list(pools.items())})


def _of_pool(pool: Pool, now_s: float) -> HandlerFigures:
    return HandlerFigures(
        workers=len(pool.workers) - len(pool.retiring),
        active=len(pool.running()),
        target=pool.target,
        processed=pool.processed,
        failed=pool.failed,
        rate_per_s=pool.rate.per_s(now_s),
        run_us=_percentiles(pool.runs),
        wait_us=_percentiles(pool.waits),
    )


def _percentiles(times: RunTimes) -> tuple[float, ...]:
    return tuple(float(times.percentile_us(p / 100)) for p in PERCENTILES)
