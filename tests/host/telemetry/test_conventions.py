"""All spans and metrics against OpenTelemetry's own lists of names: chains, batches, schedules, checkouts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv._incubating.attributes import error_attributes, messaging_attributes
from opentelemetry.semconv._incubating.metrics import messaging_metrics
from opentelemetry.trace import SpanKind

import perdure
from perdure.chaos import SimulatedSystem
from perdure.telemetry import OpenTelemetry
from tests.host.telemetry.messages import Letter, Placed, Receipt
from tests.postgres_server import new_queue, shared_server

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PATIENCE_S = 60.0
NAMES = {value for module in (messaging_attributes, error_attributes) for value in vars(module).values() if isinstance(value, str)}
TYPES = {each.value for each in messaging_attributes.MessagingOperationTypeValues}
KINDS = {
    "send": SpanKind.PRODUCER,
    "create": SpanKind.PRODUCER,
    "receive": SpanKind.CLIENT,
    "process": SpanKind.CONSUMER,
    "settle": SpanKind.CLIENT,
}
OURS = {"perdure.attempt"}
UNITS = {
    messaging_metrics.MESSAGING_CLIENT_OPERATION_DURATION: "s",
    messaging_metrics.MESSAGING_PROCESS_DURATION: "s",
    messaging_metrics.MESSAGING_CLIENT_SENT_MESSAGES: "{message}",
    messaging_metrics.MESSAGING_CLIENT_CONSUMED_MESSAGES: "{message}",
}
NEVER_IN_METRICS = {"messaging.message.id", "messaging.message.conversation_id", "messaging.batch.message_count", "perdure.attempt"}


class Seen:
    """What the SDK's own exporters have got."""

    def __init__(self) -> None:
        self.exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.meters = MeterProvider([self.reader], shutdown_on_exit=False)
        self.middleware = OpenTelemetry(tracer_provider=self.tracers, meter_provider=self.meters)

    def spans(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.exporter.get_finished_spans() if span.name == name]

    def points(self) -> list[tuple[str, str | None, dict[str, Any], Any]]:
        data = self.reader.get_metrics_data()
        metrics = (
            [metric for each in data.resource_metrics for scope in each.scope_metrics for metric in scope.metrics] if data else []
        )
        return [
            (metric.name, metric.unit, dict(point.attributes or {}), point)
            for metric in metrics
            for point in metric.data.data_points
        ]

    def kinds(self) -> set[str]:
        return {str((span.attributes or {})["messaging.operation.type"]) for span in self.exporter.get_finished_spans()}

    def sent(self, type_name: str) -> list[tuple[dict[str, Any], int]]:
        return [
            (given, point.value)
            for name, _, given, point in self.points()
            if name == "messaging.client.sent.messages" and given["messaging.destination.name"] == type_name
        ]


def check(seen: Seen) -> None:
    """Each name, value, kind and unit is one of the conventions', or one of those that are declared as ours."""
    spans = seen.exporter.get_finished_spans()
    assert spans
    for span in spans:
        given = dict(span.attributes or {})
        assert given.keys() <= NAMES | OURS, span.name
        assert given["messaging.system"] == "perdure"
        assert given["messaging.operation.type"] in TYPES
        assert span.kind is KINDS[str(given["messaging.operation.type"])], span.name
        destination = given.get("messaging.destination.name")
        assert span.name == " ".join(str(part) for part in (given["messaging.operation.name"], destination) if part is not None)
        assert span.status.is_ok == ("error.type" not in given), span.name
        for link in span.links:
            assert (link.attributes or {}).keys() == {"messaging.message.id"}
    points = seen.points()
    assert {name for name, *_ in points} == UNITS.keys()
    for name, unit, given, _ in points:
        assert unit == UNITS[name]
        assert given.keys() <= NAMES - NEVER_IN_METRICS, name
        assert given.keys() >= {"messaging.system", "messaging.operation.name"}, name


def work(system: perdure.System | SimulatedSystem | perdure.Cluster, wait: Callable[[], None]) -> None:
    """A chain, a batch, a schedule, failures of each kind, a batch of several types, and messages that are taken by hand."""

    @system.handler(Placed, retries=1, backoff=perdure.Fixed(0.01))
    def charge(order: Placed, ctx: perdure.Context) -> None:
        ctx.publish(Receipt(order.number))
        if ctx.attempt == 1:
            raise OSError("down")

    @system.batch_handler(Receipt, size=10, wait=0.01)
    def send(batch: perdure.Batch[Receipt]) -> None:
        batch[0].reject("no address")

    system.every(3600.0, message=Receipt(9))
    with system:
        system.publish_many([Placed(1), Letter(1)])
        system.publish(Placed(2))
        with pytest.raises(perdure.InvalidMessage):
            system.publish(Placed(3), ttl=-1.0)
        assert system.checkout("shop.Nothing") is None
        until_s = time.monotonic() + PATIENCE_S
        while (delivery := system.checkout(Letter)) is None:  # on its way to its partition, in a cluster
            assert time.monotonic() < until_s
        delivery.ack()
        wait()


def test_all_names_are_those_of_the_conventions_on_a_simulated_system() -> None:
    seen = Seen()
    system = SimulatedSystem(seed=1, middleware=[seen.middleware])
    work(system, lambda: system.advance(4000.0))
    check(seen)
    assert {
        span.attributes["messaging.operation.type"] for span in seen.exporter.get_finished_spans() if span.attributes
    } == KINDS.keys()


