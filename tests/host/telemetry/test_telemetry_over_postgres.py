"""Telemetry over PostgreSQL: the publisher's context reaches the handler of another owner; a cluster is ready as a whole."""

from __future__ import annotations

import attrs
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry

import perdure
from perdure.telemetry import OpenTelemetry, PrometheusCollector, ready
from tests.postgres_server import PATIENCE_S, new_queue, shared_server

pytestmark = pytest.mark.xdist_group("postgres")


@perdure.message(name="telemetry.Placed")
@attrs.frozen
class Placed(perdure.Returns[int]):
    number: int


@perdure.message(name="telemetry.Receipt")
@attrs.frozen
class Receipt:
    number: int


def test_the_context_of_a_client_reaches_the_handler_through_the_database() -> None:
    server, name, exporter = shared_server(), new_queue(), InMemorySpanExporter()
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    middleware = OpenTelemetry(tracer_provider=tracers)
    system = perdure.System(store=perdure.PostgresStore(server.dsn, name=name), middleware=[middleware])
    seen: list[str] = []

    @system.handler(Placed)
    def handle(order: Placed, ctx: perdure.Context) -> int:
        seen.append(ctx.headers["traceparent"])
        return order.number

    with system, perdure.connect(server.dsn, name=name, partition=0, timeout=PATIENCE_S, middleware=[middleware]) as client:
        ident = client.publish(Placed(7), keep_result=60)
        assert client.result(ident, timeout=PATIENCE_S) == 7
    spans = {span.name: span for span in exporter.get_finished_spans()}
    published, processed = spans["publish telemetry.Placed"].context, spans["process telemetry.Placed"]
    assert published is not None
    assert [link.context.span_id for link in processed.links] == [published.span_id]
    assert seen[0].split("-")[1:3] == [f"{published.trace_id:032x}", f"{published.span_id:016x}"]
    tracers.shutdown()


def test_a_cluster_makes_one_span_of_a_checkout_however_many_partitions_are_asked() -> None:
    server, name, exporter = shared_server(), new_queue(), InMemorySpanExporter()
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    cluster = perdure.Cluster(server.dsn, name=name, partitions=2, middleware=[OpenTelemetry(tracer_provider=tracers)])
    with cluster:
        for key in ("a", "b", "c", "d"):
            cluster.publish(Placed(7), key=key)
        for _ in range(4):
            delivery = cluster.checkout(Placed)
            assert delivery is not None
            delivery.ack()
        assert cluster.checkout(Placed) is None
    published = [span for span in exporter.get_finished_spans() if span.name == "publish telemetry.Placed"]
    received = [span for span in exporter.get_finished_spans() if span.name == "receive telemetry.Placed"]
    assert {link.context.span_id for span in received for link in span.links} == {span.context.span_id for span in published}
    assert len(received) == len(published) == 4
    tracers.shutdown()


def test_a_process_that_owns_no_partition_collects_the_whole_cluster() -> None:
    server, name, registry = shared_server(), new_queue(), CollectorRegistry()
    owner = perdure.Cluster(server.dsn, name=name, partitions=2, options=perdure.Options(backlog_max=10))
    owner.handler(Placed, retries=0)(lambda order: order.number)
    looking = perdure.Cluster(server.dsn, name=name, partitions=2, ownership="never", options=perdure.Options(backlog_max=10))
    PrometheusCollector(looking, registry=registry)

    def value(metric: str, **labels: str) -> float | None:
        return registry.get_sample_value(metric, labels)

    with owner, looking:
        for key in ("a", "b", "c", "d"):
            owner.publish(Placed(7), key=key)
        owner.drain(PATIENCE_S)
        for number in range(3):
            owner.publish(Receipt(number), group="all in one partition")
        assert value("perdure_up") == 1
        assert value("messaging_client_sent_messages_total", messaging_destination_name="telemetry.Placed") == 4
        assert value("perdure_completed_total", type="telemetry.Placed") == 4
        assert value("perdure_handler_workers", type="telemetry.Placed") == 2
        assert value("perdure_messages", type="telemetry.Receipt", place="held") == 2
        assert value("perdure_backlog_max") == 20
        assert value("perdure_backlog_fill_ratio") == 0.3
        assert value("perdure_sync_seconds_count") == value("perdure_sync_seconds_bucket", le="+Inf") != 0
    assert {sample.name: sample.value for family in registry.collect() for sample in family.samples} == {"perdure_up": 0}


def test_a_cluster_is_ready_if_each_partition_is() -> None:
    server, name = shared_server(), new_queue()
    cluster = perdure.Cluster(server.dsn, name=name, partitions=2)
    with cluster:
        assert ready(cluster, timeout=PATIENCE_S)
    reasons = ready(cluster).reasons
    assert [reason.partition(":")[0] for reason in reasons] == ["partition 0", "partition 1"]
