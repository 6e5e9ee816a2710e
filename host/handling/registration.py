"""Registration: a checked function and checked options become a `HandlerSpec`, under the name of its message type.

The options are in `handler_options`, the functions in `signatures` and `dependencies`. Workers (`perdure.actors.workers`) run the
handlers.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from perdure.actors.execution.child_process import packed_handler
from perdure.actors.workers.finishing import finishing
from perdure.actors.workers.handler_spec import HandlerSpec
from perdure.arguments.choices import check_one_of
from perdure.arguments.labels import check_label
from perdure.arguments.moments import moment
from perdure.events.errors import InvalidMessage
from perdure.events.keyword_options import keyword_options, no_such_option
from perdure.events.loggers import GuardedLogger
from perdure.events.schedules.ticks import TICK_PREFIX
from perdure.handling.declaring import Declaring
from perdure.handling.dependencies import adapt
from perdure.handling.options.handler_options import DEFAULTS, check_options, spec_fields
from perdure.handling.recurring.schedules import MISSED, Schedule, Tick, following
from perdure.handling.signatures import label_of
from perdure.middleware import around_handle

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    import svcs

    from perdure.handling.declaring import Ticks
    from perdure.middleware import Middleware
    from perdure.options import Options
    from perdure.publishing.drafts import Drafts

__all__ = ["Registration", "tick_type"]

V = TypeVar("V")

logger = GuardedLogger("perdure")

SCHEDULE_CHARS_MAX = 400
"""Of a schedule's name, which is part of each tick's id."""


class HandlerSettings(Protocol):
    """What an operator has set for handlers; `perdure.config` implements it."""

    def of(self, type_name: str) -> Mapping[str, Any]:
        """Return what is set for one type, by the names that `System.handler` has for its options."""

    def unused(self, type_names: Collection[str]) -> Iterable[tuple[str, str]]:
        """Return the places of settings for other types than these, each with a hint."""


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
        self._middleware = middleware
        self._registry = registry
        self._settings = settings
        self.specs: dict[str, HandlerSpec] = {}
        self.schedules: dict[str, Schedule] = {}

    def check(self, call: str, name: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return a handler's options, checked before its function is there, so that an error points at them.

        What the operator has set for the handler overrides them.

        Args:
            call: the name of the call that takes them, for the error.
            name: the message type's name.
            options: the options in the code.

        Raises:
            InvalidMessage: an option is out of its range.
            TypeError: there is no such option.
        """
        if unknown := options.keys() - DEFAULTS.keys():
            raise TypeError(no_such_option(call, min(unknown), keyword_options(getattr(Declaring, call))))
        changes = self._settings.of(name)
        try:
            return check_options({**options, **changes})
        except InvalidMessage as error:
            if changes:
                error.add_note(f"set from outside the code for {name}: {changes}")
            raise

    def warn_of_unused(self) -> None:
        """Log a warning for each setting of a type without a handler; its name may be misspelt."""
        for place, hint in self._settings.unused(self.specs):
            logger.warning("%s is for no handler of this system; %s", place, hint)

    def make(
        self,
        handler: Any,
        name: str,
        options: Mapping[str, Any],
        *,
        cls: type,
        takes: int = 2,
        replace: bool = False,
        batch: Mapping[str, Any] | None = None,
    ) -> HandlerSpec:
        """Return the spec of a handler, of a function or class and checked options. `enter` adds it to the system.

        Raises:
            InvalidMessage: the type has a handler already, or this one cannot be called as a handler.
        """
        if name in self.specs and not replace:
            msg = (
                f"type: {name} has a handler already, {self.specs[name].label}; a type has one. To put this one in its place (in a "
                "notebook, say), register it with replace=True."
            )
            raise InvalidMessage(msg)
        isolation = options["isolation"]
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
        fields = spec_fields(options, self._options.retries) | dict(batch or {})
        return HandlerSpec(type=name, call=around, kind=kind, function=function, label=label_of(handler), **fields)

    def check_processes(self) -> None:
        """Check before a start that all process handlers can be pickled.

        A decorated function is not in its module yet when it is registered, so it is checked here for the first time.

        Raises:
            InvalidMessage: one cannot be pickled.
        """
        for spec in list(self.specs.values()):
            if spec.function is not None:
                packed_handler(spec.function, spec.label)

    def enter(self, spec: HandlerSpec, schedule: Schedule | None = None) -> Callable[[], None]:
        """Add a handler, and its schedule, to those of the system; the last step, after all checks.

        Returns a function that undoes it, for a running system that cannot take the handler.
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

    def schedule(self, ticks: Ticks, *, name: str, message: Any, options: dict[str, Any]) -> Schedule:
        """Return a schedule; `enter` adds it to the system.

        Raises:
            InvalidMessage: the name is taken, or an option is out of its range.
        """
        check_one_of("missed", ticks.missed, MISSED)
        check_label("name", name, SCHEDULE_CHARS_MAX)
        if "id" in options:
            msg = "every: there is no option 'id': each tick's message has one of its own, of the schedule's name and the time"
            raise TypeError(msg)
        if name in self.schedules and not ticks.replace:
            msg = f"every: there is a schedule {name!r} already; give this one another name, or replace that one with replace=True"
            raise InvalidMessage(msg)
        after, drafts = following(ticks.when, ticks.zone), self._drafts

        def draft(due_us: int, make: Callable[..., Any] = drafts.draft) -> Any:
            ident = f"{name}@{moment(due_us).isoformat()}"
            if message is not None:
                return make(message, id=ident, **options)
            return drafts.renamed(make(Tick(name, moment(due_us)), id=ident, **options), tick_type(name))

        # A message or option that cannot be published raises here, not at the first tick. No middleware sees what is not published.
        draft(0, drafts.make)
        return Schedule(name, ticks.missed, after, draft)


def _is_being_defined(handler: Any) -> bool:
    """Return whether a function is still being decorated: its module, by whose name it is pickled, does not have it yet."""
    module, name = getattr(handler, "__module__", None), getattr(handler, "__qualname__", "<")
    return (
        module in sys.modules and module != "__main__" and "<" not in name and not hasattr(sys.modules[module], name.split(".")[0])
    )


def _put(table: dict[str, V], name: str, value: V) -> Callable[[], object]:
    """Put a value under a name; return a function that undoes that."""
    before = table.get(name)
    table[name] = value
    return (lambda: table.pop(name, None)) if before is None else (lambda: table.update({name: before}))


def tick_type(schedule: str) -> str:
    """Return the type name of a schedule's own messages."""
    return f"{TICK_PREFIX}{schedule}"
