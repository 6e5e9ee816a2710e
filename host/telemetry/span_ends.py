"""Names and ends of OpenTelemetry's spans: an error, its type, and how many messages of a batch ended how.

Not here: which spans there are (`opentelemetry`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.trace import Status, StatusCode

from perdure.actors.workers.context import Context
from perdure.events.loggers import GuardedLogger
from perdure.telemetry.conventions import DESTINATION, ERROR_TYPE, error_type

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.trace import Span

    from perdure.actors.workers.context import Batch

__all__ = ["end", "fail", "span_name", "verdicts"]

logger = GuardedLogger("perdure")


def verdicts(given: Context | Batch[Any], error: BaseException | None) -> list[tuple[int, str | None]]:
    """Return how many messages ended so: with the call's own outcome (None), or with an error of their own in a batch."""
    if isinstance(given, Context):
        return [(1, None)]
    own = [item.error for item in given if item.error is not None] if error is None else []
    shared = len(given) - len(own)
    return [*([(shared, None)] if shared else []), *((1, error_type(each)) for each in own)]


def end(span: Span) -> None:
    """End a span. What it is about has happened, so an error of the host's tracing is only logged."""
    try:
        span.end()
    except Exception:
        logger.exception("a span could not be ended; what it is about is done")


def fail(span: Span, error: BaseException) -> str:
    """Put an error on a span; return its type."""
    kind = error_type(error)
    span.set_attribute(ERROR_TYPE, kind)
    span.record_exception(error)
    span.set_status(Status(StatusCode.ERROR, f"{kind}: {error}"))
    return kind


def span_name(operation: str, attributes: Mapping[str, str | int]) -> str:
    """Return the name of a span: its operation, and the type that it is about, if that is one."""
    destination = attributes.get(DESTINATION)
    return operation if destination is None else f"{operation} {destination}"
