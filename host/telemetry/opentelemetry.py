"""`OpenTelemetry`: middleware that makes spans and metrics of messages, by the names of OpenTelemetry's messaging conventions.

Each call that publishes is a span, and so is each attempt of a handler, each `checkout` that gives a message, and what settles that
by hand. The publisher's context travels in the message's headers (`traceparent`, `tracestate`), so that it is there in any process
that handles the message. Nothing is exported here: that is the SDK's part, which the host installs and configures.

Not here: the span of an attempt (`attempts`); the instruments, and whether anything takes what is recorded
(`opentelemetry_metrics`); how a context gets into a message and out again (`carried_context`); how a span ends (`span_ends`).
"""

from __future__ import annotations

import time
from concurrent.futures import Future
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal

from opentelemetry import trace
from opentelemetry.trace import SpanKind

from perdure.actors.workers.context import Context
from perdure.arguments.choices import check_one_of
from perdure.events.loggers import GuardedLogger
from perdure.middleware import Middleware
from perdure.telemetry.attempts import CREATED, Attempt
from perdure.telemetry.carried_context import TRACEPARENT, CarriedContext
from perdure.telemetry.conventions import (
    ATTEMPT,
    BATCH_COUNT,
    CONVERSATION_ID,
    DESTINATION,
    ERROR_TYPE,
    MESSAGE_ID,
    OPERATION_NAME,
    OPERATION_TYPE,
    SYSTEM,
    counts_by_type,
    type_name,
)
from perdure.telemetry.opentelemetry_metrics import Instruments, Recording
from perdure.telemetry.span_ends import end, fail, span_name

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Link, Span, TracerProvider

    from perdure.actors.workers.context import Batch
    from perdure.handling.manual_delivery import Delivery

    Attributes = dict[str, str | int]

__all__ = ["OpenTelemetry"]

logger = GuardedLogger("perdure")
PARENTS = ("link", "publish")

_sending: ContextVar[Span | None] = ContextVar("perdure.telemetry.sending", default=None)
"""The span of the call that publishes, while it makes its messages."""