def test_all_names_are_those_of_the_conventions_with_threads(folder: Path) -> None:
    seen = Seen()
    system = perdure.System(folder, middleware=[seen.middleware])
    work(system, lambda: system.drain(PATIENCE_S))
    check(seen)


@pytest.mark.xdist_group("postgres")
def test_all_names_are_those_of_the_conventions_on_a_cluster() -> None:
    seen = Seen()
    cluster = perdure.Cluster(shared_server().dsn, name=new_queue(), partitions=2, middleware=[seen.middleware])
    work(cluster, lambda: cluster.drain(PATIENCE_S))
    check(seen)
    assert {
        span.attributes["messaging.operation.type"] for span in seen.exporter.get_finished_spans() if span.attributes
    } == KINDS.keys()


def test_what_a_failed_attempt_published_was_not_sent() -> None:
    seen = Seen()
    system = SimulatedSystem(seed=1, middleware=[seen.middleware])
    work(system, lambda: system.advance(60.0))
    assert len(seen.spans("create shop.Receipt")) >= 4
    published = {"messaging.system": "perdure", "messaging.operation.name": "publish", "messaging.operation.type": "send"}
    assert seen.sent("shop.Receipt") == [({**published, "messaging.destination.name": "shop.Receipt"}, 2)]


def test_a_checkout_is_a_receive_that_is_linked_to_the_publish() -> None:
    seen = Seen()
    system = SimulatedSystem(seed=1, middleware=[seen.middleware])
    with system:
        ident = system.publish(Letter(1), correlation_id="req-1")
        with seen.tracers.get_tracer("host").start_as_current_span("job") as job:
            delivery = system.checkout(Letter)
        assert delivery is not None
        delivery.requeue()
        assert system.checkout(Letter) is not None
        assert system.checkout(Letter) is None
    (published,) = seen.spans("publish shop.Letter")
    first, second = seen.spans("receive shop.Letter")
    assert first.attributes == {
        "messaging.system": "perdure",
        "messaging.operation.name": "receive",
        "messaging.operation.type": "receive",
        "messaging.destination.name": "shop.Letter",
        "messaging.message.id": ident,
        "messaging.message.conversation_id": "req-1",
        "perdure.attempt": 1,
    }
    assert (second.attributes or {})["perdure.attempt"] == 2
    assert first.parent is not None
    assert first.parent.span_id == job.get_span_context().span_id, "it belongs to what asked for it"
    assert published.context is not None
    assert [link.context.span_id for span in (first, second) for link in span.links] == [published.context.span_id] * 2
    assert first.start_time is not None
    assert first.end_time is not None
    assert first.start_time <= first.end_time
    timed = [(given["messaging.operation.type"], point.count) for name, _, given, point in seen.points() if "operation" in name]
    assert sorted(timed) == [("receive", 3), ("send", 1), ("settle", 1)], "one that finds nothing is timed"
    consumed = [point.value for name, _, _, point in seen.points() if "consumed" in name]
    assert consumed == [2]


def test_a_checkout_that_fails_is_a_span_with_its_error() -> None:
    seen = Seen()
    system = SimulatedSystem(seed=1, middleware=[seen.middleware])
    with pytest.raises(perdure.NotRunning):
        system.checkout(Letter)
    (span,) = seen.spans("receive shop.Letter")
    assert (span.attributes or {})["error.type"] == "perdure.NotRunning"
    assert not span.status.is_ok


def test_what_ends_a_delivery_by_hand_is_a_settle_that_is_linked_to_the_publish() -> None:
    seen = Seen()
    system = SimulatedSystem(seed=1, middleware=[seen.middleware])
    with system:
        ident = system.publish(Letter(1), correlation_id="req-1")
        first = system.checkout(Letter)
        assert first is not None
        first.requeue()
        second = system.checkout(Letter)
        assert second is not None
        assert second.type == "shop.Letter"
        second.ack()
        with pytest.raises(perdure.LeaseLost):
            second.reject("too late")
    (published,) = seen.spans("publish shop.Letter")
    requeued, acked, rejected = (
        *seen.spans("requeue shop.Letter"),
        *seen.spans("ack shop.Letter"),
        *seen.spans("reject shop.Letter"),
    )
    assert requeued.attributes == {
        "messaging.system": "perdure",
        "messaging.operation.name": "requeue",
        "messaging.operation.type": "settle",
        "messaging.destination.name": "shop.Letter",
        "messaging.message.id": ident,
        "messaging.message.conversation_id": "req-1",
        "perdure.attempt": 1,
    }
    assert (acked.attributes or {})["perdure.attempt"] == 2
    assert (rejected.attributes or {})["error.type"] == "perdure.LeaseLost"
    assert not rejected.status.is_ok
    assert published.context is not None
    links = [link.context.span_id for span in (requeued, acked, rejected) for link in span.links]
    assert links == [published.context.span_id] * 3
    timed = {
        (given["messaging.operation.name"], given.get("error.type")) for name, _, given, _ in seen.points() if "operation" in name
    }
    assert {("requeue", None), ("ack", None), ("reject", "perdure.LeaseLost")} < timed


class Broken(perdure.Middleware):
    async def receive(self, type_name: str, call_next: Any) -> Any:
        return call_next()


def test_a_receive_that_is_a_coroutine_function_is_refused() -> None:
    with pytest.raises(TypeError, match=r"Broken\.receive must be a plain function"):
        perdure.System(store=perdure.MemoryStore(), middleware=[Broken()])
