"""Handlers as the host registers them: options checked, functions wrapped, and what comes out is a `HandlerSpec`.

Who runs them, and how many, is the dispatcher's business.
"""

from __future__ import annotations

import datetime as dt
import inspect
import logging
import math
import re
import sys
from typing import TYPE_CHECKING, Any, TypeVar

from perdure.actors.execution.child_process import packed_handler
from perdure.actors.workers.finishing import finishing
from perdure.actors.workers.handler_spec import HandlerSpec
from perdure.events.errors import InvalidMessage
from perdure.events.handlers.backoff import Exponential, Fixed
from perdure.events.schedules.ticks import TICK_PREFIX
from perdure.events.seconds import seconds_or_none, shown, whole_us
from perdure.handling.dependencies import adapt
from perdure.handling.schedules import MISSED, Schedule, Tick, following
from perdure.handling.signatures import label_of
from perdure.middleware import around_handle, check_middleware
from perdure.operations.metrics import moment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import svcs

    from perdure.config import HandlerSettings
    from perdure.events.handlers.backoff import Backoff
    from perdure.middleware import Middleware
    from perdure.options import Options
    from perdure.publishing.drafts import Drafts

__all__ = [
    "DEDUP",
    "DEFAULT_BACKOFF",
    "WORKERS_MAX",
    "Registration",
    "check_backoff",
    "check_changes",
    "check_one_of",
    "check_parallelism",
    "check_rate",
    "check_seconds",
    "check_truth",
    "check_whole",
]

V = TypeVar("V")

logger = logging.getLogger("perdure")

