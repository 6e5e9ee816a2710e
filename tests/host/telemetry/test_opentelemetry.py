"""Spans and metrics by OpenTelemetry's conventions: a publish and each attempt, over chains, batches, schedules and processes."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from opentelemetry import trace
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.trace import SpanKind

import perdure
from perdure.chaos import SimulatedSystem
from perdure.events.commands import DraftRun
from perdure.telemetry import OpenTelemetry, opentelemetry_metrics
from tests.host.telemetry.messages import Placed, Receipt
from tests.host.telemetry.watched import ids, links

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.host.telemetry.watched import Watched


def test_a_publish_and_each_attempt_have_the_names_of_the_conventions(watched: Watched) -> None:
    system = SimulatedSystem(seed=1, middleware=[watched.middleware()])

    @system.handler(Placed, retries=1, backoff=perdure.Fixed(1.0))
    def charge(order: Placed, ctx: perdure.Context) -> None:
        if ctx.attempt == 1:
            raise OSError("down")

    with system:
        ident = system.publish(Placed(1), correlation_id="req-1")
        system.drain(timeout=60.0)
    publish = watched.one("publish shop.Placed")
    assert publish.kind is SpanKind.PRODUCER
    assert publish.attributes == {
        "messaging.system": "perdure",
        "messaging.operation.name": "publish",
        "messaging.operation.type": "send",
        "messaging.destination.name": "shop.Placed",
        "messaging.message.id": ident,
    }
    failed, completed = watched.spans("process shop.Placed")
    expected = {
        "messaging.system": "perdure",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "shop.Placed",
        "messaging.message.id": ident,
        "messaging.message.conversation_id": "req-1",
    }
    assert completed.attributes == {**expected, "perdure.attempt": 2}
    assert failed.attributes == {**expected, "perdure.attempt": 1, "error.type": "OSError"}
    assert [event.name for event in failed.events] == ["exception"]
    assert not failed.status.is_ok
    for attempt in (failed, completed):
        assert attempt.kind is SpanKind.CONSUMER
        assert attempt.parent is None
        assert links(attempt) == [ids(publish)]


def test_metrics_have_the_names_of_the_conventions_and_no_ids(watched: Watched) -> None:
    system = SimulatedSystem(seed=1, middleware=[watched.middleware()])

    @system.handler(Placed, retries=1, backoff=perdure.Fixed(1.0))
    def charge(order: Placed, ctx: perdure.Context) -> None:
        if ctx.attempt == 1:
            raise perdure.Retry(reason="later")

    with system:
        system.publish_many([Placed(1), Placed(2)])
        system.drain(timeout=60.0)
        with pytest.raises(perdure.InvalidMessage):
            system.publish(Placed(3), ttl=-1.0)
    publish = {
        "messaging.system": "perdure",
        "messaging.operation.name": "publish",
        "messaging.operation.type": "send",
        "messaging.destination.name": "shop.Placed",
    }
    refused = {**publish, "error.type": "perdure.InvalidMessage"}
    process = {**publish, "messaging.operation.name": "process", "messaging.operation.type": "process"}
    failed = {**process, "error.type": "perdure.Retry"}
    assert watched.points("messaging.client.sent.messages") == [(publish, 2), (refused, 1)]
    assert watched.points("messaging.client.operation.duration") == [(publish, 1), (refused, 1)]
    assert watched.points("messaging.client.consumed.messages") == [(failed, 2), (process, 2)]
    assert watched.points("messaging.process.duration") == [(failed, 2), (process, 2)]


def chain(watched: Watched, **options: Any) -> SimulatedSystem:
    system = SimulatedSystem(seed=1, middleware=[watched.middleware(**options)])

    @system.handler(Placed)
    def charge(order: Placed, ctx: perdure.Context) -> None:
        ctx.publish(Receipt(order.number))

    @system.batch_handler(Receipt, size=10, wait=5.0)
    def send(batch: perdure.Batch[Receipt]) -> None:
        batch[0].reject("no address")

    return system


def test_a_chain_is_linked_message_by_message_and_a_batch_to_all_of_its_messages(watched: Watched) -> None:
    with chain(watched) as system:
        system.publish_many([Placed(1), Placed(2)])
        system.drain(timeout=60.0)
    publish = watched.one("publish shop.Placed")
    assert (publish.attributes or {})["messaging.batch.message_count"] == 2
    attempts = watched.spans("process shop.Placed")
    created = watched.spans("create shop.Receipt")
    assert [links(attempt) for attempt in attempts] == [[ids(publish)]] * 2
    assert [span.parent and span.parent.span_id for span in created] == [ids(attempt)[1] for attempt in attempts]
    assert all((span.attributes or {})["messaging.operation.type"] == "create" for span in created)
    batch = watched.one("process shop.Receipt")
    assert (batch.attributes or {})["messaging.batch.message_count"] == 2
    assert links(batch) == [ids(span) for span in created]
    consumed = {
        point.get("error.type"): n for point, n in watched.points("messaging.client.consumed.messages") if "Receipt" in str(point)
    }
    assert consumed == {None: 1, "perdure.Reject": 1}


def test_with_the_publish_as_parent_a_chain_is_one_trace(watched: Watched) -> None:
    with chain(watched, parent="publish") as system:
        with watched.tracers.get_tracer("host").start_as_current_span("request") as request:
            system.publish(Placed(1))
        system.drain(timeout=60.0)
    trace_id = request.get_span_context().trace_id
    for name in ("publish shop.Placed", "process shop.Placed", "create shop.Receipt"):
        assert ids(watched.one(name))[0] == trace_id, name
    assert watched.one("process shop.Placed").links == ()
    assert [link[0] for link in links(watched.one("process shop.Receipt"))] == [trace_id], "a batch is linked"


def test_a_schedule_begins_a_trace_at_each_tick_and_none_when_it_is_registered(watched: Watched) -> None:
    system = SimulatedSystem(seed=1, middleware=[watched.middleware()])
    system.every(60.0, message=Receipt(1))
    seen: list[int] = []
    system.handler(Receipt)(lambda receipt: seen.append(receipt.number))
    assert watched.exporter.get_finished_spans() == ()
    with system:
        system.advance(150.0)
    created, attempts = watched.spans("create shop.Receipt"), watched.spans("process shop.Receipt")
    assert len(created) == len(attempts) == len(seen) >= 2
    assert [links(attempt) for attempt in attempts] == [[ids(span)] for span in created]


def test_each_kind_of_call_and_of_handler_on_threads(watched: Watched, folder: Path) -> None:
    system = perdure.System(folder, middleware=[watched.middleware()])

    @system.handler(Placed)
    async def charge(order: Placed) -> int:
        await asyncio.sleep(0)
        return order.number

    async def publishes() -> None:
        await system.apublish(Placed(1))
        await (await system.asubmit(Placed(2)))
        assert await system.acall(Placed(3), timeout=30.0) == 3

    with system:
        assert system.call(Placed(4), timeout=30.0) == 4
        ident = system.submit(Placed(5)).result(30.0)
        asyncio.run(publishes())
        system.drain(30.0)
    publishes_, attempts = watched.spans("publish shop.Placed"), watched.spans("process shop.Placed")
    assert len(publishes_) == len(attempts) == 5
    assert ident in {(span.attributes or {})["messaging.message.id"] for span in publishes_}
    assert sorted(link for attempt in attempts for link in links(attempt)) == sorted(map(ids, publishes_))


CLIENT = """
import sys, attrs, perdure
from opentelemetry.sdk.trace import TracerProvider
from perdure.telemetry import OpenTelemetry
@perdure.message(name="shop.Placed")
@attrs.frozen
class Placed:
    number: int
