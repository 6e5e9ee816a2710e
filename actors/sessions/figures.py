"""Figures about a run that no actor is asked for: counters, and how each handler's workers do.

Only reading. The metrics that a user sees are made of it in `perdure.operations`.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING

import attrs

from perdure.actors.workers.pools.pool import RunTimes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from perdure.actors.core.health import Health
    from perdure.actors.queue.queue_report import QueueFigures
    from perdure.actors.workers.pools.handler_pools import HandlerPools
    from perdure.actors.workers.pools.member_pool import MemberPool
    from perdure.actors.workers.pools.pool import Pool
    from perdure.events.queue.state import TypeCounts

__all__ = ["PERCENTILES", "AskFigures", "DeputyFigures", "HandlerFigures", "ProcessFigures", "RunFigures", "run_figures"]

PERCENTILES = (50, 95, 99)


@attrs.frozen
class AskFigures:
    """Ask a session for `RunFigures`."""


@attrs.frozen
class ProcessFigures:
    """One handler in one process, since that joined this run."""

    name: str
    """Empty: the owner."""
    pid: int
    workers: int
    active: int
    processed: int
    failed: int


@attrs.frozen
class HandlerFigures:
    """One handler in this run, in all processes together.

    Times are of all calls, in microseconds, at the percentiles 50, 95 and 99. Those of other processes come within a second.
    """

    workers: int
    active: int
    target: int
    processed: int
    failed: int
    rate_per_s: float
    run_us: tuple[float, ...]
    wait_us: tuple[float, ...]
    processes: tuple[ProcessFigures, ...] = ()


@attrs.frozen
class DeputyFigures:
    """A process that keeps a fold of the log, so that it can take over at once."""

    name: str
    pid: int
    seq: int
    """Up to which event it had folded the log when it was heard last, a fifth of a second ago at most; 0: it has just begun."""


@attrs.frozen
class RunFigures:
    """One run of a system."""

    counters: dict[str, int]
    """What happened to the actors."""
    ended_before: dict[str, TypeCounts]
    """By type: what had become of all messages when the run began."""
    handlers: dict[str, HandlerFigures]
    spilled_bytes: int = 0
    """Bytes of payload that wait on disk instead of in memory."""
    latencies: dict[str, tuple[int, ...]] = attrs.field(factory=dict)
    """Of `commit` and `sync`: see `Latency.figures`."""
    deputies: tuple[DeputyFigures, ...] = ()


def run_figures(health: Health, queue: QueueFigures, pools: HandlerPools, now_s: float) -> RunFigures:
    """Return the figures of a run at the monotonic time `now_s`, in seconds. Callable in any thread."""
    elsewhere: dict[str, list[MemberPool]] = {}
    for pool in pools.elsewhere:
        elsewhere.setdefault(pool.type, []).append(pool)
    here = dict(pools.by_type)
    handlers = {name: _handler(here.get(name), elsewhere.get(name, []), now_s) for name in here.keys() | elsewhere.keys()}
    latencies = {"commit": health.commits.figures(), "sync": health.syncs.figures()}
    ended_before = dict(queue.ended_before)
    return RunFigures(dict(health.counters), ended_before, dict(sorted(handlers.items())), queue.spilled_bytes, latencies)


def _handler(own: Pool | None, others: list[MemberPool], now_s: float) -> HandlerFigures:
    processes = [] if own is None else [_own_process(own)]
    processes += [_process(pool) for pool in others]
    pools = others if own is None else [own, *others]
    return HandlerFigures(
        workers=sum(process.workers for process in processes),
        active=sum(process.active for process in processes),
        target=sum(pool.worker_count for pool in others) + (0 if own is None else own.target),
        processed=sum(pool.processed for pool in pools),
        failed=sum(pool.failed for pool in pools),
        rate_per_s=sum(pool.rate.per_s(now_s) for pool in pools),
        run_us=_percentiles([pool.runs for pool in pools]),
        wait_us=_percentiles([pool.waits for pool in pools]),
        processes=tuple(processes),
    )


def _own_process(pool: Pool) -> ProcessFigures:
    workers = len(pool.workers) - len(pool.retiring)
    active = len({id(delivery.owner) for delivery in pool.running()})  # a worker may run a whole batch
    return ProcessFigures("", os.getpid(), workers, active, pool.processed, pool.failed)


def _process(pool: MemberPool) -> ProcessFigures:
    process = pool.port.process
    return ProcessFigures(process.name, process.pid, pool.worker_count, pool.active_count, pool.processed, pool.failed)


def _percentiles(times: Iterable[RunTimes]) -> tuple[float, ...]:
    counts: Counter[int] = Counter()
    for each in times:
        counts.update(dict(each.buckets))
    together = RunTimes()
    together.take(counts)
    return tuple(float(together.percentile_us(p / 100)) for p in PERCENTILES)