DEFAULT_BACKOFF = Exponential(1.0, maximum=300.0, jitter=0.1)
DEDUP = ("replace", "reject", "append")
ISOLATION = ("thread", "process")
WORKERS_MAX = 10_000
_PERIODS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class Registration:
    """All handlers and schedules of one system, by type name and schedule name."""

    def __init__(
        self,
        drafts: Drafts,
        options: Options,
        middleware: Sequence[Middleware],
        registry: svcs.Registry | None,
        settings: HandlerSettings,
    ) -> None:
        self._drafts = drafts
        self._options = options
        check_middleware(middleware)
        self._middleware = middleware
        self._registry = registry
        self._settings = settings
        self.specs: dict[str, HandlerSpec] = {}
        self.schedules: dict[str, Schedule] = {}

    def check(self, name: str, options: dict[str, Any]) -> dict[str, Any]:
        """Check a handler's options before its function is there, so that the error points at them; gives the spec's fields.

        What the operator has set for the handler is stronger than these.

        Raises:
            InvalidMessage: an option is out of its range.
        """
        changes = self._settings.of(name).changes()
        try:
            return self._check(name, {**options, **changes})
        except InvalidMessage as error:
            if changes:
                error.add_note(f"set from outside the code for {name}: {changes}")
            raise

    def tell_unused(self) -> None:
        """Tell of settings for types without a handler: a misspelt name must not be passed over in silence."""
        for place, hint in self._settings.unused(self.specs):
            logger.warning("%s is for no handler of this system; %s", place, hint)

    def _check(self, name: str, options: dict[str, Any]) -> dict[str, Any]:
        low, high = check_parallelism(options["parallelism"])
        retries = options["retries"]
        if retries is None:
            retries = self._options.retries
        if retries == math.inf:
            retries = -1
        else:
            check_whole("retries", retries, 0)
        timeout_s, lease_s = check_seconds("timeout", options["timeout"]), check_seconds("lease", options["lease"])
        check_one_of("dedup", options["dedup"], DEDUP)
        check_one_of("isolation", options["isolation"], ISOLATION)
        if options["memory_limit"] is not None:
            check_whole("memory_limit", options["memory_limit"], 1 << 20)
            if options["isolation"] != "process":
                msg = "memory_limit: only a process can be limited; add isolation='process'"
                raise InvalidMessage(msg)
        check_truth("renew", options["renew"])
        if options["renew"] and lease_s is None:
            msg = "renew: without a lease there is nothing to renew; a message is held for as long as its handler runs"
            raise InvalidMessage(msg)
        check_policy(options["dedup"], options["dedup_window"], options["key_parallelism"])
        return {
            "type": name,
            "parallelism": low,
            "parallelism_max": high,
            "timeout_s": timeout_s,
            "lease_s": lease_s,
            "renew": options["renew"],
            "retries": retries,
            "backoff": check_backoff(options["backoff"]),
            "retry_on": _exceptions("retry_on", options["retry_on"]),
            "dead_letter_on": _exceptions("dead_letter_on", options["dead_letter_on"]),
            "dedup": options["dedup"],
            "dedup_window_s": check_seconds("dedup_window", options["dedup_window"]),
            "key_parallelism": options["key_parallelism"],
            "rate_per_s": check_rate(options["rate"]),
            "memory_bytes": options["memory_limit"],
        }

    def make(
        self, handler: Any, fields: dict[str, Any], isolation: str, *, cls: type, takes: int = 2, replace: bool = False
    ) -> HandlerSpec:
        """Make a spec of a function or class and checked options; nothing is entered yet, see `enter`.

        Raises:
            InvalidMessage: the type has a handler, or this one cannot be called as one.
        """
        name = fields["type"]
        if name in self.specs and not replace:
            msg = (
                f"type: {name} has a handler already, {self.specs[name].label}; a type has one. To put this one in its place (in a "
                "notebook, say), register it with replace=True."
            )
            raise InvalidMessage(msg)
        call, is_async, has_services = adapt(handler, self._registry, takes=takes, message_type=cls)
        kind, function = ("async" if is_async else isolation), None
        if isolation == "process":
            if is_async:
                msg = (
                    f"isolation: {label_of(handler)} is a coroutine function, and a process handler runs without an event loop. "
                    "Write `def`, with asyncio.run(...) in it where it must await; or register it without isolation."
                )
                raise InvalidMessage(msg)
            if has_services:
                msg = (
                    f"isolation: {label_of(handler)} takes services, and those of the parent do not exist in a child process. Make "
                    "them in the handler, or register it without isolation."
                )
                raise InvalidMessage(msg)
            function, call = call, lambda message, context: context.process.call(message, context)
            if not _is_being_defined(handler):
                packed_handler(function, label_of(handler))
        around = around_handle(self._middleware, call, is_async=is_async)
        if around is not call and kind == "thread":
            around = around_handle(self._middleware, finishing(call), is_async=False)
        return HandlerSpec(**fields, call=around, kind=kind, function=function, label=label_of(handler))

    def check_processes(self) -> None:
        """Check that all process handlers can travel, before a start: those that were being defined when they were registered too.

        Raises:
            InvalidMessage: one cannot be pickled.
        """
        for spec in list(self.specs.values()):
            if spec.function is not None:
                packed_handler(spec.function, spec.label)

    def enter(self, spec: HandlerSpec, schedule: Schedule | None = None) -> Callable[[], None]:
        """Take a handler, and its schedule, into those of the system: the last step, after everything has been checked.

        Gives what undoes it, where the running system could not take the handler.
        """
        window_us = round((spec.dedup_window_s or 0) * 1_000_000)
        policy = (spec.dedup, window_us, spec.key_parallelism or 0)
        undo = [_put(self._drafts.policies, spec.type, policy), _put(self.specs, spec.type, spec)]
        if schedule is not None:
            undo.append(_put(self.schedules, schedule.name, schedule))

        def undo_all() -> None:
            for step in undo:
                step()

        return undo_all

    def schedule(
        self,
        when: str | float | dt.timedelta,
        *,
        name: str,
        message: Any,
        missed: str,
        zone: str | dt.tzinfo | None,
        options: dict[str, Any],
        replace: bool = False,
    ) -> Schedule:
        """Make a schedule; nothing is entered yet.

        Raises:
            InvalidMessage: the name is taken, or an option is out of its range.
        """
        check_one_of("missed", missed, MISSED)
        if name in self.schedules and not replace:
            msg = f"every: there is a schedule {name!r} already; give this one another name, or replace that one with replace=True"
            raise InvalidMessage(msg)
        after, drafts = following(when, zone), self._drafts

        def draft(due_us: int) -> Any:
            ident = f"{name}@{moment(due_us).isoformat()}"
            if message is not None:
                return drafts.draft(message, id=ident, **options)
            return drafts.renamed(drafts.draft(Tick(name, moment(due_us)), id=ident, **options), tick_type(name))

        draft(0)  # a message or option that cannot be published is told now, not at the first tick
        return Schedule(name, missed, after, draft)


def _is_being_defined(handler: Any) -> bool:
    """Tell whether a decorated function is not in its module yet: it is pickled as its name there, once it has one."""
    module, name = getattr(handler, "__module__", None), getattr(handler, "__qualname__", "<")
    return (
        module in sys.modules and module != "__main__" and "<" not in name and not hasattr(sys.modules[module], name.split(".")[0])
    )


def _put(table: dict[str, V], name: str, value: V) -> Callable[[], object]:
    """Put something under a name; gives what undoes that."""
    before = table.get(name)
    table[name] = value
    return (lambda: table.pop(name, None)) if before is None else (lambda: table.update({name: before}))


def tick_type(schedule: str) -> str:
    """Give the type name of a schedule's own messages."""
    return f"{TICK_PREFIX}{schedule}"


def check_whole(field: str, value: Any, minimum: int, maximum: int | None = None) -> int:
    """Refuse what is no whole number of at least `minimum`."""
    if type(value) is not int or value < minimum or (maximum is not None and value > maximum):
        upper = "" if maximum is None else f" and at most {maximum:,}"
        msg = f"{field}: a whole number of {minimum} or more{upper}, not {value!r}"
        raise InvalidMessage(msg)
    return value


def check_seconds(field: str, value: Any) -> float | None:
    """Refuse what is no time; None passes."""
    return seconds_or_none(field, value)


