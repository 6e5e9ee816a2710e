"""`PrometheusCollector`: the counts, ages and latencies of a system as Prometheus reads them, made when they are asked for.

Each name is in `METRICS`, which the dashboard and the alert rules in `dashboards/` are compared with. Nothing is counted here: the
figures are gathered in `gathered`, so the collector costs nothing between two scrapes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import attrs
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import REGISTRY, Collector

from perdure.actors.core.latency import BOUNDS_US
from perdure.actors.sessions.figures import PERCENTILES
from perdure.arguments.choices import check_whole
from perdure.events.errors import PerdureError
from perdure.store.disk.forked_locks import lock_of
from perdure.telemetry.gathered import counts_added, figures_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from prometheus_client.metrics_core import Metric
    from prometheus_client.registry import CollectorRegistry

    from perdure.actors.sessions.figures import HandlerFigures
    from perdure.events.queue.state import TypeCounts
    from perdure.processes.client import Client
    from perdure.system import System
    from perdure.telemetry.gathered import Figures
    from perdure.telemetry.health import ClusterFront

__all__ = ["METRICS", "PrometheusCollector"]

Collected: TypeAlias = "System | Client | ClusterFront"

OTHER = "(other)"
"""The label of all types beyond the bound."""
TYPES_MAX = 100
PLACES = ("ready", "delayed", "held", "in_flight")
FATES = {
    "completed": "Messages that were handled.",
    "failed": "Attempts that failed.",
    "retried": "Attempts that were to be tried again.",
    "lease_expired": "Attempts whose lease ran out.",
    "dead_lettered": "Messages that became dead letters.",
    "superseded": "Messages that a newer one of their key replaced.",
    "expired": "Messages whose time to live ended while they waited.",
    "cancelled": "Messages that were cancelled.",
    "replayed": "Dead letters that went back to the queue.",
    "purged": "Dead letters that were removed.",
}
COUNTERS = {
    "actor_deaths": "Actors that died.",
    "io_errors": "Errors of the disk, or of the database.",
    "snapshots": "Snapshots that were taken.",
    "snapshot_failures": "Snapshots that failed.",
    "history_failures": "Segments that could not be dropped or archived.",
}
METRICS: dict[str, str] = {
    "perdure_up": "1 if the system runs and its queue answers.",
    "perdure_messages": "Messages of a type that are ready, delayed, held or in flight.",
    "perdure_dead_letters": "Dead letters that are kept.",
    "perdure_oldest_ready_seconds": "Age of the oldest message of a type that is ready; of messages whose id perdure made.",
    "perdure_payload_bytes": "Bytes of waiting payloads.",
    "perdure_payload_bytes_max": "Bytes of payload that may wait: Options.backlog_bytes.",
    "perdure_backlog_max": "Messages that may wait: Options.backlog_max.",
    "perdure_backlog_fill_ratio": "How much of what may wait does, 0 to 1; of a Cluster in its fullest partition.",
    "perdure_spilled_bytes": "Bytes of waiting payloads that are on disk instead of in memory.",
    "perdure_late_results_total": "Outcomes that came from a holder without the lease.",
    "messaging_client_sent_messages_total": "Messages of a type that were published.",
    "messaging_client_consumed_messages_total": "Attempts of a type that have ended, in this run.",
    **{f"perdure_{name}_total": text for name, text in FATES.items()},
    **{f"perdure_{name}_total": text for name, text in COUNTERS.items()},
    "perdure_handler_workers": "Workers of a handler, in all processes.",
    "perdure_handler_active": "Workers of a handler that run it now.",
    "perdure_handler_paused": "1 if deliveries of the type are paused.",
    "messaging_process_duration_seconds": "Seconds that a handler runs, at a quantile of the last attempts.",
    "perdure_wait_seconds": "Seconds from when a message could be handled to its first attempt, at a quantile.",
    "perdure_deputies": "Processes that keep a fold of the log, so that they can take over at once.",
    "perdure_deputy_behind_events": "Events that the deputy which is furthest has not folded; only where there is a deputy.",
    "perdure_commit_seconds": "Seconds from what is to be on record to its answer: encoding, writing and syncing.",
    "perdure_sync_seconds": "Seconds that a sync of the log takes.",
}
"""All names, as PromQL has them; of a histogram without `_bucket`, `_sum` and `_count`."""


class PrometheusCollector(Collector):
    """Collects a system's figures at each scrape. Registers itself; `registry=None` leaves that to the host. Safe in any thread.

    Args:
        system: a `System`, a `Client` or a `Cluster`, running or not. Where several processes share a folder or a cluster, collect
            in one of them: the counts are those of all. A scrape of a cluster asks each partition.
        registry: of `prometheus_client`; its global one unless given.
        types_max: how many message types get a label of their own; the others are summed up as `(other)`. Labels are types, places
            and quantiles, never ids, keys or groups.
        labels: of each metric: `{"queue": "orders"}`. Several systems of one process need a registry each, as no registry may have
            a metric twice.
    """

    def __init__(
        self,
        system: Collected,
        *,
        registry: CollectorRegistry | None = REGISTRY,
        types_max: int = TYPES_MAX,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        self._system = system
        self._types_max = check_whole("types_max", types_max, 1)
        self._labels = dict(labels or {})
        self._types: set[str] = set()
        """The types that have a label; a type that has one keeps it, so that its counters never jump."""
        self._lock = lock_of(self, "_lock")
        if registry is not None:
            registry.register(self)

    def describe(self) -> Iterable[Metric]:
        """Return nothing: so registering neither asks the system nor needs it to run."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Return all metrics as they are now; only `perdure_up` where nothing answers."""
        try:
            found = figures_of(self._system)
        except (PerdureError, TimeoutError):
            yield self._gauge("perdure_up", 0)
            return
        yield self._gauge("perdure_up", 1)
        yield from self._whole(found)
        yield from self._by_type(found)
        yield from self._of_handlers(found.handlers, found.paused)
        for name in ("commit", "sync"):
            yield self._histogram(f"perdure_{name}_seconds", found.latencies.get(name, ()))

    def _whole(self, found: Figures) -> Iterator[Metric]:
        yield self._gauge("perdure_dead_letters", found.dead_letters)
        yield self._gauge("perdure_payload_bytes", found.payload_bytes)
        yield self._gauge("perdure_payload_bytes_max", found.payload_bytes_max)
        yield self._gauge("perdure_backlog_max", found.backlog_max)
        yield self._gauge("perdure_backlog_fill_ratio", found.backlog_fill)
        yield self._gauge("perdure_spilled_bytes", found.spilled_bytes)
        yield self._gauge("perdure_deputies", found.deputies)
        behind = self._gauges("perdure_deputy_behind_events", [])
        if found.deputy_behind is not None:
            behind.add_metric([*self._labels.values()], found.deputy_behind)
        yield behind
        for name, value in {"late_results": found.late_results, **{name: found.counters.get(name, 0) for name in COUNTERS}}.items():
            counter = self._counter(f"perdure_{name}_total", [])
            counter.add_metric([*self._labels.values()], value)
            yield counter

    def _by_type(self, found: Figures) -> Iterator[Metric]:
        counts = self._bounded(found.by_type)
        messages = self._gauges("perdure_messages", ["type", "place"])
        for name, each in counts.items():
            for place in PLACES:
                messages.add_metric([*self._labels.values(), name, place], getattr(each, place))
        yield messages
        ages = self._gauges("perdure_oldest_ready_seconds", ["type"])
        oldest: dict[str, float] = {}
        for name, age_s in found.oldest_ready_s.items():
            label = self._label(name)
            oldest[label] = max(age_s, oldest.get(label, 0.0))
        for label, age_s in oldest.items():
            ages.add_metric([*self._labels.values(), label], age_s)
        yield ages
        fates = {name: f"perdure_{name}_total" for name in FATES}
        for field, metric in {"published": "messaging_client_sent_messages_total", **fates}.items():
            counter = self._counter(metric, [_DESTINATION if metric.startswith("messaging") else "type"])
            for name, each in counts.items():
                counter.add_metric([*self._labels.values(), name], getattr(each, field))
            yield counter

    def _of_handlers(self, handlers: Mapping[str, HandlerFigures], paused: Mapping[str, bool]) -> Iterator[Metric]:
        workers = self._gauges("perdure_handler_workers", ["type"])
        active = self._gauges("perdure_handler_active", ["type"])
        pauses = self._gauges("perdure_handler_paused", ["type"])
        consumed = self._counter("messaging_client_consumed_messages_total", [_DESTINATION])
        runs = self._gauges("messaging_process_duration_seconds", [_DESTINATION, "quantile"])
        waits = self._gauges("perdure_wait_seconds", ["type", "quantile"])
        others = attrs.evolve(_NO_HANDLER)
        for name, figures in handlers.items():
            if self._label(name) == OTHER:
                others = attrs.evolve(
                    others,
                    workers=others.workers + figures.workers,
                    active=others.active + figures.active,
                    processed=others.processed + figures.processed,
                )
                continue
            labels = [*self._labels.values(), name]
            pauses.add_metric(labels, paused.get(name, False))
            for quantile, run_us, wait_us in zip(PERCENTILES, figures.run_us, figures.wait_us, strict=True):
                runs.add_metric([*labels, f"{quantile / 100:g}"], run_us / 1e6)
                waits.add_metric([*labels, f"{quantile / 100:g}"], wait_us / 1e6)
            self._add_handler(name, figures, workers, active, consumed)
        if others != _NO_HANDLER:
            self._add_handler(OTHER, others, workers, active, consumed)
        yield from (workers, active, pauses, consumed, runs, waits)

    def _add_handler(
        self,
        label: str,
        figures: HandlerFigures | _Handler,
        workers: GaugeMetricFamily,
        active: GaugeMetricFamily,
        consumed: CounterMetricFamily,
    ) -> None:
        labels = [*self._labels.values(), label]
        workers.add_metric(labels, figures.workers)
        active.add_metric(labels, figures.active)
        consumed.add_metric(labels, figures.processed)

    # --- labels and families -------------------------------------------------------------------------------------------------

    def _label(self, type_name: str) -> str:
        with self._lock:
            if type_name not in self._types:
                if len(self._types) >= self._types_max:
                    return OTHER
                self._types.add(type_name)
        return type_name

    def _bounded(self, by_type: Mapping[str, TypeCounts]) -> dict[str, TypeCounts]:
        """Return the counts by label: of the types that have none of their own, their sums."""
        found: dict[str, TypeCounts] = {}
        for name, counts in by_type.items():
            label = self._label(name)
            found[label] = counts_added(found[label], counts) if label in found else counts
        return found

    def _gauge(self, name: str, value: float) -> GaugeMetricFamily:
        family = self._gauges(name, [])
        family.add_metric([*self._labels.values()], value)
        return family

    def _gauges(self, name: str, labels: list[str]) -> GaugeMetricFamily:
        return GaugeMetricFamily(name, METRICS[name], labels=[*self._labels, *labels])

    def _counter(self, name: str, labels: list[str]) -> CounterMetricFamily:
        return CounterMetricFamily(name.removesuffix("_total"), METRICS[name], labels=[*self._labels, *labels])

    def _histogram(self, name: str, counts: tuple[int, ...]) -> HistogramMetricFamily:
        family = HistogramMetricFamily(name, METRICS[name], labels=[*self._labels])
        total_us, *each = counts or (0, *(0 for _ in range(len(BOUNDS_US) + 1)))
        so_far, buckets = 0, []
        for bound, count in zip([*(f"{us / 1e6:g}" for us in BOUNDS_US), "+Inf"], each, strict=True):
            so_far += count
            buckets.append((bound, so_far))
        family.add_metric([*self._labels.values()], buckets, total_us / 1e6)
        return family


@attrs.frozen
class _Handler:
    """The figures of handlers that share a label."""

    workers: int = 0
    active: int = 0
    processed: int = 0


_NO_HANDLER = _Handler()
_DESTINATION = "messaging_destination_name"
