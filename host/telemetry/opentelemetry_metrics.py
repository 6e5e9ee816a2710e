"""The OpenTelemetry instruments that `OpenTelemetry` records into, by the names and units of the messaging conventions."""

from __future__ import annotations

from opentelemetry import metrics

from perdure.telemetry.conventions import DURATIONS_S

__all__ = ["Instruments"]


class Instruments:
    """The four instruments of a meter provider; of the global one where None is given."""

    def __init__(self, provider: metrics.MeterProvider | None) -> None:
        meter = metrics.get_meter("perdure", meter_provider=provider)
        self.operations = meter.create_histogram(
            "messaging.client.operation.duration",
            unit="s",
            description="Seconds from a call that publishes or checks out to its answer.",
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
