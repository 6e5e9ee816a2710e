"""The front door: one `System` owns one data folder, starts and stops the actors, and takes what the host publishes.

It decides nothing about messages; it checks what comes in (`drafts`), asks the actors, and waits for their word.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import threading
from concurrent.futures import Future, InvalidStateError
from typing import TYPE_CHECKING, Any, TypeVar

from perdure.actors.clock import Clock, SystemClock
from perdure.actors.context import check_lease
from perdure.actors.desk import Answer
from perdure.actors.handler import HandlerSpec
from perdure.actors.messages import Quiesce, Report, Wake, WhenIdle
from perdure.actors.pool import Pool
from perdure.actors.recovery import recover
from perdure.actors.snapshotter import take
from perdure.actors.stage import Stage
from perdure.actors.supervisor import ROLES, Supervisor
from perdure.admin import Actors, Admin
from perdure.audit import Audit
from perdure.consumer import Delivery
from perdure.dead_letters import DeadLetters
from perdure.drafts import Drafts
from perdure.events import handlers as handler_rules
from perdure.events import vocabulary as ev
from perdure.events.backoff import Backoff, Exponential
from perdure.events.commands import CheckOut, Draft, Publish
from perdure.events.errors import (
    InvalidMessage,
    NotRunning,
    PayloadTooLarge,
    PerdureError,
    PublishTimeout,
    StoreUnavailable,
)
from perdure.events.queue_rules import Limits
from perdure.events.snapshot import States
from perdure.ids import Ids
from perdure.options import Options
from perdure.payloads import Codec, MessagePack, TypeNames
from perdure.recovery import Recovery
from perdure.store import EventStore, SegmentStore, Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from perdure.actors.actor import Actor
    from perdure.actors.desk import Reply

__all__ = ["System"]

logger = logging.getLogger("perdure")

H = TypeVar("H", bound="Callable[[Any, Any], Any]")
ASK_TIMEOUT_S = 60.0
SLACK_S = 5.0
DEFAULT_BACKOFF = Exponential(1.0, maximum=300.0, jitter=0.1)


class _FutureReply:
    """Reply that sets a future; whatever comes second finds it set."""

    __slots__ = ("future", "ids")

    def __init__(self, ident: str) -> None:
        self.ids = ident
        self.future: Future[str] = Future()

    def resolve(self, value: Any) -> None:  # noqa: ARG002 - the protocol's name
        """See `Reply.resolve`."""
        try:
            self.future.set_result(self.ids)
        except InvalidStateError:
            return  # cancelled, or answered before

    def reject(self, error: BaseException) -> None:
        """See `Reply.reject`."""
        try:
            self.future.set_exception(error)
        except InvalidStateError:
            return  # cancelled, or answered before


class System:
    """An embedded, durable message queue in one folder.

    Args:
        folder: where the log and its snapshots are kept; made if it is not there. One process at a time owns it.
        options: settings; see `Options`.
        store: another `EventStore` instead of a folder, for example `MemoryStore()`.
        codec: how objects become payloads; `MessagePack()` unless given.
        clock: where time comes from; a `ManualClock` lets a test decide.
        seed: seed of all chance (jitter, ids); random unless given.

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
    ) -> None:
        if (folder is None) == (store is None):
            msg = "System needs a folder, or a store instead of one"
            raise TypeError(msg)
        self.options = options or Options()
        self.clock: Clock = clock or SystemClock()
        self._chance = random.Random(seed)  # noqa: S311 - jitter and ids, no secrets
        self.drafts = Drafts(TypeNames(), codec or MessagePack(), self.clock, Ids(self.clock, self._chance), self.options)
        self._store = store or self._folder_store(folder)
        self._specs: dict[str, HandlerSpec] = {}
        self._stage: Stage | None = None
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
            now_us=self.clock.now_us,
        )

    # --- handlers --------------------------------------------------------------------------------------------------------

    def handler(
        self,
        type: type,  # noqa: A002 - the front door's name
        *,
        parallelism: int = 1,
        timeout: float | None = None,
        lease: float | None = None,
        retries: int | None = None,
        backoff: Backoff = DEFAULT_BACKOFF,
        dedup: str = "replace",
        isolation: str = "thread",
    ) -> Callable[[H], H]:
        """Register a function `(message, context)` for a message type; to be used as a decorator.

        Args:
            type: the message class.
            parallelism: how many run at once.
            timeout: seconds after which an attempt has failed; the handler sees `ctx.cancelled` and is interrupted as soon as
                the interpreter can. None: no limit.
            lease: seconds without a heartbeat after which the message is given to another. None: as long as it runs.
            retries: how often a failed message is tried again; `Options.retries` unless given.
            backoff: how long to wait before each retry.
            dedup: what happens when a message with the key of a live one is published: `replace`, `reject` or `append`.
            isolation: `thread` (others are not there yet).

        Raises:
            InvalidMessage: an option is out of its range.
            UnknownMessageType: the type cannot be named.
        """
        name = self.drafts.names.name(type)
        _check_whole("parallelism", parallelism, 0)
        if retries is not None:
            _check_whole("retries", retries, 0)
        for field, seconds in (("timeout", timeout), ("lease", lease)):
            if seconds is not None and not (isinstance(seconds, (int, float)) and 0 < seconds < 1e9):  # noqa: PLR2004
                msg = f"{field}: seconds above 0, or None, not {seconds!r}"
                raise InvalidMessage(msg)
        if dedup not in ("replace", "reject", "append"):
            msg = f"dedup: 'replace', 'reject' or 'append', not {dedup!r}"
            raise InvalidMessage(msg)
        if isolation != "thread":
            msg = f"isolation: only 'thread' so far, not {isolation!r}"
            raise InvalidMessage(msg)

        def register(call: H) -> H:
            if asyncio.iscoroutinefunction(call):
                msg = f"handler: {call.__qualname__} is a coroutine function; only plain functions so far"
                raise InvalidMessage(msg)
            if name in self._specs:
                msg = f"type: {name} has a handler already, {self._specs[name].call!r}; a type has one"
                raise InvalidMessage(msg)
            spec = HandlerSpec(
                type=name,
                call=call,
                parallelism=parallelism,
                timeout_s=None if timeout is None else float(timeout),
                lease_s=None if lease is None else float(lease),
                retries=self.options.retries if retries is None else retries,
                backoff=backoff,
                dedup=dedup,
            )
            self._specs[name] = spec
            self.drafts.dedup[name] = dedup
            if self._stage is not None:
                self._stage.pools[name] = Pool(spec)
                self.ask("dispatcher", handler_rules.Register(spec.fact()))
            return call

        return register

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
            if self._stage is not None:
                msg = "the system is running already"
                raise PerdureError(msg)
            opened = self._store.open()
            try:
                self._start(opened)
            except BaseException:
                stage, self._stage = self._stage, None
                if stage is not None:
                    self._dismiss(stage)
                self._store.abandon()
                raise

    def _start(self, opened: Any) -> None:
        states, base = recover(self._store, finished_max=self.options.finished_max)
        run = self.drafts.ids.one()
        stage = Stage(
            store=self._store,
            clock=self.clock,
            chance=self._chance,
            publisher=self.drafts,
            tuning=self.options,
            limits=Limits(self.options.backlog_max, self.options.backlog_bytes, self.options.dead_letters_max),
            run=run,
        )
        stage.snapshot_due = max(base, 0) + self.options.snapshot_events
        for part in ("queue", "dispatcher", "dead_letters"):
            stage.warm[part] = States(
                states.queue, states.handlers, states.dead_letters, states.seq, states.at_us, frozenset({part})
            )
        for name, spec in self._specs.items():
            stage.pools[name] = Pool(spec)
        stage.on_supervisor_death = lambda dead: self._replace_supervisor(stage, dead)
        dead_before = len(states.queue.dead)
        out_before = len(states.queue.leased)
        self._stage = stage
        self.clock.subscribe(lambda: stage.tell_all(Wake()))
        stage.enter(Supervisor(stage, "supervisor", 1))
        for spec in self._specs.values():
            self.ask("dispatcher", handler_rules.Register(spec.fact()))
        report = self.ask("queue", Report())
        self.recovery = Recovery(
            last_seq=opened.last_seq,
            snapshot_seq=base,
            events_replayed=states.seq - base,
            cut_bytes=opened.cut_bytes,
            cut_from_seq=opened.cut_from_seq,
            in_flight_taken_back=out_before,
            dead_lettered=report.dead - dead_before,
            waiting=sum(c.ready + c.delayed + c.held for c in report.by_type.values()),
            dead_letters=report.dead,
        )
        logger.info("%s", self.recovery)
        stage.tell("supervisor", ev.Started(run, os.getpid(), _version(), self.recovery.plain()))

    def _replace_supervisor(self, stage: Stage, dead: Actor) -> None:
        if stage is self._stage and not stage.closing:
            stage.enter(Supervisor(stage, "supervisor", dead.generation + 1))

    def stop(self, grace: float | None = None) -> None:
        """Stop in good order.

        Handlers in flight get `grace` seconds (`Options.grace_s` unless given), then their messages go back, not counted;
        then a snapshot is taken. Stopping what does not run does nothing.
        """
        with self._lifecycle:
            stage = self._stage
            if stage is None:
                return
            self._why_not_running = "it was stopped; start it again to publish"
            grace_s = self.options.grace_s if grace is None else grace
            stage.closing = True
            failed = stage.failed is not None
            stage.desk.closed = stage.desk.closed or NotRunning(f"the system takes no messages: {self._why_not_running}")
            try:
                if not failed:
                    self._quiesce(stage, grace_s)
            finally:
                self._dismiss(stage)
                self._stage = None

    def _quiesce(self, stage: Stage, grace_s: float) -> None:
        answer = Answer()
        stage.desk.send("dispatcher", Quiesce(grace_s), answer, from_outside=False)
        try:
            answer.wait(grace_s + ASK_TIMEOUT_S)
            stage.tell("supervisor", ev.Stopped(stage.run))
        except (TimeoutError, PerdureError) as error:
            logger.warning("the handlers could not be brought to rest, their messages will be taken back: %r", error)

    def _dismiss(self, stage: Stage) -> None:
        """Let the actors go in the order in which they still tell each other something; the journal closes the store."""
        stage.closing = True
        for pool in stage.pools.values():
            pool.closed = True
        for name in ("supervisor", "dispatcher", "queue", "journal", "dead_letters", "timer", "snapshotter"):
            actor = stage.actors.get(name)
            if actor is None or actor.thread is None:
                continue
            if actor.actor_ref.is_alive():
                actor.actor_ref.stop(block=False)
            actor.thread.join(ASK_TIMEOUT_S)
        stage.desk.abandon(NotRunning(f"the system takes no messages: {self._why_not_running}"))
        for name, actor in list(stage.actors.items()):
            if name not in ROLES and name != "supervisor":
                actor.kill()
        try:
            if stage.failed is None:
                self._last_snapshot(stage)
            self._store.close()
        except StoreUnavailable as error:
            logger.warning("the log could not be closed in good order, the next start recovers it: %s", error)
        finally:
            self._store.abandon()

    def _last_snapshot(self, stage: Stage) -> None:
        """Save the state as it is at the end, so that the next start replays almost nothing.

        The deciders have come to rest and the journal has written what they decided, so what they hold is the fold of the
        whole log (law 1); where one died over it, the log is folded instead.
        """
        ended = [stage.actors.get(name) for name in ("queue", "dispatcher", "dead_letters", "journal")]
        try:
            if all(actor is not None and actor.at_rest for actor in ended):
                queue, dispatcher, dead_letters, _ = ended
                states: list[Any] = [getattr(actor, "state", None) for actor in (queue, dispatcher, dead_letters)]
                if None not in states and stage.store.last_seq:
                    whole = States(states[0], states[1], states[2], stage.store.last_seq, self.clock.now_us())
                    stage.store.save_snapshot(Snapshot(whole.seq, whole.encode()))
            else:
                take(stage, None)
        except PerdureError as error:
            logger.warning("no snapshot at the end, the next start replays more: %s", error)

    def __enter__(self) -> Self:
        """Start; see `start`."""
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop; see `stop`."""
        self.stop()

    @property
    def running(self) -> bool:
        """Whether it takes messages."""
        return self._stage is not None and not self._stage.closing and self._stage.failed is None

    @property
    def stage(self) -> Stage:
        """The running actors' shared ground; for the other parts of the front door, and for chaos.

        Raises:
            NotRunning: there are none.
        """
        stage = self._stage
        if stage is None:
            msg = f"the system takes no messages: {self._why_not_running}"
            raise NotRunning(msg)
        return stage

    def ask(self, actor: str, command: Any, *, timeout_s: float = ASK_TIMEOUT_S) -> Any:
        """Ask an actor and wait for its answer; asked again by itself if the actor dies. For the parts of the front door.

        Raises:
            NotRunning, StoreUnavailable: nobody can answer.
            TimeoutError: no answer in time.
            PerdureError: the actor refused.
        """
        desk = self.stage.desk
        answer = Answer()
        request = desk.send(actor, command, answer)
        try:
            return answer.wait(timeout_s)
        except TimeoutError:
            desk.forget(request)
            msg = f"the {actor} did not answer within {timeout_s:g} s"
            raise TimeoutError(msg) from None

    # --- publishing ------------------------------------------------------------------------------------------------------

    def publish(self, message: Any, **options: Any) -> str:
        """Publish one message; returns its id once it is on disk (to the durability in `Options.durability`).

        Keyword options: `key` (deduplication), `correlation_id`, `id` (makes publishing idempotent), `delay` (seconds) or `at`
        (datetime or seconds since the epoch), `priority` (higher first), `ttl` (seconds), `group` (strict order, one in flight),
        `headers` (strings).

        Raises:
            NotRunning: before start or after stop; nothing was published.
            InvalidMessage, PayloadTooLarge, UnknownMessageType: names the field; nothing was published.
            DuplicateKey: the key is held and its policy is `reject`; nothing was published.
            QueueFull: the backlog stayed at its bound; nothing was published.
            StoreUnavailable: the disk does not take it; nothing was published.
            PublishTimeout: no answer in time; it may have been published, and publishing the same `id` again settles it.
        """
        draft = self._draft(message, options)
        self._publish([draft])
        return draft.id

    def publish_many(self, messages: Iterable[Any], **options: Any) -> list[str]:
        """Publish messages in one atomic commit, all or none; gives their ids in order. Options apply to each.

        Raises:
            As `publish`.
        """
        batch = list(messages)
        if options.get("id") is not None and len(batch) > 1:
            msg = "id: one id cannot name several messages; publish them one by one"
            raise InvalidMessage(msg)
        if options:
            drafts = [self._draft(message, options) for message in batch]
        else:
            self._check_running()
            drafts = self.drafts.plain(batch)
        size = sum(len(draft.payload) for draft in drafts)
        if len(drafts) > self.options.batch_max or size > self.options.batch_bytes_max:
            msg = (
                f"messages: {len(drafts):,} of {size:,} bytes are more than one commit takes ({self.options.batch_max:,} "
                f"messages, {self.options.batch_bytes_max:,} bytes). Publish them in several calls."
            )
            raise PayloadTooLarge(msg)
        if drafts:
            self._publish(drafts)
        return [draft.id for draft in drafts]

    def submit(self, message: Any, **options: Any) -> Future[str]:
        """Publish without waiting: the future gives the id once it is on disk, or raises what `publish` would.

        Waits while `Options.pipeline_max` publishes are under way. The future's callbacks run in a thread of the system, and
        must be quick. Cancelling it does not take the message back.

        Raises:
            NotRunning, InvalidMessage and its kind: as `publish`, at once.
        """
        draft = self._draft(message, options)
        reply = _FutureReply(draft.id)
        desk = self.stage.desk
        desk.wait_for_room(self.options.pipeline_max, self.options.publish_timeout_s)
        self._send([draft], reply)
        return reply.future

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
        if self._stage is None or self._stage.closing:
            msg = f"the system takes no messages: {self._why_not_running}"
            raise NotRunning(msg)

    def _draft(self, message: Any, options: dict[str, Any]) -> Draft:
        self._check_running()
        try:
            return self.drafts.draft(message, **options)
        except TypeError as error:
            if "unexpected keyword argument" in str(error):
                msg = f"publish: {str(error).partition('got an ')[2]}"
                raise TypeError(msg) from None
            raise

    def _send(self, drafts: list[Draft], reply: Reply) -> Any:
        deadline_us = self.clock.now_us() + round(self.options.publish_timeout_s * 1_000_000)
        return self.stage.desk.send("queue", Publish(drafts, deadline_us), reply)

    def _publish(self, drafts: list[Draft]) -> None:
        answer = Answer()
        request = self._send(drafts, answer)
        try:
            answer.wait(self.options.publish_timeout_s + SLACK_S)
        except TimeoutError:
            self.stage.desk.forget(request)
            ids = tuple(draft.id for draft in drafts)
            msg = (
                f"no answer within {self.options.publish_timeout_s + SLACK_S:g} s: {len(ids)} message(s) may or may not be "
                f"published. Publish again with the same id to settle it (the first is {ids[0]}); see `.ids`."
            )
            raise PublishTimeout(msg, ids) from None

    # --- consuming by hand -----------------------------------------------------------------------------------------------

    def checkout(self, type: type, *, lease: float = 30.0, retries: int | None = None) -> Delivery | None:  # noqa: A002
        """Take the next ready message of a type by hand, for `lease` seconds; None if there is none.

        Raises:
            NotRunning, StoreUnavailable: as `publish`.
            ValueError: a lease of not more than 0 seconds.
        """
        check_lease(lease)
        spec = self._specs.get(self.drafts.names.name(type))
        if retries is None:
            retries = self.options.retries if spec is None else spec.retries
        name = self.drafts.names.name(type)
        handed = self.ask("queue", CheckOut(name, self.drafts.ids.one(), round(lease * 1_000_000), retries))
        if handed is None:
            return None
        message = self.drafts.load(handed.published.type, handed.published.payload)
        return Delivery(handed, message, lease, lambda command: self.ask("queue", command))

    def drain(self, timeout: float | None = None) -> None:
        """Wait until no message is ready, delayed or in flight.

        Raises:
            TimeoutError: some still were after `timeout` seconds; says how many.
            NotRunning: the system does not run, or stopped meanwhile.
        """
        desk = self.stage.desk
        answer = Answer()
        request = desk.send("queue", WhenIdle(), answer)
        try:
            answer.wait(-1 if timeout is None else timeout)
        except TimeoutError:
            desk.forget(request)
            now = self.admin.metrics()
            msg = (
                f"after {timeout:g} s there are still {now.ready} ready, {now.delayed} delayed, {now.held} held and "
                f"{now.in_flight} in flight"
            )
            raise TimeoutError(msg) from None


def _check_whole(field: str, value: Any, minimum: int) -> None:
    if type(value) is not int or value < minimum:
        msg = f"{field}: a whole number of {minimum} or more, not {value!r}"
        raise InvalidMessage(msg)


def _version() -> str:
    from importlib.metadata import version  # noqa: PLC0415 - read once, at the start; importing it costs 20 ms

    return version("perdure")