def check_parallelism(value: Any) -> tuple[int, int]:
    """Return (minimum, maximum or 0) of a number of workers, or of a pair. No workers at all are for an operator to choose."""
    if value == 0 and value is not False:
        msg = (
            "parallelism: 0 would never handle a message. Use 1 or more; to stop deliveries for a while, "
            "`system.admin.pause(Type)` or `system.admin.scale(Type, 0)`; for workers while there is work, a pair such as (0, 4)"
        )
        raise InvalidMessage(msg)
    if isinstance(value, tuple) and len(value) == 2:  # noqa: PLR2004 - a minimum and a maximum
        low = check_whole("parallelism, minimum", value[0], 0, WORKERS_MAX)
        high = check_whole("parallelism, maximum", value[1], max(low, 1), WORKERS_MAX)
        return (low, high) if high > low else (low, 0)
    return check_whole("parallelism", value, 1, WORKERS_MAX), 0


def check_rate(value: Any) -> float:
    """Give deliveries a second from a number, or from text as `100/s`, `30/m`, `1/h`; 0.0 for None."""
    if value is None:
        return 0.0
    count: Any = value
    if isinstance(value, str):
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*/\s*([smhd])\w*\s*", value)
        count = float(found[1]) / _PERIODS_S[found[2]] if found else None
    if isinstance(count, bool) or not isinstance(count, (int, float)) or not 0 < count <= 1e6:  # noqa: PLR2004
        msg = f"rate: a number a second up to a million, or text such as '100/s', '30/m', '1/h', not {value!r}"
        raise InvalidMessage(msg)
    return float(count)


def check_policy(dedup: str, window: float | None, key_parallelism: int | None) -> tuple[str, int, int]:
    """Give (policy, window in microseconds, messages of one key at once) for messages with a key."""
    window_s = check_seconds("dedup_window", window)
    if window_s and dedup == "append":
        msg = "dedup_window: keys are only labels with dedup='append', there is nothing to keep"
        raise InvalidMessage(msg)
    if key_parallelism is not None:
        check_whole("key_parallelism", key_parallelism, 1)
        if dedup != "append":
            msg = f"key_parallelism: with dedup={dedup!r} a key has one message at a time; it goes with dedup='append'"
            raise InvalidMessage(msg)
    return dedup, whole_us(window_s or 0), key_parallelism or 0


def check_backoff(value: Any) -> Backoff | Callable[[int, BaseException], float]:
    """Give a backoff: an object with `delay`, a function of (attempt, error), or a length of time, which is the same each time."""
    if isinstance(value, (int, float, dt.timedelta)) and not isinstance(value, bool):
        try:
            return Fixed(value)
        except ValueError as error:
            msg = f"backoff: {error}"
            raise InvalidMessage(msg) from error
    asked = value if callable(value) else getattr(value, "delay", None)
    if not callable(asked) or isinstance(value, type) or inspect.iscoroutinefunction(asked):
        made = f"; it is a class: make an object of it, {value.__name__}(...)" if isinstance(value, type) else ""
        msg = f"backoff: Fixed, Linear, Exponential, seconds, or a plain function of (attempt, error), not {shown(value)}{made}"
        raise InvalidMessage(msg)
    try:
        inspect.signature(asked).bind(1, 0.5)
    except TypeError as error:
        msg = f"backoff: {label_of(asked)} cannot be called with (attempt, {'error' if asked is value else 'chance'}): {error}"
        raise InvalidMessage(msg) from error
    except ValueError:
        return value  # type: ignore[no-any-return]  # some callables of C have no signature
    return value  # type: ignore[no-any-return]


def check_changes(changes: dict[str, Any]) -> dict[str, Any]:
    """Check options to be changed while the system runs; gives the spec's fields."""
    checked: dict[str, Any] = {}
    for name, value in changes.items():
        match name:
            case "timeout" | "lease":
                checked[f"{name}_s"] = check_seconds(name, value)
            case "retries":
                checked[name] = -1 if value == math.inf else check_whole(name, value, 0)
            case "rate":
                checked["rate_per_s"] = check_rate(value)
            case "renew":
                checked[name] = check_truth(name, value)
            case _:
                msg = f"{name}: cannot be changed while the system runs; timeout, lease, renew, retries and rate can"
                raise InvalidMessage(msg)
    return checked


def check_truth(field: str, value: Any) -> bool | None:
    """Refuse what is neither True nor False; None passes."""
    if value is not None and not isinstance(value, bool):
        msg = f"{field}: true or false, not {value!r}"
        raise InvalidMessage(msg)
    return value


def check_one_of(field: str, value: Any, allowed: tuple[str, ...]) -> None:
    """Refuse what is none of these."""
    if value not in allowed:
        msg = f"{field}: {', '.join(map(repr, allowed[:-1]))} or {allowed[-1]!r}, not {value!r}"
        raise InvalidMessage(msg)


def _exceptions(field: str, value: Any) -> tuple[type[BaseException], ...]:
    kinds = value if isinstance(value, (tuple, list)) else (value,)
    if not all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in kinds):
        msg = f"{field}: an exception class, or a tuple of them, not {value!r}"
        raise InvalidMessage(msg)
    return tuple(kinds)
