"""What `OpenTelemetry` records into: instruments by the names of the messaging conventions, and whether anything takes it.

Not here: spans (`opentelemetry`).
"""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from opentelemetry import metrics, trace

from perdure.telemetry.conventions import DESTINATION, DURATIONS_S, ERROR_TYPE, OPERATION_NAME, OPERATION_TYPE, SYSTEM

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

__all__ = ["Instruments", "Recording"]

AGAIN_S = 0.1
"""A process without an SDK is asked again whether it has one, no more often than this: asking costs as much as a message."""


class Recording:
    """Whether an SDK takes spans or metrics: one that was given, or the global one, also one set up later. Safe in any thread."""

    def __init__(self, tracer_provider: TracerProvider | None, meter_provider: MeterProvider | None) -> None:
        self._given = (tracer_provider, meter_provider)
        self._is_on = False
        self._again_s = 0.0

    def is_on(self) -> bool:
        """Return whether anything is recorded; once True, it stays so."""
        if self._is_on:
            return True
        now_s = time.monotonic()
        if now_s < self._again_s:
            return False
        self._again_s = now_s + AGAIN_S
        tracers, meters = self._given
        self._is_on = _records(tracers or trace.get_tracer_provider()) or _records(meters or metrics.get_meter_provider())
        return self._is_on


def _records(provider: Any) -> bool:
    """Return whether a provider does anything: those of the API itself only stand in for an SDK's."""
    return not type(provider).__module__.startswith(("opentelemetry.trace", "opentelemetry.metrics"))


class Instruments:
    """The four instruments of a meter provider; of the global one where None is given."""

    def __init__(self, provider: MeterProvider | None) -> None:
        meter = metrics.get_meter("perdure", meter_provider=provider)
        self.operations = meter.create_histogram(
            "messaging.client.operation.duration",
            unit="s",
            description="Seconds from a call that publishes, checks out or settles to its answer.",
            explicit_bucket_boundaries_advisory=DURATIONS_S,
        )
        self.processing = meter.create_histogram(
            "messaging.process.duration",
            unit="s",
            description="Seconds that an attempt of a handler takes.",
            explicit_bucket_boundaries_advisory=DURATIONS_S,
        )
        self.sent = meter.create_counter(
            "messaging.client.sent.messages", unit="{message}", description="Messages that were to be published."
        )
        self.consumed = meter.create_counter(
            "messaging.client.consumed.messages",
            unit="{message}",
            description="Messages that were given to a handler or a checkout.",
        )

    def count_sent(self, names: list[str], error: str | None = None) -> None:
        """Count messages that were published with something else, by the names of their types."""
        common = {SYSTEM: "perdure", OPERATION_NAME: "publish", OPERATION_TYPE: "send"}
        if error is not None:
            common[ERROR_TYPE] = error
        for name, count in Counter(names).items():
            self.sent.add(count, {**common, DESTINATION: name})
