"""Registering: which function handles which message type, alone or in batches, and what is published at regular times.

Options are checked and put together in `registration`; who runs the handlers is the actors' business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

from perdure.events.errors import InvalidMessage
from perdure.events.seconds import checked_seconds
from perdure.handling.registration import DEFAULT_BACKOFF, Registration, check_whole, tick_type
from perdure.handling.schedules import Schedule, Tick
from perdure.handling.signatures import label_of
from perdure.runtime.current_run import Running

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

    from perdure.actors.workers.handler_spec import HandlerSpec
    from perdure.events.handlers.backoff import Backoff
    from perdure.handling.hooks import Hooks
    from perdure.publishing.drafts import Drafts

__all__ = ["Handling"]

H = TypeVar("H", bound="Callable[..., Any]")
K = TypeVar("K", bound="Callable[[], Any]")


class Handling(Running):
    """The part of `System` that registers handlers and schedules, before a start or while it runs."""

    drafts: Drafts
    _registered: Registration
    _hooks: Hooks

    def handler(
        self,
        type: type,  # noqa: A002 - the front door's name
        *,
        parallelism: int | tuple[int, int] = 1,
        timeout: float | None = None,
        lease: float | None = None,
        renew: bool | None = None,
        retries: float | None = None,
        backoff: Backoff | Callable[[int, BaseException], float] | float = DEFAULT_BACKOFF,
        retry_on: type[BaseException] | tuple[type[BaseException], ...] = (),
        dead_letter_on: type[BaseException] | tuple[type[BaseException], ...] = (),
        dedup: str = "replace",
        dedup_window: float | None = None,
        key_parallelism: int | None = None,
        rate: float | str | None = None,
        isolation: str = "thread",
        memory_limit: int | None = None,
        replace: bool = False,
    ) -> Callable[[H], H]:
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
        options = dict(locals())
        fields = self._registered.check(self.drafts.handled_class(type), options)

        def register(handler: H) -> H:
            self._enter(self._registered.make(handler, fields, isolation, cls=type, replace=replace))
            return handler

        return register

    def batch_handler(
        self,
        type: type,  # noqa: A002 - the front door's name
        *,
        size: int = 100,
        wait: float = 0.0,
        **options: Any,
    ) -> Callable[[H], H]:
        """Register a handler that takes many messages in one call: a function of one `Batch`, plain or `async def`.

        Each message ends for itself: those the handler called `item.fail(...)` or `item.reject(...)` on as it said, all others
        complete; if the handler raises, they fail.

        Args:
            type: the message class.
            size: how many messages a call takes at most.
            wait: seconds for which a call that is not full waits for more.
            options: those of `handler`, but for `isolation` and `memory_limit`.

        Raises:
            InvalidMessage, UnknownMessageType: as `handler`.
        """
        fields = self._registered.check(self.drafts.handled_class(type), _with_defaults("batch_handler", options))
        if options.keys() & {"isolation", "memory_limit"}:
            msg = "isolation, memory_limit: batches are handled in threads, or on the event loop"
            raise InvalidMessage(msg)
        fields["batch_size"] = check_whole("size", size, 1, 10_000)
        fields["batch_wait_s"] = checked_seconds("wait", wait)
        replace = bool(options.get("replace"))

        def register(handler: H) -> H:
            self._enter(self._registered.make(handler, fields, "thread", cls=type, takes=1, replace=replace))
            return handler

        return register

    @overload
    def every(
        self,
        when: str | float | dt.timedelta,
        *,
        message: None = None,
        name: str | None = None,
        missed: str = "last",
        replace: bool = False,
        zone: str | dt.tzinfo | None = None,
        **options: Any,
    ) -> Callable[[H], H]: ...

    @overload
    def every(
        self,
        when: str | float | dt.timedelta,
        *,
        message: Any,
        name: str | None = None,
        missed: str = "last",
        replace: bool = False,
        zone: str | dt.tzinfo | None = None,
        **options: Any,
    ) -> None: ...

    def every(
        self,
        when: str | float | dt.timedelta,
        *,
        message: Any = None,
        name: str | None = None,
        missed: str = "last",
        replace: bool = False,
        zone: str | dt.tzinfo | None = None,
        **options: Any,
    ) -> Callable[[H], H] | None:
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

        def register(handler: H) -> H:
            label = name or (getattr(handler, "__qualname__", None) and f"{handler.__module__}.{handler.__qualname__}")
            if not label:
                msg = f"every: {label_of(handler)} has no name of its own; give its ticks one: every(..., name=...)"
                raise InvalidMessage(msg)
            defaults = _with_defaults("every", options)
            self.drafts.names.name(Tick)
            fields = self._registered.check(tick_type(label), defaults)
            schedule = self._registered.schedule(
                when, name=label, message=None, missed=missed, zone=zone, options={}, replace=replace
            )
            spec = self._registered.make(handler, fields, defaults["isolation"], cls=Tick, replace=replace)
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


def _with_defaults(call: str, options: dict[str, Any]) -> dict[str, Any]:
    """Give a handler's options with those that were not given; an unknown one is an error, as Python's own would be."""
    defaults: dict[str, Any] = Handling.handler.__kwdefaults__ or {}
    if unknown := options.keys() - defaults.keys():
        msg = f"{call}: unknown options: {', '.join(sorted(unknown))}"
        raise TypeError(msg)
    return {**defaults, **options}
