"""Registering: which function handles which message type, alone or in batches, and what is published at regular times.

Options are checked in `handler_options`, and put together with the function in `registration`. Workers run the handlers
(`perdure.actors.workers`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

from perdure.arguments.choices import check_whole
from perdure.events.errors import InvalidMessage
from perdure.events.keyword_options import shows
from perdure.events.publish_options import DEFAULTS as PUBLISH_DEFAULTS
from perdure.events.publish_options import ScheduledOptions
from perdure.events.seconds import checked_seconds
from perdure.handling.handler_options import DEFAULTS, BatchHandlerKeywords, HandlerKeywords
from perdure.handling.registration import Registration, tick_type
from perdure.handling.schedules import Schedule, Tick
from perdure.handling.signatures import label_of
from perdure.runtime.current_run import Running

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable
    from typing import Unpack

    from perdure.actors.workers.context import Batch
    from perdure.actors.workers.handler_spec import HandlerSpec
    from perdure.handling.handler_types import HandlerDecorator
    from perdure.handling.hooks import Hooks
    from perdure.handling.schedules import Missed
    from perdure.publishing.drafts import Drafts

__all__ = ["Handling"]

M = TypeVar("M")
K = TypeVar("K", bound="Callable[[], Any]")
BATCH_SIZE_MAX = 10_000


class Handling(Running):
    """The part of `System` that registers handlers and schedules, before a start or while it runs."""

    drafts: Drafts
    _registered: Registration
    _hooks: Hooks

    @shows(HandlerKeywords, defaults=DEFAULTS)
    def handler(
        self,
        type: type[M],  # noqa: A002 - the front door's name
        *,
        replace: bool = False,
        **options: Unpack[HandlerKeywords],
    ) -> HandlerDecorator[M]:
        """Register a handler for a message type; to be used as a decorator.

        The handler is a function `(message, context)`, plain or `async def` (those run on one event loop); or a class with a
        method `handle(message, context)`, made anew for each message. Further parameters are services, see `registry`.

        Args:
            type: the message class.
            parallelism: how many run at once; a pair is a minimum and a maximum between which it follows the backlog.
            timeout: seconds after which an attempt has failed; the handler sees `ctx.cancelled`. A thread is interrupted as
                soon as the interpreter can, a coroutine is cancelled, a process is killed. None: no limit.
            lease: seconds without a heartbeat after which the message is given to another. None: as long as it runs.
            renew: renew that lease by itself for as long as the handler runs, without heartbeats. Unless said, where there is no
                timeout: nobody else would end a handler that is alive.
            retries: how often a failed message is tried again; `Options.retries` unless given, `math.inf` for ever.
            backoff: how long to wait before each retry: `Fixed`, `Linear`, `Exponential`, seconds, or a function of (attempt,
                error) that gives seconds.
            retry_on: if given, any other exception makes a dead letter at once.
            dead_letter_on: exceptions that make a dead letter at once.
            dedup: what happens when a message with the key of a live one is published: `replace`, `reject` or `append`.
            dedup_window: seconds for which a key is held after its message has completed; publishing it raises `DuplicateKey`.
            key_parallelism: with `append`, how many messages of one key may be handled at once.
            rate: deliveries a second, or text such as `100/s`, `30/m`, `1/h`.
            isolation: `thread`, or `process`: a child process of its own for each worker.
            memory_limit: bytes that such a child may take above what it has when its handler is loaded.
            replace: take the place of the type's handler, if it has one, from the next message on: in a notebook, where a cell is
                run again. A message that is being handled ends with the old one.

        Raises:
            InvalidMessage: an option is out of its range, or the type has a handler.
            UnknownMessageType: the type cannot be named.
        """
        name = self.drafts.handled_class(type)
        checked = self._registered.check("handler", name, options)

        def register(handler: Any) -> Any:
            self._enter(self._registered.make(handler, name, checked, cls=type, replace=replace))
            return handler

        return register

    @shows(BatchHandlerKeywords, defaults=DEFAULTS)
    def batch_handler(
        self,
        type: type[M],  # noqa: A002 - the front door's name
        *,
        size: int = 100,
        wait: float | dt.timedelta = 0.0,
        replace: bool = False,
        **options: Unpack[BatchHandlerKeywords],
    ) -> HandlerDecorator[Batch[M]]:
        """Register a handler that takes many messages in one call: a function of one `Batch`, plain or `async def`.

        Each message ends for itself: those the handler called `item.fail(...)` or `item.reject(...)` on as it said, all others
        complete; if the handler raises, they fail.

        Args:
            type: the message class.
            size: how many messages a call takes at most.
            wait: seconds for which a call that is not full waits for more.
            replace: as `handler`.
            options: those of `handler`, but for `isolation` and `memory_limit`.

        Raises:
            InvalidMessage, UnknownMessageType: as `handler`.
        """
        name = self.drafts.handled_class(type)
        checked = self._registered.check("batch_handler", name, options)
        if options.keys() & {"isolation", "memory_limit"}:
            msg = "isolation, memory_limit: batches are handled in threads, or on the event loop"
            raise InvalidMessage(msg)
        batch = {"batch_size": check_whole("size", size, 1, BATCH_SIZE_MAX), "batch_wait_s": checked_seconds("wait", wait)}

        def register(handler: Any) -> Any:
            self._enter(self._registered.make(handler, name, checked, cls=type, takes=1, replace=replace, batch=batch))
            return handler

        return register

    @overload
    def every(
        self,
        when: str | float | dt.timedelta,
        *,
        message: None = None,
        name: str | None = None,
        missed: Missed = "last",
        replace: bool = False,
        zone: str | dt.tzinfo | None = None,
        **options: Unpack[HandlerKeywords],
    ) -> HandlerDecorator[Tick]: ...

    @overload
    def every(
        self,
        when: str | float | dt.timedelta,
        *,
        message: Any,
        name: str | None = None,
        missed: Missed = "last",
        replace: bool = False,
        zone: str | dt.tzinfo | None = None,
        **options: Unpack[ScheduledOptions],
    ) -> None: ...

    @shows(HandlerKeywords, ScheduledOptions, defaults=DEFAULTS | PUBLISH_DEFAULTS)
    def every(
        self,
        when: str | float | dt.timedelta,
        *,
        message: Any = None,
        name: str | None = None,
        missed: Missed = "last",
        replace: bool = False,
        zone: str | dt.tzinfo | None = None,
        **options: Any,
    ) -> HandlerDecorator[Tick] | None:
        """Publish at regular times, each time once, whatever dies in between.

        As a decorator it registers a handler of `(tick, context)`; with a `message` it is called by itself, and publishes that.

        Args:
            when: a cron expression (`"*/5 * * * *"`), or the time between two ticks (seconds or timedelta).
            message: what to publish; a `Tick` for the decorated function unless given.
            name: what its ticks are recorded under; the function's or the message type's name unless given.
            missed: of ticks during which nothing ran, make up for the `last`, for `all` (at most 1,000) or for `none`.
            zone: time zone of the cron expression, as a name ("Europe/Berlin") or a tzinfo; the machine's own unless given.
            replace: take the place of the schedule of that name, and of its handler, if there are such.
            options: those of `publish` where there is a message, else those of `handler`.

        Raises:
            InvalidMessage: an option is out of its range, the name is taken, or no such time zone is known here.
        """
        if message is not None:
            name = name or self.drafts.names.name(type(message))
            made = self._registered.schedule(
                when, name=name, message=message, missed=missed, zone=zone, options=options, replace=replace
            )
            self._registered.schedules[made.name] = made
            if self._engine is not None:
                self._engine.add_schedule(made)
            return None

        def register(handler: Any) -> Any:
            label = name or (getattr(handler, "__qualname__", None) and f"{handler.__module__}.{handler.__qualname__}")
            if not label:
                msg = f"every: {label_of(handler)} has no name of its own; give its ticks one: every(..., name=...)"
                raise InvalidMessage(msg)
            self.drafts.names.name(Tick)
            checked = self._registered.check("every", tick_type(label), options)
            schedule = self._registered.schedule(
                when, name=label, message=None, missed=missed, zone=zone, options={}, replace=replace
            )
            spec = self._registered.make(handler, tick_type(label), checked, cls=Tick, replace=replace)
            self.drafts.names.add(tick_type(label), Tick)
            self._enter(spec, schedule)
            return handler

        return register

    def on_start(self, hook: K) -> K:
        """Register a function that runs at each start, before the first delivery; to be used as a decorator.

        It takes no parameters, and may be `async def`. Either kind runs on the event loop that coroutine handlers run on, so that
        clients and pools can be made there; context variables that it sets are seen by all handlers. If it raises, the start fails
        with that, and the folder is free.

        Raises:
            InvalidMessage: it takes parameters, or the system runs already.
        """
        if self._engine is not None:
            msg = f"hook: {label_of(hook)} is for a start, and the system runs already; register it before"
            raise InvalidMessage(msg)
        self._hooks.add(self._hooks.start, hook)
        return hook

    def on_stop(self, hook: K) -> K:
        """Register a function that runs at each stop, after the last handler has ended; to be used as a decorator.

        As `on_start`; the last one registered runs first. They have as long as the handlers had left of their grace, and at least
        a second. One that raises is logged, and the stop goes on.

        Raises:
            InvalidMessage: it takes parameters.
        """
        self._hooks.add(self._hooks.stop, hook)
        return hook

    def _enter(self, spec: HandlerSpec, schedule: Schedule | None = None) -> None:
        """Take a handler that has been checked; one that the running system cannot take leaves nothing behind."""
        undo = self._registered.enter(spec, schedule)
        try:
            self._add(spec, schedule)
        except BaseException:
            undo()
            raise

    def _add(self, spec: HandlerSpec, schedule: Schedule | None = None) -> None:
        if self._engine is not None:
            self._engine.add(spec, schedule)
