"""Telemetry: what a host's own tools see of a system. Nothing here is imported, or costs anything, unless it is used.

`opentelemetry` has spans and metrics of messages (extra `otel`; an attempt: `attempts`, what messages carry: `carried_context`,
instruments: `opentelemetry_metrics`, ends of spans: `span_ends`), `prometheus` a collector of all counts (what it asks for:
`gathered`), `prometheus_calls` middleware that times publishes (extra `prometheus`); `conventions` has the names that they share.
`health` says whether a system is alive and ready, and has small endpoints that say so. `dashboards/` holds a Grafana dashboard and
alert rules for what is exposed to Prometheus. The names below load on first use.

Not here: the counts themselves (`perdure.operations`), and the lines of the log (`perdure.actors.core.log_lines`).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perdure.telemetry.health import Health, asgi, live, ready, wsgi
    from perdure.telemetry.opentelemetry import OpenTelemetry
    from perdure.telemetry.prometheus import PrometheusCollector
    from perdure.telemetry.prometheus_calls import PrometheusMiddleware

__all__ = ["Health", "OpenTelemetry", "PrometheusCollector", "PrometheusMiddleware", "asgi", "live", "ready", "wsgi"]

_MODULES = {
    "Health": "health",
    "OpenTelemetry": "opentelemetry",
    "PrometheusCollector": "prometheus",
    "PrometheusMiddleware": "prometheus_calls",
    "asgi": "health",
    "live": "health",
    "ready": "health",
    "wsgi": "health",
}
_EXTRAS = {"opentelemetry": "otel", "prometheus": "prometheus", "prometheus_client": "prometheus"}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used.

    Raises:
        ImportError: what it needs is not installed; names the extra.
    """
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = globals()[name] = getattr(import_module(f"{__name__}.{module}"), name)
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        raise ImportError(f"perdure.telemetry.{name} needs {error.name}: pip install 'perdure[{extra}]'") from error
    return value


def __dir__() -> list[str]:
    """Return the names of the module, those not loaded yet included."""
    return sorted({*globals(), *__all__})
