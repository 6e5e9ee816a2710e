"""What the collector for Prometheus asks of a system: one look at its queue and its run; of a `Cluster` the sums of all partitions.

How that is exposed is in `prometheus`. Counts add up; ages and times are those of the slowest partition.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from perdure.actors.core.messages import Report
from perdure.actors.sessions.figures import HandlerFigures
from perdure.events.queue.state import TypeCounts
from perdure.operations.metrics import oldest_s
from perdure.telemetry.health import ClusterFront

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from perdure.actors.queue.queue_report import QueueReport
    from perdure.actors.sessions.figures import RunFigures
    from perdure.options import Options
    from perdure.processes.client import Client
    from perdure.system import System

__all__ = ["Figures", "counts_added", "figures_of"]

T = TypeVar("T")
TIMEOUT_S = 5.0


@attrs.frozen(kw_only=True)
class Figures:
    """All that is exposed, at one moment."""

    by_type: dict[str, TypeCounts]
    oldest_ready_s: dict[str, float]
    dead_letters: int
    late_results: int
    payload_bytes: int
    payload_bytes_max: int
    backlog_max: int
    backlog_fill: float
    """How much of what may wait does, 0 to 1; of several partitions, in the fullest one."""
    spilled_bytes: int
    counters: dict[str, int]
    handlers: dict[str, HandlerFigures]
    paused: dict[str, bool]
    latencies: dict[str, tuple[int, ...]]
    deputies: int
    deputy_behind: int | None
    """How many events the deputy that has folded most has not folded; None: there is none."""


def figures_of(system: System | Client | ClusterFront) -> Figures:
    """Return the figures of a system as it is now; of a cluster, of all its partitions, whatever processes own them.

    Raises:
        PerdureError, TimeoutError: one of them does not answer.
    """
    if not isinstance(system, ClusterFront):
        return _of_one(system, system.options)
    options = system.options
    each = system.each(dict.fromkeys(range(system.count), lambda partition: _of_one(partition, options)))
    return _summed([*each.values()])


def counts_added(one: TypeCounts, other: TypeCounts) -> TypeCounts:
    """Return the sums of the counts of two types, or of one type in two partitions."""
    return TypeCounts(**{name: value + getattr(other, name) for name, value in attrs.asdict(one).items()})


def _of_one(system: System | Client, options: Options) -> Figures:
    report: QueueReport = system.ask("queue", Report(), timeout_s=TIMEOUT_S)
    paused: dict[str, tuple[int, bool]] = system.ask("dispatcher", Report(), timeout_s=TIMEOUT_S)
    run: RunFigures = system.run_figures()
    waiting = sum(counts.ready + counts.delayed + counts.held for counts in report.by_type.values())
    ages = {name: oldest_s(report, name) for name in report.first_ready}
    return Figures(
        by_type=report.by_type,
        oldest_ready_s={name: age_s for name, age_s in ages.items() if age_s is not None},
        dead_letters=report.dead,
        late_results=report.late_results,
        payload_bytes=report.payload_bytes,
        payload_bytes_max=options.backlog_bytes,
        backlog_max=options.backlog_max,
        backlog_fill=max(waiting / options.backlog_max, report.payload_bytes / options.backlog_bytes),
        spilled_bytes=run.spilled_bytes,
        counters=run.counters,
        handlers=run.handlers,
        paused={name: is_paused for name, (_, is_paused) in paused.items()},
        latencies=run.latencies,
        deputies=len(run.deputies),
        deputy_behind=min((max(0, report.seq - deputy.seq) for deputy in run.deputies), default=None),
    )


_SUMS = ("deputies", "dead_letters", "late_results", "payload_bytes", "payload_bytes_max", "backlog_max", "spilled_bytes")


def _summed(each: list[Figures]) -> Figures:
    counters = Counter[str]()
    for one in each:
        counters.update(one.counters)
    sums: dict[str, Any] = {name: sum(getattr(one, name) for one in each) for name in _SUMS}
    return Figures(
        by_type=_merged((one.by_type for one in each), counts_added),
        oldest_ready_s=_merged((one.oldest_ready_s for one in each), max),
        backlog_fill=max((one.backlog_fill for one in each), default=0.0),
        counters=dict(counters),
        handlers=_merged((one.handlers for one in each), _handler),
        paused=_merged((one.paused for one in each), lambda one, other: one or other),
        deputy_behind=max((one.deputy_behind for one in each if one.deputy_behind is not None), default=None),
        latencies=_merged((one.latencies for one in each), lambda one, other: tuple(map(sum, zip(one, other, strict=True)))),
        **sums,
    )


def _merged(each: Iterable[Mapping[str, T]], merge: Callable[[T, T], T]) -> dict[str, T]:
    found: dict[str, T] = {}
    for one in each:
        for name, value in one.items():
            found[name] = merge(found[name], value) if name in found else value
    return found


def _handler(one: HandlerFigures, other: HandlerFigures) -> HandlerFigures:
    return HandlerFigures(
        workers=one.workers + other.workers,
        active=one.active + other.active,
        target=max(one.target, other.target),
        processed=one.processed + other.processed,
        failed=one.failed + other.failed,
        rate_per_s=one.rate_per_s + other.rate_per_s,
        run_us=tuple(map(max, zip(one.run_us, other.run_us, strict=True))),
        wait_us=tuple(map(max, zip(one.wait_us, other.wait_us, strict=True))),
        processes=one.processes + other.processes,
    )
