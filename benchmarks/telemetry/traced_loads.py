"""Trips with and without telemetry, in turn: the ratio of the two, by throughput and by processor time."""

from __future__ import annotations

import statistics
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import perdure
from benchmarks.figure import Measure
from benchmarks.load import Job, Load, Missing, job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from benchmarks.effort import Effort

    With = Callable[[], tuple[Sequence[perdure.Middleware], Callable[[perdure.System], AbstractContextManager[None]]]]

__all__ = ["KINDS", "loads", "ratios"]

DRAIN_S = 120.0
PAIRS = 5
SIZES = {"one by one": 1, "batches of 100": 100}
RATE, EFFORT_OF = "of the rate without", "processor time, of that without"


@contextmanager
def _nothing(_system: perdure.System) -> Iterator[None]:
    yield


@contextmanager
def _scraped(system: perdure.System) -> Iterator[None]:
    """Scrape each second, as a busy Prometheus would; as often as fits into a short run."""
    from prometheus_client import CollectorRegistry, generate_latest

    from perdure.telemetry import PrometheusCollector

    registry = CollectorRegistry()
    PrometheusCollector(system, registry=registry)
    ended = threading.Event()

    def scrape() -> None:
        while not ended.wait(1.0):
            generate_latest(registry)

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _opentelemetry(share: float | None, *, has_metrics: bool = True) -> With:
    """Spans of a share of all messages, and all metrics or none; without an SDK where the share is None."""

    def made() -> tuple[Sequence[perdure.Middleware], Callable[[perdure.System], AbstractContextManager[None]]]:
        try:
            from opentelemetry.metrics import NoOpMeterProvider
            from opentelemetry.sdk.metrics import MeterProvider
            from opentelemetry.sdk.metrics.export import InMemoryMetricReader
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
            from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
        except ImportError as error:
            raise Missing("opentelemetry-sdk is not installed") from error
        from perdure.telemetry import OpenTelemetry

        class Dropped(SpanExporter):
            def export(self, spans: Sequence[object]) -> SpanExportResult:  # noqa: ARG002 - the SDK's name
                return SpanExportResult.SUCCESS

        if share is None:
            return [OpenTelemetry()], _nothing
        tracers = TracerProvider(sampler=ParentBased(TraceIdRatioBased(share)), shutdown_on_exit=False)
        tracers.add_span_processor(BatchSpanProcessor(Dropped()))
        meters = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False) if has_metrics else NoOpMeterProvider()
        return [OpenTelemetry(tracer_provider=tracers, meter_provider=meters)], _nothing

    return made


def _prometheus() -> tuple[Sequence[perdure.Middleware], Callable[[perdure.System], AbstractContextManager[None]]]:
    try:
        from prometheus_client import CollectorRegistry
    except ImportError as error:
        raise Missing("prometheus-client is not installed") from error
    from perdure.telemetry import PrometheusMiddleware

    return [PrometheusMiddleware(registry=CollectorRegistry())], _scraped


KINDS: dict[str, With] = {
    "OpenTelemetry without an SDK": _opentelemetry(None),
    "OpenTelemetry, 1 of 100 traces sampled, no metrics": _opentelemetry(0.01, has_metrics=False),
    "OpenTelemetry, 1 of 100 traces sampled": _opentelemetry(0.01),
    "OpenTelemetry, each trace sampled": _opentelemetry(1.0),
    "Prometheus, histogram and a scrape a second": _prometheus,
}


def _trip(folder: Path, seconds: float, size: int, kind: With | None) -> tuple[float, float]:
    """Publish for some seconds and drain; return messages a second, and microseconds of processor time a message."""
    middleware, beside = ((), _nothing) if kind is None else kind()
    system = perdure.System(folder, middleware=middleware)
    system.handler(Job)(_handle)
    messages = [job(i) for i in range(size)]
    with system, beside(system):
        began, cpu_s = time.perf_counter(), time.process_time()
        while time.perf_counter() - began < seconds:
            if size == 1:
                system.publish(messages[0])
            else:
                system.publish_many(messages)
        system.drain(DRAIN_S)
        took_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu_s
        done = system.admin.metrics().completed
    return done / took_s, cpu_s / done * 1e6


def _handle(_message: Job) -> None:
    pass


def ratios(folder: Path, seconds: float, size: int, kind: With) -> tuple[float, float]:
    """Return the median ratios of trips with and without, one after the other: of the rates, and of the processor times."""
    rates, times = [], []
    for turn in range(PAIRS):
        order = (None, kind) if turn % 2 else (kind, None)
        made = {each is None: _trip(folder / f"{turn}-{each is None}", seconds / PAIRS, size, each) for each in order}
        (plain_rate, plain_us), (rate, us) = made[True], made[False]
        rates.append(rate / plain_rate)
        times.append(us / plain_us)
    return statistics.median(rates), statistics.median(times)


def loads(effort: Effort) -> Sequence[Load]:
    """Return the loads of this group."""

    def load(size: str, name: str, kind: With) -> Load:
        title = f"trip, {size}, {name}"
        measures = (Measure(f"{title}: {RATE}", "x"), Measure(f"{title}: {EFFORT_OF}", "x"))
        return Load(title, measures, lambda folder: ratios(folder, 2 * effort.seconds, SIZES[size], kind))

    return [load(size, name, kind) for size in SIZES for name, kind in KINDS.items()]
