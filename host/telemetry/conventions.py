"""Names and values of OpenTelemetry's messaging conventions that spans, metrics and the metrics of Prometheus share.

Needs neither of the two libraries. What is made of them is in `opentelemetry` and `prometheus_calls`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perdure.events.errors import PerdureError
from perdure.payloads.type_names import name_of

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "ATTEMPT",
    "BATCH_COUNT",
    "CONVERSATION_ID",
    "DESTINATION",
    "DURATIONS_S",
    "ERROR_TYPE",
    "MESSAGE_ID",
    "OPERATION_NAME",
    "OPERATION_TYPE",
    "SYSTEM",
    "counts_by_type",
    "error_type",
    "type_name",
]

SYSTEM = "messaging.system"
OPERATION_NAME = "messaging.operation.name"
OPERATION_TYPE = "messaging.operation.type"
DESTINATION = "messaging.destination.name"
MESSAGE_ID = "messaging.message.id"
CONVERSATION_ID = "messaging.message.conversation_id"
BATCH_COUNT = "messaging.batch.message_count"
ERROR_TYPE = "error.type"
ATTEMPT = "perdure.attempt"
"""Ours: the conventions have no name for it."""

DURATIONS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Bounds of the buckets of all histograms of calls and attempts."""


def error_type(error: BaseException) -> str:
    """Return the name of an error's class, with its module unless it is built in."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def type_name(message: Any) -> str:
    """Return the name of a message's type; of one that has none, its class's."""
    try:
        return name_of(type(message))
    except PerdureError:
        return type(message).__qualname__  # the publish says what is wrong with it


def counts_by_type(messages: Sequence[Any]) -> dict[str, int]:
    """Return how many messages of each type there are."""
    found: dict[str, int] = {}
    for message in messages:
        name = type_name(message)
        found[name] = found.get(name, 0) + 1
    return found
