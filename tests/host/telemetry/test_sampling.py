"""What an SDK does not sample: it costs no message its short way, is counted all the same, and no span of it is sampled alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased

from perdure.chaos import SimulatedSystem
from perdure.events.commands import DraftRun
from perdure.telemetry import OpenTelemetry
from tests.host.telemetry.messages import Placed
from tests.host.telemetry.watched import ids

if TYPE_CHECKING:
    from tests.host.telemetry.watched import Watched


def unsampled(**options: Any) -> OpenTelemetry:
    """Return middleware of an SDK that samples none but what belongs to a sampled trace."""
    return OpenTelemetry(tracer_provider=TracerProvider(sampler=ParentBased(ALWAYS_OFF), shutdown_on_exit=False), **options)


def test_what_is_not_sampled_goes_the_short_way_and_is_counted_all_the_same(watched: Watched) -> None:
    middleware = unsampled(meter_provider=watched.meters)
    taken: list[type] = []
    headers: list[dict[str, str]] = []
    system = SimulatedSystem(seed=1, middleware=[middleware])
    system.handler(Placed)(lambda order, ctx: headers.append(dict(ctx.headers)))
    plain = system.drafts.plain
    system.drafts.plain = lambda messages: (taken.append(type(made := plain(messages))), made)[1]  # type: ignore[func-returns-value]  # its None is dropped
    with system:
        system.publish_many([Placed(1), Placed(2)])
        system.publish(Placed(3))
        system.run_until_idle()
    assert taken == [DraftRun]
    assert headers == [{}] * 3
    assert sum(count for _, count in watched.points("messaging.client.sent.messages")) == 3
    assert sum(count for _, count in watched.points("messaging.client.consumed.messages")) == 3
    assert sum(count for _, count in watched.points("messaging.process.duration")) == 3


def test_in_chains_also_an_unsampled_context_is_carried_so_that_no_attempt_is_sampled_alone() -> None:
    seen: list[tuple[str, bool]] = []
    system = SimulatedSystem(seed=1, middleware=[unsampled(parent="publish")])
    system.handler(Placed)(lambda order, ctx: seen.append((ctx.headers["traceparent"], trace.get_current_span().is_recording())))
    with system:
        system.publish_many([Placed(1), Placed(2)])
        system.run_until_idle()
    assert [int(text.rpartition("-")[2], 16) & trace.TraceFlags.SAMPLED for text, _ in seen] == [0, 0]
    assert [recorded for _, recorded in seen] == [False, False]


def test_a_sampled_caller_has_its_publish_sampled_and_linked_where_roots_are_not(watched: Watched) -> None:
    tracers = TracerProvider(sampler=ParentBased(ALWAYS_OFF), shutdown_on_exit=False)
    caller = trace.NonRecordingSpan(trace.SpanContext(trace_id=7, span_id=9, is_remote=True, trace_flags=trace.TraceFlags(1)))
    tracers.add_span_processor(SimpleSpanProcessor(watched.exporter))
    headers: list[dict[str, str]] = []
    system = SimulatedSystem(seed=1, middleware=[OpenTelemetry(tracer_provider=tracers, meter_provider=NoOpMeterProvider())])
    system.handler(Placed)(lambda order, ctx: headers.append(dict(ctx.headers)))
    with system:
        system.publish_many([Placed(1)])
        with trace.use_span(caller):
            system.publish_many([Placed(2)])
        system.run_until_idle()
    published = watched.one("publish shop.Placed")
    assert headers == [{}, {"traceparent": f"00-{7:032x}-{ids(published)[1]:016x}-01"}]


def test_what_a_handler_does_within_an_unsampled_attempt_is_not_sampled_alone() -> None:
    provider = TracerProvider(sampler=ParentBased(ALWAYS_OFF), shutdown_on_exit=False)
    within: list[bool] = []
    system = SimulatedSystem(seed=1, middleware=[OpenTelemetry(tracer_provider=provider, meter_provider=NoOpMeterProvider())])

    @system.handler(Placed)
    def placed(order: Placed) -> None:
        host = TracerProvider(sampler=ParentBased(ALWAYS_ON), shutdown_on_exit=False).get_tracer("host")
        within.append(host.start_span("query").is_recording())

    with system:
        system.publish(Placed(1))
        system.run_until_idle()
    assert within == [False]
