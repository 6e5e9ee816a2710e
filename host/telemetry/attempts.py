"""`Attempt`: the span and the metrics of one call of a handler, from its beginning to its end.

A class of its own, with nothing made that is not needed: where the span is not sampled, this is what a message costs most.
Not here: which calls have one (`opentelemetry`).
"""

from __future__ import annotations

import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from opentelemetry.context import Context as NoContext
from opentelemetry.context import attach, detach
from opentelemetry.trace import SpanKind, set_span_in_context

from perdure.actors.workers.context import Context, deliveries_of
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
)
from perdure.telemetry.span_ends import end, fail, verdicts

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from opentelemetry.trace import Link, Span

    from perdure.actors.workers.context import Batch
    from perdure.telemetry.carried_context import CarriedContext
    from perdure.telemetry.opentelemetry_metrics import Instruments

__all__ = ["CREATED", "Attempt"]

LINKS_MAX = 128
"""Of one span, as the SDK's own bound is."""

CREATED: ContextVar[list[str] | None] = ContextVar("perdure.telemetry.created", default=None)
"""The types of what an attempt has published: they are sent if it succeeds, as they are committed with its completion."""


class Attempt:
    """One call of a handler, within a `with` block; for the worker's thread, or its task on the event loop.

    Args:
        given: what the handler gets: the context of a message, or a batch.
        start: starts a span, and raises nothing.
        carried: reads the contexts of the publishes.
        meters: what its time and outcome are counted in.
    """

    __slots__ = ("_begun_s", "_counted", "_created", "_given", "_meters", "_span", "_token", "_within")

    def __init__(
        self, given: Context | Batch[Any], start: Callable[..., Span], carried: CarriedContext, meters: Instruments
    ) -> None:
        self._given, self._meters = given, meters
        deliveries = deliveries_of(given)
        first = deliveries[0]
        name = first.type
        self._counted = {SYSTEM: "perdure", OPERATION_NAME: "process", OPERATION_TYPE: "process", DESTINATION: name}
        attributes: dict[str, str | int] = {**self._counted}
        parent = NoContext()
        if isinstance(given, Context):
            attributes[MESSAGE_ID] = first.id
            attributes[CONVERSATION_ID] = first.correlation_id
            attributes[ATTEMPT] = given.attempt
            if carried.is_parent:
                parent = carried.context_of(first.headers)
        else:
            attributes[BATCH_COUNT] = len(deliveries)
        links: list[Link] = []
        if not parent:
            for delivery in deliveries[:LINKS_MAX]:
                if headers := delivery.headers:
                    link = carried.link(headers, delivery.id)
                    if link is not None:
                        links.append(link)
        self._begun_s = time.perf_counter()
        self._span = start(f"process {name}", context=parent, kind=SpanKind.CONSUMER, attributes=attributes, links=links)

    def __enter__(self) -> None:
        """Enter the span, within which the handler runs."""
        self._created: list[str] = []
        self._token = CREATED.set(self._created)
        self._within = attach(set_span_in_context(self._span))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End the span; count the outcome, and what was published if it succeeded."""
        CREATED.reset(self._token)
        detach(self._within)
        counted = self._counted
        if error is not None:
            counted[ERROR_TYPE] = fail(self._span, error)
        elif self._created:
            self._meters.count_sent(self._created)
        self._meters.processing.record(time.perf_counter() - self._begun_s, counted)
        for count, own in verdicts(self._given, error):
            self._meters.consumed.add(count, counted if own is None else {**counted, ERROR_TYPE: own})
        end(self._span)