middleware = OpenTelemetry(tracer_provider=(provider := TracerProvider()))
with perdure.connect(sys.argv[1], middleware=[middleware]) as client:
    with provider.get_tracer("host").start_as_current_span("request") as request:
        client.publish(Placed(1))
print(f"{request.get_span_context().trace_id:x}")
"""


def test_the_context_of_another_process_reaches_the_attempt(watched: Watched, folder: Path) -> None:
    with perdure.System(folder, shared=True, middleware=[watched.middleware(parent="publish")]) as system:
        system.handler(Placed)(lambda order: None)
        done = subprocess.run([sys.executable, "-c", CLIENT, str(folder)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        system.drain(30.0)
    assert f"{ids(watched.one('process shop.Placed'))[0]:x}" == done.stdout.strip()


def test_headers_of_the_host_stay_and_leave_room_or_go_without_a_context(watched: Watched) -> None:
    system = SimulatedSystem(seed=1, middleware=[watched.middleware()])
    headers: list[dict[str, str]] = []
    system.handler(Placed)(lambda order, ctx: headers.append(dict(ctx.headers)))
    many = {f"h{n}": "x" for n in range(64)}
    with system:
        system.publish(Placed(1), headers={"tenant": "a"})
        system.publish(Placed(2), headers=many)
        system.publish(Placed(3), headers={"long": "x" * 8000})
        system.publish(Placed(4), headers={"traceparent": "mine"})
        with pytest.raises(perdure.InvalidMessage, match="headers"):
            system.publish(Placed(5), headers=5)  # type: ignore[arg-type]  # wrong on purpose
        system.run_until_idle()
    assert headers[0].keys() == {"tenant", "traceparent"}
    assert headers[1:] == [many, {"long": "x" * 8000}, {"traceparent": "mine"}]


def test_without_an_sdk_nothing_is_added_to_a_message() -> None:
    system = SimulatedSystem(seed=1, middleware=[OpenTelemetry()])
    headers: list[dict[str, str]] = []
    system.handler(Placed)(lambda order, ctx: headers.append(dict(ctx.headers)))
    with system:
        system.publish(Placed(1))
        system.run_until_idle()
    assert headers == [{}]


def test_without_an_sdk_batches_go_the_short_way_and_nothing_is_made_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    idle = OpenTelemetry(tracer_provider=trace.NoOpTracerProvider(), meter_provider=NoOpMeterProvider())
    monkeypatch.setattr(idle, "_started", lambda *_, **__: pytest.fail("a span was begun"))
    system = SimulatedSystem(seed=1, middleware=[idle, OpenTelemetry()])
    system.handler(Placed)(lambda order: None)
    with system:
        assert isinstance(system.drafts.plain([Placed(1), Placed(2)]), DraftRun)
        system.publish_many([Placed(1), Placed(2)])
        system.run_until_idle()
        assert system.admin.metrics().completed == 2


def test_an_sdk_that_is_set_up_later_is_found(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    late = OpenTelemetry()
    system = SimulatedSystem(seed=1, middleware=[late])
    assert late.is_idle()
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: watched.tracers)
    monkeypatch.setattr(opentelemetry_metrics, "AGAIN_S", 0.0)
    late._recording._again_s = 0.0
    assert not late.is_idle()
    with system:
        assert not isinstance(system.drafts.plain([Placed(1), Placed(2)]), DraftRun), "their headers carry the context"


def test_without_an_sdk_a_context_that_is_there_is_carried() -> None:
    """As a proxy's or a web framework's, which was only extracted."""
    caller = trace.NonRecordingSpan(trace.SpanContext(trace_id=7, span_id=9, is_remote=True, trace_flags=trace.TraceFlags(1)))
    idle = OpenTelemetry(tracer_provider=trace.NoOpTracerProvider(), meter_provider=NoOpMeterProvider())
    system = SimulatedSystem(seed=1, middleware=[idle])
    headers: list[dict[str, str]] = []
    system.handler(Placed)(lambda order, ctx: headers.append(dict(ctx.headers)))
    with system:
        with trace.use_span(caller):
            system.publish(Placed(1))
            system.publish_many([Placed(2), Placed(3)])
        system.run_until_idle()
    assert headers == [{"traceparent": f"00-{7:032x}-{9:016x}-01"}] * 3


def test_without_an_sdk_a_chain_of_messages_keeps_the_context_of_its_publish() -> None:
    idle = OpenTelemetry(tracer_provider=trace.NoOpTracerProvider(), meter_provider=NoOpMeterProvider(), parent="publish")
    system = SimulatedSystem(seed=1, middleware=[idle])
    headers: list[dict[str, str]] = []
    system.handler(Placed)(lambda order, ctx: ctx.publish(Receipt(order.number)))
    system.handler(Receipt)(lambda receipt, ctx: headers.append(dict(ctx.headers)))
    given = {"traceparent": f"00-{7:032x}-{9:016x}-01"}
    with system:
        system.publish(Placed(1), headers=given)
        system.run_until_idle()
    assert headers == [given]


def test_a_subclass_that_overrides_only_publish_sees_each_message() -> None:
    class Counting(OpenTelemetry):
        seen = 0

        def publish(self, message: Any, options: dict[str, Any], call_next: Callable[[Any, dict[str, Any]], str]) -> str:
            self.seen += 1
            return super().publish(message, options, call_next)

    counting = Counting(tracer_provider=trace.NoOpTracerProvider(), meter_provider=NoOpMeterProvider())
    with SimulatedSystem(seed=1, middleware=[counting]) as system:
        system.publish_many([Placed(1), Placed(2)])
        system.publish(Placed(3))
    assert counting.seen == 3


def test_a_part_that_is_not_idle_sees_each_message() -> None:
    class Counting(perdure.Middleware):
        seen = 0

        def publish(self, message: Any, options: dict[str, Any], call_next: Callable[[Any, dict[str, Any]], str]) -> str:
            self.seen += 1
            return call_next(message, options)

    counting = Counting()
    with SimulatedSystem(seed=1, middleware=[OpenTelemetry(), counting]) as system:
        system.publish_many([Placed(1), Placed(2)])
        system.publish(Placed(3))
    assert counting.seen == 3


def test_a_wrong_parent_is_refused() -> None:
    with pytest.raises(perdure.InvalidMessage, match="parent: 'link' or 'publish'"):
        OpenTelemetry(parent="none")  # type: ignore[arg-type]  # wrong on purpose


class Broken(SpanProcessor):
    """Tracing of a host that raises at each span."""

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        msg = "no start"
        raise RuntimeError(msg)


class BrokenEnd(SpanProcessor):
    """The same, when spans end."""

    def on_end(self, span: Any) -> None:
        msg = "no end"
        raise RuntimeError(msg)


@pytest.mark.parametrize("processor", [Broken, BrokenEnd])
def test_tracing_that_raises_stops_no_message_and_denies_no_publish(processor: type[SpanProcessor]) -> None:
    provider = TracerProvider()
    provider.add_span_processor(processor())
    system = perdure.System(store=perdure.MemoryStore(), middleware=[OpenTelemetry(tracer_provider=provider)])
    seen: list[Any] = []

    @system.handler(Hurt, retries=0)
    def handle(message: Hurt, ctx: perdure.Context) -> None:
        seen.append(message.number)
        if message.number:
            ctx.publish(Hurt(0))

    with system:
        system.publish(Hurt(1))
        system.submit(Hurt(2)).result(60)
        system.drain(timeout=60)
        assert (system.admin.metrics().completed, system.admin.metrics().failed) == (4, 0)
    assert sorted(seen) == [0, 0, 1, 2]


@perdure.message(name="otel.Hurt")
@attrs.frozen
class Hurt:
    number: int
