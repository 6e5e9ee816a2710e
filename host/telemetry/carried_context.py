"""`CarriedContext`: the context of a publish in the headers of its messages: `traceparent` and `tracestate`, as W3C writes them.

Not here: which spans there are (`opentelemetry`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.context import Context as NoContext
from opentelemetry.trace import Link
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from perdure.telemetry.conventions import MESSAGE_ID

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.trace import Span, SpanContext

__all__ = ["TRACEPARENT", "CarriedContext"]

TRACEPARENT, TRACESTATE = "traceparent", "tracestate"
HEADERS_MOST, HEADER_CHARS_MOST = 62, 7_000
"""Of a message's own headers: with more of them there may be no room for the context, and the message goes without it."""


class CarriedContext:
    """Puts contexts into messages and reads them again. Safe in any thread.

    Args:
        is_parent: an attempt is a child of its publish, so that it must know also that the publish is not sampled. Otherwise it is
            linked to it, and a link to a span that was not recorded leads nowhere: such a context is not carried. Its messages then
            need no headers, and take the short way of plain ones.
    """

    def __init__(self, *, is_parent: bool) -> None:
        self.is_parent = is_parent
        """Whether an attempt is a child of its publish."""
        self._propagator = TraceContextTextMapPropagator()
        self._put: tuple[Span, dict[str, str]] | None = None
        """What was put last, and what was read last: messages of a batch have the same. Each is replaced whole."""
        self._read: tuple[tuple[str, str | None], SpanContext] | None = None

    def takes(self, span: Span) -> bool:
        """Return whether the context of this span is to be in the messages that it publishes."""
        context = span.get_span_context()
        return context.is_valid and (self.is_parent or context.trace_flags.sampled or span.is_recording())

    def put(self, options: dict[str, Any], span: Span) -> dict[str, Any]:
        """Return the options of a publish with the span's context in the headers, unless the host put one there."""
        given = options.get("headers")
        if not given:
            return {**options, "headers": headers} if (headers := self._headers(span)) else options
        try:
            if TRACEPARENT in given or len(given) > HEADERS_MOST or sum(map(len, (*given, *given.values()))) > HEADER_CHARS_MOST:
                return options
            headers = dict(given)
        except (TypeError, ValueError, AttributeError):
            return options  # it is no mapping of texts: the publish says so
        return {**options, "headers": headers | self._headers(span)}

    def _headers(self, span: Span) -> dict[str, str]:
        known = self._put
        if known is not None and known[0] is span:
            return dict(known[1])
        headers: dict[str, str] = {}
        self._propagator.inject(headers, trace.set_span_in_context(span, NoContext()))
        self._put = span, headers
        return dict(headers)

    def context_of(self, headers: Mapping[str, str] | None) -> NoContext:
        """Return the context that headers carry; an empty one where they have none."""
        return self._propagator.extract(headers or {}, NoContext())

    def link(self, headers: Mapping[str, str] | None, ident: str) -> Link | None:
        """Return a link to the publish of a message; None where its headers have no context."""
        if not headers or TRACEPARENT not in headers:
            return None
        name = headers[TRACEPARENT], headers.get(TRACESTATE)
        known = self._read
        if known is not None and known[0] == name:
            found = known[1]
        else:
            found = trace.get_current_span(self.context_of(headers)).get_span_context()
            self._read = name, found
        return Link(found, {MESSAGE_ID: ident}) if found.is_valid else None
