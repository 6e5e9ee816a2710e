"""The front door: one `System` owns one data folder, starts and stops the actors, and takes what the host publishes.

It decides nothing about messages; it checks what comes in (`drafts`, `registration`), asks the actors, and waits for their word.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from typing import TYPE_CHECKING, Any, TypeVar, overload

from perdure.actors.clock import Clock, SystemClock
from perdure.actors.context import check_lease, plain_text
from perdure.actors.messages import WhenIdle
from perdure.actors.world import Threads
from perdure.admin import Actors, Admin
from perdure.audit import Audit
from perdure.config import load, load_handlers
from perdure.consumer import Delivery
from perdure.dead_letters import DeadLetters
from perdure.drafts import Drafts
from perdure.engine import ASK_TIMEOUT_S, Engine
from perdure.events.commands import AwaitResult, Cancel, CheckOut, Draft, DraftRun, Fail, Publish
from perdure.events.errors import (
    Cancelled,
    HandlerFailed,
    InvalidMessage,
    NotRunning,
    PayloadTooLarge,
    PerdureError,
    PublishTimeout,
)
from perdure.future import PublishFuture
from perdure.ids import Ids
from perdure.payloads import Codec, MessagePack, TypeNames
from perdure.registration import DEFAULT_BACKOFF, Registration, check_seconds, check_whole, tick_type
from perdure.schedules import Tick
from perdure.store import EventStore, History, SegmentStore

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterable, Sequence
    from concurrent.futures import Future
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    import svcs

    from perdure.actors.desk import Reply
    from perdure.actors.handler import HandlerSpec
    from perdure.actors.relay import Source
    from perdure.actors.stage import Stage
    from perdure.actors.world import World
    from perdure.events.backoff import Backoff
    from perdure.events.vocabulary import ResultKept
    from perdure.middleware import Middleware
    from perdure.options import Options
    from perdure.recovery import Recovery

__all__ = ["System"]

logger = logging.getLogger("perdure")

H = TypeVar("H", bound="Callable[..., Any]")
SLACK_S = 5.0


class System:
    """An embedded, durable message queue in one folder.

    Args:
        folder: where the log and its snapshots are kept; made if it is not there. One process at a time owns it.
        options: settings; see `Options`. `perdure.toml` and the environment are stronger, see `perdure.config`.
        store: another `EventStore` instead of a folder, for example `MemoryStore()`.
        codec: how objects become payloads; `MessagePack()` unless given.
        clock: where time comes from; a `ManualClock` lets a test decide.
        seed: seed of all chance (jitter, ids); random unless given.
        middleware: parts round every publish and handler call, outermost first; see `Middleware`.
        registry: a `svcs.Registry` that handlers get their services from.
        world: what the actors run on; threads unless given. For `perdure.chaos`.

    All methods may be called in any thread unless they say otherwise.
    """

    def __init__(
        self,
        folder: str | Path | None = None,
        *,
        options: Options | None = None,
        store: EventStore | None = None,
        codec: Codec | None = None,
        clock: Clock | None = None,
        seed: int | None = None,
        middleware: Sequence[Middleware] = (),
        registry: svcs.Registry | None = None,
        world: World | None = None,
    ) -> None:
        if (folder is None) == (store is None):
            msg = "System needs a folder, or a store instead of one"
            raise TypeError(msg)
        self.options = load(options)
        self.clock: Clock = clock or SystemClock()
        self._world: World = world or Threads()
        self._chance = random.Random(seed)  # noqa: S311 - jitter and ids, no secrets
        ids = Ids(self.clock, self._chance)
        self.drafts = Drafts(TypeNames(), codec or MessagePack(), self.clock, ids, self.options, middleware)
        self._store = store or self._folder_store(folder)
        self._registered = Registration(self.drafts, self.options, middleware, registry, load_handlers())
        self._engine: Engine | None = None
        self._lifecycle = threading.Lock()
        self._why_not_running = "it was not started; use `with system:` or call `start()`"
        self.dead_letters = DeadLetters(self)
        self.admin = Admin(self)
        self.actors = Actors(self)
        self.audit = Audit(store=self._store)
        self.recovery: Recovery | None = None
        """What the last start did to recover; None before the first."""

    def _folder_store(self, folder: str | Path | None) -> EventStore:
        if folder is None:
            msg = "System needs a folder, or a store instead of one"
            raise TypeError(msg)
        return SegmentStore(
            folder,
            segment_bytes=self.options.segment_bytes,
            snapshots_kept=self.options.snapshots_kept,
            history=History(self.options.history, self.options.history_folder),
            now_us=self.clock.now_us,
        )

    # --- handlers --------------------------------------------------------------------------------------------------------

    def handler(
        self,
        type: type,  # noqa: A002 - the front door's name
        *,
        parallelism: int | tuple[int, int] = 1,
        timeout: float | None = None,
        lease: float | None = None,
        renew: bool = False,
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
            renew: renew the lease of a handler that runs by itself, without heartbeats.
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

        Raises:
            InvalidMessage: an option is out of its range.
            UnknownMessageType: the type cannot be named.
        """
        options = dict(locals())
        fields = self._registered.check(self.drafts.names.name(type), options)

        def register(handler: H) -> H:
            self._add(self._registered.add(handler, fields, isolation))
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
        fields = self._registered.check(self.drafts.names.name(type), _with_defaults("batch_handler", options))
        if options.keys() & {"isolation", "memory_limit"}:
            msg = "isolation, memory_limit: batches are handled in threads, or on the event loop"
            raise InvalidMessage(msg)
        fields["batch_size"] = check_whole("size", size, 1, 10_000)
        fields["batch_wait_s"] = (check_seconds("wait", wait) if wait else 0.0) or 0.0

        def register(handler: H) -> H:
            self._add(self._registered.add(handler, fields, "thread", takes=1))
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
        zone: dt.tzinfo | None = None,
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
        zone: dt.tzinfo | None = None,
        **options: Any,
    ) -> None: ...

    def every(
        self,
        when: str | float | dt.timedelta,
        *,
        message: Any = None,
        name: str | None = None,
        missed: str = "last",
        zone: dt.tzinfo | None = None,
        **options: Any,
    ) -> Callable[[H], H] | None:
        """Publish at regular times, each time once, whatever dies in between.

        As a decorator it registers a handler of `(tick, context)`; with a `message` it is called by itself, and publishes that.

        Args:
            when: a cron expression (`"*/5 * * * *"`), or the time between two ticks (seconds or timedelta).
            message: what to publish; a `Tick` for the decorated function unless given.
            name: what its ticks are recorded under; the function's or the message type's name unless given.
            missed: of ticks during which nothing ran, make up for the `last`, for `all` (at most 1,000) or for `none`.
            zone: time zone of the cron expression; the machine's own unless given.
            options: those of `publish` where there is a message, else those of `handler`.

        Raises:
            InvalidMessage: an option is out of its range, or the name is taken.
        """
        if message is not None:
            name = name or self.drafts.names.name(type(message))
            made = self._registered.schedule(when, name=name, message=message, missed=missed, zone=zone, options=options)
            if self._engine is not None:
                self._engine.add_schedule(made)
            return None

        def register(handler: H) -> H:
            label = name or f"{handler.__module__}.{handler.__qualname__}"
            defaults = _with_defaults("every", options)
            self.drafts.names.name(Tick)
            self.drafts.names.add(tick_type(label), Tick)
            fields = self._registered.check(tick_type(label), defaults)
            schedule = self._registered.schedule(when, name=label, message=None, missed=missed, zone=zone, options={})
            spec = self._registered.add(handler, fields, defaults["isolation"])
            if self._engine is not None:
                self._engine.add(spec, schedule)
            return handler

        return register

    def _add(self, spec: HandlerSpec) -> None:
        if self._engine is not None:
            self._engine.add(spec)

    # --- life ------------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Recover the folder and start the actors; returns when the handlers are at work.

        Raises:
            StoreLocked: another live process owns the folder.
            StoreCorrupt: committed history is damaged; nothing was changed.
            StoreUnavailable: the folder cannot be read or written, or a newer version wrote it.
            PerdureError: it is running already.
        """
        with self._lifecycle:
            if self._engine is not None:
                msg = "the system is running already"
                raise PerdureError(msg)
            self._registered.tell_unused()
            opened = self._store.open()
            try:
                engine = Engine(self._store, self.clock, self._chance, self.drafts, self.options, self._world)
            except BaseException:
                self._store.abandon()
                raise
            self._engine = engine
            try:
                self.recovery = engine.start(opened, self._registered.specs, self._registered.schedules)
            except BaseException:
                self._engine = None
                engine.dismiss(self._not_running())
                raise

    def stop(self, grace: float | None = None) -> None:
        """Stop in good order.

        Handlers in flight get `grace` seconds (`Options.grace_s` unless given), then their messages go back, not counted;
        then a snapshot is taken. Stopping what does not run does nothing.
        """
        with self._lifecycle:
            engine = self._engine
            if engine is None:
                return
            self._why_not_running = "it was stopped; start it again to publish"
            try:
                engine.stop(self.options.grace_s if grace is None else grace, self._not_running())
            finally:
                self._engine = None

    def __enter__(self) -> Self:
        """Start; see `start`."""
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop; see `stop`."""
        self.stop()

    async def __aenter__(self) -> Self:
        """Start without blocking the event loop; see `start`."""
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop without blocking the event loop; see `stop`."""
        await asyncio.to_thread(self.stop)

    @property
    def running(self) -> bool:
        """Whether it takes messages."""
        engine = self._engine
        return engine is not None and not engine.stage.closing and engine.stage.failed is None

    @property
    def stage(self) -> Stage:
        """The running actors' shared ground; for the other parts of the front door, and for chaos.

        Raises:
            NotRunning: there are none.
        """
        engine = self._engine
        if engine is None:
            raise self._not_running()
        return engine.stage

    @property
    def _run(self) -> Engine:
        engine = self._engine
        if engine is None:
            raise self._not_running()
        return engine

    def _not_running(self) -> NotRunning:
        return NotRunning(f"the system takes no messages: {self._why_not_running}")

    def ask(self, actor: str, command: Any, *, timeout_s: float = ASK_TIMEOUT_S) -> Any:
        """Ask an actor and wait for its answer; see `Engine.ask`. For the parts of the front door."""
        return self._run.ask(actor, command, timeout_s=timeout_s)

    # --- publishing ------------------------------------------------------------------------------------------------------

    def publish(self, message: Any, **options: Any) -> str:
        """Publish one message; returns its id once it is on disk (to the durability in `Options.durability`).

        Keyword options: `key` (deduplication), `correlation_id`, `id` (makes publishing idempotent), `delay` (seconds) or `at`
        (datetime or seconds since the epoch), `priority` (higher first), `ttl` (seconds), `group` (strict order, one in flight),
        `headers` (strings), `dedup` and `dedup_window` (as `handler`, for this message), `debounce` (seconds: of a burst with one
        key only the last is handled), `keep_result` (seconds for which what the handler returns is kept, see `result`).

        Raises:
            NotRunning: before start or after stop; nothing was published.
            InvalidMessage, PayloadTooLarge, UnknownMessageType: names the field; nothing was published.
            DuplicateKey: the key is held and its policy is `reject`; nothing was published.
            QueueFull: the backlog stayed at its bound; nothing was published.
            StoreUnavailable: the disk does not take it; nothing was published.
            PublishTimeout: no answer in time; it may have been published, and publishing the same `id` again settles it.
        """
        ident, publish = self._command(message, options)
        self._publish(publish)
        return ident

    def publish_many(self, messages: Iterable[Any], **options: Any) -> list[str]:
        """Publish messages in one atomic commit, all or none; gives their ids in order. Options apply to each.

        Raises:
            As `publish`.
        """
        batch = list(messages)
        if options.get("id") is not None and len(batch) > 1:
            msg = "id: one id cannot name several messages; publish them one by one"
            raise InvalidMessage(msg)
        if options or not batch:
            drafts: Sequence[Draft] | DraftRun = [self._draft(message, options) for message in batch]
        else:
            self._check_running()
            drafts = self.drafts.plain(batch)
        size = sum(map(len, drafts.payloads)) if isinstance(drafts, DraftRun) else sum(len(draft.payload) for draft in drafts)
        if len(drafts) > self.options.batch_max or size > self.options.batch_bytes_max:
            msg = (
                f"messages: {len(drafts):,} of {size:,} bytes are more than one commit takes ({self.options.batch_max:,} "
                f"messages, {self.options.batch_bytes_max:,} bytes). Publish them in several calls."
            )
            raise PayloadTooLarge(msg)
        if isinstance(drafts, DraftRun):
            self._publish(Publish(drafts, fresh=True))
            return list(drafts.ids)
        if drafts:
            self._publish(Publish(drafts))
        return [draft.id for draft in drafts]

    def publish_drafts(self, drafts: list[Draft]) -> None:
        """Publish what was checked and encoded before, in one commit; for the outbox.

        Raises:
            As `publish`.
        """
        self._check_running()
        self._publish(Publish(drafts))

    def relay(self, source: Source) -> None:
        """Have an outbox relayed for as long as this run lasts; for `OutboxRelay`.

        Raises:
            NotRunning: the system does not run.
        """
        self._check_running()
        self._run.add_outbox(source)

    def submit(self, message: Any, **options: Any) -> Future[str]:
        """Publish without waiting: the future gives the id once it is on disk, or raises what `publish` would.

        Waits while `Options.pipeline_max` publishes are under way. The future's callbacks run in a thread of the system, and
        must be quick. Cancelling it does not take the message back.

        Raises:
            NotRunning, InvalidMessage and its kind: as `publish`, at once.
        """
        ident, publish = self._command(message, options)
        future = PublishFuture(ident)
        desk = self.stage.desk
        if len(desk.outstanding) >= self.options.pipeline_max:
            desk.wait_for_room(self.options.pipeline_max, self.options.publish_timeout_s)
        desk.send("queue", publish, future)
        return future

    async def apublish(self, message: Any, **options: Any) -> str:
        """Publish from a coroutine; does not block the event loop.

        Raises:
            As `publish`. A cancelled await may have published.
        """
        desk = self.stage.desk
        if len(desk.outstanding) >= self.options.pipeline_max:
            loop = asyncio.get_running_loop()
            return await asyncio.wrap_future(await loop.run_in_executor(None, lambda: self.submit(message, **options)))
        return await asyncio.wrap_future(self.submit(message, **options))

    def _check_running(self) -> None:
        engine = self._engine
        if engine is None or engine.stage.closing:
            raise self._not_running()

    def _command(self, message: Any, options: dict[str, Any]) -> tuple[str, Publish]:
        """Make the command that publishes one message; gives its id too."""
        if options:
            draft = self._draft(message, options)
            return draft.id, Publish([draft])
        self._check_running()
        drafts = self.drafts.one(message)
        if isinstance(drafts, DraftRun):
            return drafts.ids[0], Publish(drafts, fresh=True)
        return drafts[0].id, Publish(drafts)

    def _draft(self, message: Any, options: dict[str, Any]) -> Draft:
        self._check_running()
        try:
            return self.drafts.draft(message, **options)
        except TypeError as error:
            if "unexpected keyword argument" in str(error):
                msg = f"publish: {str(error).partition('got an ')[2]}"
                raise TypeError(msg) from None
            raise

    def _send(self, publish: Publish, reply: Reply) -> Any:
        return self.stage.desk.send("queue", publish, reply)

    def _publish(self, publish: Publish) -> None:
        answer = self.stage.world.answer()
        request = self._send(publish, answer)
        try:
            answer.wait(self.options.publish_timeout_s + SLACK_S)
        except PublishTimeout:
            raise  # an answer too: nobody is left who could say more
        except TimeoutError:
            self.stage.desk.forget(request)
            ids = tuple(draft.id for draft in publish.drafts)
            msg = (
                f"no answer within {self.options.publish_timeout_s + SLACK_S:g} s: {len(ids)} message(s) may or may not be "
                f"published. Publish again with the same id to settle it (the first is {ids[0]}); see `.ids`."
            )
            raise PublishTimeout(msg, ids) from None

    async def asubmit(self, message: Any, **options: Any) -> asyncio.Future[str]:
        """Publish without waiting, from a coroutine; awaiting the future gives the id. Does not block the event loop.

        Raises:
            As `submit`.
        """
        desk = self.stage.desk
        if len(desk.outstanding) >= self.options.pipeline_max:
            return asyncio.wrap_future(await asyncio.to_thread(self.submit, message, **options))
        return asyncio.wrap_future(self.submit(message, **options))

    # --- results and cancelling ------------------------------------------------------------------------------------------

    def call(self, message: Any, *, timeout: float | None = None, **options: Any) -> Any:
        """Publish a message and wait for what its handler returns; raises what the handler raised when it failed for good.

        Raises:
            HandlerFailed: as `result`.
            TimeoutError: no result within `timeout` seconds; the message is handled all the same.
            NotRunning, InvalidMessage and its kind: as `publish`.
        """
        options.setdefault("keep_result", self.options.result_kept_s)
        return self.result(self.publish(message, **options), timeout=timeout)

    async def acall(self, message: Any, *, timeout: float | None = None, **options: Any) -> Any:  # noqa: ASYNC109 - as `call`
        """As `call`, from a coroutine. A cancelled await leaves the message to its handler."""
        options.setdefault("keep_result", self.options.result_kept_s)
        ident = await self.apublish(message, **options)
        reply: PublishFuture[ResultKept] = PublishFuture()
        request = self.stage.desk.send("queue", AwaitResult(ident), reply)
        try:
            kept = await asyncio.wait_for(asyncio.wrap_future(reply), timeout)
        except (TimeoutError, asyncio.CancelledError):
            self.stage.desk.forget(request)
            raise
        return self._result_of(kept)

    def result(self, id: str, *, timeout: float | None = None) -> Any:  # noqa: A002 - the front door's name
        """Give what the handler of a message returned that was published with `keep_result`; waits until it has ended.

        Raises:
            HandlerFailed: it ended without a result. In the process that ran the handler, its own exception is raised instead.
            Cancelled: it was cancelled.
            UnknownMessage: no result is kept for that id.
            TimeoutError: it has not ended within `timeout` seconds.
        """
        desk = self.stage.desk
        answer = self.stage.world.answer()
        request = desk.send("queue", AwaitResult(id), answer)
        try:
            kept = answer.wait(-1 if timeout is None else timeout)
        except TimeoutError:
            desk.forget(request)
            msg = f"message {id} has not ended within {timeout:g} s; it is still to be handled, and `result` can be asked again"
            raise TimeoutError(msg) from None
        return self._result_of(kept)

    def _result_of(self, kept: ResultKept) -> Any:
        if not kept.exception:
            return self.drafts.load_result(kept.value)
        if kept.exception == "perdure.Cancelled":
            msg = f"message {kept.id} was cancelled"
            raise Cancelled(msg, kept.id, kept.exception, kept.message)
        raised = self.stage.raised.pop(kept.id, None)
        if raised is not None:
            raise raised
        msg = f"message {kept.id} ended without a result: {kept.exception}: {kept.message}"
        raise HandlerFailed(msg, kept.id, kept.exception, kept.message)

    def cancel(self, id: str, reason: str = "cancelled by the host") -> bool:  # noqa: A002 - the front door's name
        """Call a message off, waiting or running; False where it had ended already, or is not known.

        A handler that runs sees `ctx.cancelled`; a coroutine is cancelled, a process killed. Its result is not taken.
        """
        return bool(self.ask("queue", Cancel(id, plain_text(reason))))

    # --- consuming by hand -----------------------------------------------------------------------------------------------

    def checkout(self, type: type, *, lease: float = 30.0, retries: int | None = None) -> Delivery | None:  # noqa: A002
        """Take the next ready message of a type by hand, for `lease` seconds; None if there is none.

        Raises:
            NotRunning, StoreUnavailable: as `publish`.
            ValueError: a lease of not more than 0 seconds.
        """
        check_lease(lease)
        name = self.drafts.names.name(type)
        spec = self._registered.specs.get(name)
        if retries is None:
            retries = self.options.retries if spec is None else spec.retries
        while True:
            handed = self.ask("queue", CheckOut(name, self.drafts.ids.one(), round(lease * 1_000_000), retries))
            if handed is None:
                return None
            try:
                message = self.drafts.load(handed.published)
            except InvalidMessage as error:
                published, attempt = handed.published, handed.lease.attempt
                reason = plain_text(f"its payload cannot be decoded: {error}")
                self.ask("queue", Fail(published.number, published.id, attempt, "InvalidMessage", reason, "", 0, reason))
                continue  # a dead letter now; the next one may be whole
            return Delivery(handed, message, lease, lambda command: self.ask("queue", command))

    def drain(self, timeout: float | None = None) -> None:
        """Wait until no message is ready, delayed or in flight.

        Raises:
            TimeoutError: some still were after `timeout` seconds; says how many.
            NotRunning: the system does not run, or stopped meanwhile.
        """
        desk = self.stage.desk
        answer = self.stage.world.answer()
        request = desk.send("queue", WhenIdle(), answer)
        try:
            answer.wait(-1 if timeout is None else timeout)
        except TimeoutError:
            desk.forget(request)
            raise TimeoutError(self._not_idle(timeout)) from None

    def _not_idle(self, timeout_s: float | None) -> str:
        now = self.admin.metrics()
        return (
            f"after {timeout_s or 0.0:g} s there are still {now.ready} ready, {now.delayed} delayed, {now.held} held and "
            f"{now.in_flight} in flight"
        )

    async def adrain(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - as `drain`
        """As `drain`, from a coroutine; does not block the event loop. A cancelled await leaves nothing behind."""
        desk = self.stage.desk
        reply: PublishFuture[None] = PublishFuture()
        request = desk.send("queue", WhenIdle(), reply)
        try:
            await asyncio.wait_for(asyncio.wrap_future(reply), timeout)
        except TimeoutError:
            desk.forget(request)
            raise TimeoutError(await asyncio.to_thread(self._not_idle, timeout)) from None
        except asyncio.CancelledError:
            desk.forget(request)
            raise


def _with_defaults(call: str, options: dict[str, Any]) -> dict[str, Any]:
    """Give a handler's options with those that were not given; an unknown one is an error, as Python's own would be."""
    defaults: dict[str, Any] = System.handler.__kwdefaults__ or {}
    if unknown := options.keys() - defaults.keys():
        msg = f"{call}: unknown options: {', '.join(sorted(unknown))}"
        raise TypeError(msg)
    return {**defaults, **options}