class OpenTelemetry(Middleware):
    """Spans and metrics of all messages: `System(middleware=[OpenTelemetry()])`, and the same for `connect` and `Outbox`.

    One object serves any number of systems, and all threads. In a process that has no SDK its calls do nothing. One that is set up
    later, as the global one, is found within a tenth of a second.

    Args:
        tracer_provider: where spans go; the global one unless given.
        meter_provider: where metrics go; the global one unless given.
        parent: what an attempt's span belongs to. `"link"`: it begins a trace of its own, linked to the publish. `"publish"`: it is
            a child of the publish, so that a chain of messages is one trace, however long; a batch is linked in any case.
    """

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        parent: Literal["link", "publish"] = "link",
    ) -> None:
        self._tracer = trace.get_tracer("perdure", tracer_provider=tracer_provider)
        self._carried = CarriedContext(is_parent=check_one_of("parent", parent, PARENTS) == "publish")
        self._meters = Instruments(meter_provider)
        self._recording = Recording(tracer_provider, meter_provider)

    def is_idle(self) -> bool:
        """See `Middleware.is_idle`: there is nothing to record without an SDK, and a context to carry only of some spans.

        Within a call that publishes, its own span decides, and the call counts its messages: without a context to carry, as of what
        is not sampled, they are made the short way.
        """
        sending = _sending.get()
        if sending is not None:
            return not self._carried.takes(sending)
        return not self._recording.is_on() and not self._carried.takes(trace.get_current_span())

    # --- publishing --------------------------------------------------------------------------------------------------------

    def send(self, messages: Sequence[Any], call_next: Callable[[], Any]) -> Any:
        """Make a span of one call that publishes; see `Middleware.send`."""
        if not self._recording.is_on():
            return call_next()
        counts = counts_by_type(messages)
        attributes: Attributes = {SYSTEM: "perdure", OPERATION_NAME: "publish", OPERATION_TYPE: "send"}
        if len(counts) == 1:
            attributes[DESTINATION] = next(iter(counts))
        if len(messages) != 1:
            attributes[BATCH_COUNT] = len(messages)
        span = self._started(span_name("publish", attributes), kind=SpanKind.PRODUCER, attributes=attributes)
        begun_s = time.perf_counter()
        token = _sending.set(span)
        try:
            result = call_next()
        except BaseException as error:
            self._sent_all(span, attributes, counts, begun_s, error)
            raise
        finally:
            _sending.reset(token)
        if isinstance(result, Future):
            result.add_done_callback(lambda future: self._answered(future, span, attributes, counts, begun_s))
        else:
            if isinstance(result, str):
                span.set_attribute(MESSAGE_ID, result)
            self._sent_all(span, attributes, counts, begun_s, None)
        return result

    def _answered(self, future: Future[str], span: Span, attributes: Attributes, counts: Mapping[str, int], begun_s: float) -> None:
        error = None if future.cancelled() else future.exception()
        if not future.cancelled() and error is None:
            span.set_attribute(MESSAGE_ID, future.result())
        self._sent_all(span, attributes, counts, begun_s, error)

    def _sent_all(
        self, span: Span, attributes: Attributes, counts: Mapping[str, int], begun_s: float, error: BaseException | None
    ) -> None:
        common = {name: value for name, value in attributes.items() if name != BATCH_COUNT}
        if error is not None:
            common[ERROR_TYPE] = fail(span, error)
        self._meters.operations.record(time.perf_counter() - begun_s, common)
        for name, count in counts.items():
            self._meters.sent.add(count, {**common, DESTINATION: name})
        end(span)

    def publish(self, message: Any, options: dict[str, Any], call_next: Callable[[Any, dict[str, Any]], str]) -> str:
        """Put the context into the message's headers. What a handler, a schedule or an outbox publishes gets a span of its own."""
        if self.is_idle():
            return call_next(message, options)
        sending = _sending.get()
        if sending is not None:
            return call_next(message, self._carried.put(options, sending))
        name = type_name(message)
        attributes: Attributes = {SYSTEM: "perdure", OPERATION_NAME: "create", OPERATION_TYPE: "create", DESTINATION: name}
        span = self._started(f"create {name}", kind=SpanKind.PRODUCER, attributes=attributes)
        created = CREATED.get()
        with trace.use_span(span, record_exception=False, set_status_on_exception=False):
            try:
                ident = call_next(message, self._carried.put(options, span) if self._carried.takes(span) else options)
            except BaseException as error:
                self._meters.count_sent([name], fail(span, error))
                raise
            else:
                span.set_attribute(MESSAGE_ID, ident)
                if created is None:
                    self._meters.count_sent([name])
                else:
                    created.append(name)
                return ident
            finally:
                end(span)

    # --- by hand -----------------------------------------------------------------------------------------------------------

    def receive(self, type_name: str, call_next: Callable[[], Delivery[Any] | None]) -> Delivery[Any] | None:
        """Make a span of one checkout that gives a message or fails; see `Middleware.receive`.

        One that finds nothing is only timed: a consumer that polls would bury all other spans.
        """
        if not self._recording.is_on():
            return call_next()
        attributes: Attributes = {SYSTEM: "perdure", OPERATION_NAME: "receive", OPERATION_TYPE: "receive", DESTINATION: type_name}
        counted = dict(attributes)
        begun_ns, begun_s = time.time_ns(), time.perf_counter()
        try:
            delivery = call_next()
        except BaseException as error:
            span = self._receive_span(attributes, [], begun_ns)
            counted[ERROR_TYPE] = fail(span, error)
            end(span)
            raise
        finally:
            self._meters.operations.record(time.perf_counter() - begun_s, counted)
        if delivery is not None:
            self._meters.consumed.add(1, counted)
            attributes |= {MESSAGE_ID: delivery.id, CONVERSATION_ID: delivery.correlation_id, ATTEMPT: delivery.attempt}
            link = self._carried.link(delivery.headers, delivery.id)
            end(self._receive_span(attributes, [] if link is None else [link], begun_ns))
        return delivery

    def _receive_span(self, attributes: Attributes, links: list[Link], begun_ns: int) -> Span:
        """Return a span that began before what it is linked to was known, so that a sampler sees the links."""
        name = f"receive {attributes[DESTINATION]}"
        return self._started(name, kind=SpanKind.CLIENT, attributes=attributes, links=links, start_time=begun_ns)

    def settle(self, delivery: Delivery[Any], operation: str, call_next: Callable[[], None]) -> None:
        """Make a span of what ends a delivery by hand, linked to the publish; see `Middleware.settle`."""
        if not self._recording.is_on():
            call_next()
            return
        counted: Attributes = {SYSTEM: "perdure", OPERATION_NAME: operation, OPERATION_TYPE: "settle", DESTINATION: delivery.type}
        attributes = {
            **counted,
            MESSAGE_ID: delivery.id,
            CONVERSATION_ID: delivery.correlation_id,
            ATTEMPT: delivery.attempt,
        }
        link = self._carried.link(delivery.headers, delivery.id)
        links = [] if link is None else [link]
        span = self._started(span_name(operation, attributes), kind=SpanKind.CLIENT, attributes=attributes, links=links)
        begun_s = time.perf_counter()
        try:
            call_next()
        except BaseException as error:
            counted[ERROR_TYPE] = fail(span, error)
            raise
        finally:
            self._meters.operations.record(time.perf_counter() - begun_s, counted)
            end(span)

    # --- handling ----------------------------------------------------------------------------------------------------------

    def handle(self, message: Any, context: Context, call_next: Callable[[Any, Any], Any]) -> Any:
        """Make a span of one attempt; see `Middleware.handle`."""
        if self._has_no_attempt(context):
            return call_next(message, context)
        with self._attempt(context):
            return call_next(message, context)

    async def ahandle(self, message: Any, context: Context, call_next: Callable[[Any, Any], Awaitable[Any]]) -> Any:
        """Make a span of one attempt of a coroutine handler; see `Middleware.ahandle`."""
        if self._has_no_attempt(context):
            return await call_next(message, context)
        with self._attempt(context):
            return await call_next(message, context)

    def _has_no_attempt(self, given: Context | Batch[Any]) -> bool:
        """Return whether there is nothing to record, and no context of the publish for what a handler publishes."""
        return not self._recording.is_on() and not (
            self._carried.is_parent and isinstance(given, Context) and TRACEPARENT in given.headers
        )

    def _attempt(self, given: Context | Batch[Any]) -> Attempt:
        return Attempt(given, self._started, self._carried, self._meters)

    def _started(self, name: str, **given: Any) -> Span:
        """Return a new span; one that records nothing where the host's tracing raises, which must stop no message."""
        try:
            return self._tracer.start_span(name, **given)
        except Exception:
            logger.exception("the span %r could not be started; what it is about goes on without it", name)
            return trace.INVALID_SPAN
