"""`PrometheusMiddleware`: how long calls that publish, and checkouts, take until they are answered, as a Prometheus histogram.

Each call is timed where it is made, so each process that publishes has it, and exposes its own. What the queue knows is read by
`PrometheusCollector`, which costs nothing between two scrapes.
"""

from __future__ import annotations

import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from prometheus_client import Histogram
from prometheus_client.registry import REGISTRY

from perdure.arguments.choices import check_whole
from perdure.middleware import Middleware
from perdure.store.disk.forked_locks import lock_of
from perdure.telemetry.conventions import DURATIONS_S, error_type, type_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from prometheus_client.registry import CollectorRegistry

    from perdure.handling.manual_delivery import Delivery

__all__ = ["DURATIONS", "PrometheusMiddleware"]

R = TypeVar("R")

DURATIONS = "messaging_client_operation_duration_seconds"
TEXT = "Seconds from a call that publishes, checks out or settles to its answer, in this process."
LABELS = ("messaging_operation_name", "messaging_destination_name", "error_type")
OTHER = "(other)"
"""The label of all types beyond the bound, and of a call that publishes several types."""
OTHER_ERROR = "_OTHER"
"""As the conventions write an error that has no name of its own."""
TYPES_MAX, ERRORS_MAX = 100, 20


class PrometheusMiddleware(Middleware):
    """Times all calls that publish or check out: `System(middleware=[PrometheusMiddleware()])`, and the same for `connect`.

    One object serves any number of systems, and all threads.

    Args:
        registry: of `prometheus_client`; its global one unless given.
        types_max: how many message types get a label of their own; the others are summed up as `(other)`.
        labels: of the metric: `{"queue": "orders"}`.

    Raises:
        ValueError: the registry has the metric already: give the same object to all systems of a process.
    """

    def __init__(
        self, *, registry: CollectorRegistry = REGISTRY, types_max: int = TYPES_MAX, labels: Mapping[str, str] | None = None
    ) -> None:
        self._types = _Bounded(check_whole("types_max", types_max, 1), OTHER)
        self._errors = _Bounded(ERRORS_MAX, OTHER_ERROR)
        self._given = tuple((labels or {}).values())
        self._durations = Histogram(DURATIONS, TEXT, labelnames=(*(labels or {}), *LABELS), buckets=DURATIONS_S, registry=registry)

    def send(self, messages: Sequence[Any], call_next: Callable[[], Any]) -> Any:
        """Time one call that publishes; see `Middleware.send`."""
        begun_s = time.perf_counter()
        try:
            result = call_next()
        except BaseException as error:
            self._record("publish", _common_type(messages), begun_s, error)
            raise
        if isinstance(result, Future):
            name = _common_type(messages)
            result.add_done_callback(lambda future: self._record("publish", name, begun_s, _failure(future)))
        else:
            self._record("publish", _common_type(messages), begun_s, None)
        return result

    def receive(self, type_name: str, call_next: Callable[[], Delivery[Any] | None]) -> Delivery[Any] | None:
        """Time one checkout, whether it finds a message or not; see `Middleware.receive`."""
        return self._timed("receive", type_name, call_next)

    def settle(self, delivery: Delivery[Any], operation: str, call_next: Callable[[], None]) -> None:
        """Time what ends a delivery by hand; see `Middleware.settle`."""
        self._timed(operation, delivery.type, call_next)

    def _timed(self, operation: str, name: str, call: Callable[[], R]) -> R:
        begun_s = time.perf_counter()
        try:
            result = call()
        except BaseException as error:
            self._record(operation, name, begun_s, error)
            raise
        self._record(operation, name, begun_s, None)
        return result

    def _record(self, operation: str, name: str | None, begun_s: float, error: BaseException | None) -> None:
        label = OTHER if name is None else self._types.label(name)
        kind = "" if error is None else self._errors.label(error_type(error))
        self._durations.labels(*self._given, operation, label, kind).observe(time.perf_counter() - begun_s)


class _Bounded:
    """Labels of which there are only so many; one that was given out stays. Safe in any thread."""

    def __init__(self, most: int, other: str) -> None:
        self._most, self._other = most, other
        self._known: dict[str, str] = {}
        self._lock = lock_of(self, "_lock")

    def label(self, name: str) -> str:
        known = self._known.get(name)
        if known is not None:
            return known
        with self._lock:
            if len(self._known) >= self._most:
                return self._known.get(name, self._other)
            return self._known.setdefault(name, name)


def _common_type(messages: Sequence[Any]) -> str | None:
    """Return the type of all messages of a call; None where there are several, or no message."""
    names = {type_name(message) for message in messages}
    return names.pop() if len(names) == 1 else None


def _failure(future: Future[Any]) -> BaseException | None:
    return None if future.cancelled() else future.exception()
