"""What a host declares: `handler`, `batch_handler` and `every`, and the start and stop hooks, with all their options.

`System` enters them at once (`decorators`), `Handlers` keeps them for a System (`handlers`). Options are checked in
`handler_options`. Nothing is registered here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, TypeVar, overload

import attrs

from perdure.arguments.choices import check_whole
from perdure.events.errors import InvalidMessage
from perdure.events.keyword_options import shows
from perdure.events.publish_options import DEFAULTS as PUBLISH_DEFAULTS
from perdure.events.publish_options import ScheduledOptions
from perdure.events.seconds import checked_seconds
from perdure.handling.options.handler_options import DEFAULTS, BatchHandlerKeywords, HandlerKeywords
from perdure.handling.recurring.schedules import following
from perdure.payloads.type_names import bare

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping
    from typing import Unpack

    from perdure.actors.workers.context import Batch
    from perdure.handling.handler_typing import HandlerDecorator
    from perdure.handling.recurring.schedules import Missed, Tick

__all__ = ["Declaring", "Ticks"]

M = TypeVar("M")
K = TypeVar("K", bound="Callable[[], Any]")
BATCH_SIZE_MAX = 10_000


@attrs.frozen
class Ticks:
    """The arguments of `every` that say when; not checked yet."""

    when: str | float | dt.timedelta
    name: str | None = attrs.field(kw_only=True)
    missed: Missed = attrs.field(kw_only=True)
    zone: str | dt.tzinfo | None = attrs.field(kw_only=True)
    replace: bool = attrs.field(kw_only=True)


class Declaring(ABC):
    """The decorators, checked by type checkers, and what each of them asks of a subclass."""

    @shows(HandlerKeywords, defaults=DEFAULTS)
    def handler(
        self,
        type: type[M],
        *,
        replace: bool = False,
        **options: Unpack[HandlerKeywords],
    ) -> HandlerDecorator[M]:
        """Return a decorator that registers a handler for a message type.

        The handler is a function `(message, context)`, plain or `async def`; or a class with a method `handle(message, context)`,
        of which each message gets a new object. Coroutine functions run on one event loop. The context may be left out; further
        parameters are services, see `registry`. Before a start or while the system runs.

        Args:
            type: the message class.
            parallelism: how many run at once in each process; a pair is a minimum and a maximum between which it follows the
                backlog.
            limit: how many run at once in all processes of the folder together; None: as many as they have workers.
            timeout: seconds after which an attempt fails, and the handler sees `ctx.cancelled`. A thread is interrupted as soon as
                the interpreter can, a coroutine is cancelled, a process is killed. None: no limit.
            lease: seconds without a heartbeat after which another worker gets the message. None: as long as the handler runs.
            renew: whether the lease renews itself for as long as the handler runs, without heartbeats. Unless given, it does where
                there is no timeout.
            retries: how often a failed message is tried again; `Options.retries` unless given, `math.inf` for ever.
            backoff: the wait before each retry: `Fixed`, `Linear`, `Exponential`, seconds, or a function of (attempt, error) that
                returns seconds.
            retry_on: exceptions that are retried; if given, any other makes a dead letter at once.
            dead_letter_on: exceptions that make a dead letter at once.
            dedup: what happens when a message is published with the key of a live one: `replace`, `reject` or `append`.
            dedup_window: seconds for which a key is held after its message has completed; a publish with it raises `DuplicateKey`.
            key_parallelism: with `append`, how many messages of one key may be handled at once.
            rate: deliveries a second, or text such as `100/s`, `30/m`, `1/h`.
            isolation: `thread`, or `process`: a child process of its own for each worker.
            memory_limit: bytes that such a child may take above what it has when its handler is loaded.
            replace: whether to replace the type's handler, if it has one, from the next message on; for a notebook cell that is run
                again. A message in flight ends with the old handler.

        Raises:
            InvalidMessage: an option is out of its range, or the type has a handler.
            UnknownMessageType: the type cannot be named.
        """
        register: HandlerDecorator[M] = self._handler(type, options, replace=replace)
        return register

    @shows(BatchHandlerKeywords, defaults=DEFAULTS)
    def batch_handler(
        self,
        type: type[M],
        *,
        size: int = 100,
        wait: float | dt.timedelta = 0.0,
        replace: bool = False,
        **options: Unpack[BatchHandlerKeywords],
    ) -> HandlerDecorator[Batch[M]]:
        """Return a decorator that registers a handler of many messages at once: a function of one `Batch`, plain or `async def`.

        Each message ends on its own: after `item.fail(...)` or `item.reject(...)` as these say; all others complete, or fail if the
        handler raises.

        Args:
            type: the message class.
            size: how many messages a call takes at most, up to 10,000.
            wait: seconds for which a call that is not full waits for more messages.
            replace: as `handler`.
            options: those of `handler`, except `isolation` and `memory_limit`.

        Raises:
            InvalidMessage, UnknownMessageType: as `handler`.
        """
        if options.keys() & {"isolation", "memory_limit"}:
            msg = "isolation, memory_limit: batches are handled in threads, or on the event loop"
            raise InvalidMessage(msg)
        batch = {"batch_size": check_whole("size", size, 1, BATCH_SIZE_MAX), "batch_wait_s": checked_seconds("wait", wait)}
        register: HandlerDecorator[Batch[M]] = self._batch_handler(type, options, batch, replace=replace)
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
        """Publish at regular times; each tick is published once, also across crashes.

        As a decorator, it registers a handler of `(tick, context)`. With a `message`, it is called directly, and publishes that.

        Args:
            when: a cron expression (`"*/5 * * * *"`), or the time between two ticks (seconds or timedelta).
            message: what to publish; a `Tick` for the decorated function unless given.
            name: the name under which ticks are recorded; that of the function or of the message type unless given.
            missed: which ticks to make up for that came due while nothing ran: the `last`, `all` (at most 1,000), or `none`.
            zone: time zone of the cron expression, as a name ("Europe/Berlin") or a tzinfo; the machine's own unless given.
            replace: whether to replace the schedule of that name and its handler, if there are such.
            options: with a message those of `publish`, else those of `handler`.

        Raises:
            InvalidMessage: an option is out of its range, the name is taken, or no such time zone is known here.
        """
        if callable(when):
            raise InvalidMessage(f"every: {bare('every', 'SECONDS')}")
        following(when, zone)
        ticks = Ticks(when, name=name, missed=missed, zone=zone, replace=replace)
        if message is not None:
            self._every_message(ticks, message, options)
            return None
        register: HandlerDecorator[Tick] = self._every_tick(ticks, options)
        return register

    def on_start(self, hook: K) -> K:
        """Register a function that runs at each start, before the first delivery; to be used as a decorator.

        It takes no parameters, and may be `async def`. Either kind runs on the event loop of the coroutine handlers, so that it can
        make their clients and pools. All handlers see the context variables that it sets. If it raises, the start fails with that
        exception, and the folder is free.

        Raises:
            InvalidMessage: it takes parameters, or the system runs already.
        """
        self._on_start(hook)
        return hook

    def on_stop(self, hook: K) -> K:
        """Register a function that runs at each stop, after the last handler has ended; to be used as a decorator.

        As `on_start`; the last hook registered runs first. Stop hooks have what the handlers left of the grace period, and at least
        a second. If one raises, the exception is logged, and the stop goes on.

        Raises:
            InvalidMessage: it takes parameters.
        """
        self._on_stop(hook)
        return hook

    @abstractmethod
    def _handler(self, cls: type, options: Mapping[str, Any], *, replace: bool) -> Any:
        """Return the decorator of `handler`."""

    @abstractmethod
    def _batch_handler(self, cls: type, options: Mapping[str, Any], batch: Mapping[str, Any], *, replace: bool) -> Any:
        """Return the decorator of `batch_handler`; `batch` are the checked fields of the `HandlerSpec` for `size` and `wait`."""

    @abstractmethod
    def _every_message(self, ticks: Ticks, message: Any, options: dict[str, Any]) -> None:
        """Register a message that is published at regular times."""

    @abstractmethod
    def _every_tick(self, ticks: Ticks, options: Mapping[str, Any]) -> Any:
        """Return the decorator of `every`."""

    @abstractmethod
    def _on_start(self, hook: Callable[[], Any]) -> None:
        """Add a start hook."""

    @abstractmethod
    def _on_stop(self, hook: Callable[[], Any]) -> None:
        """Add a stop hook."""
