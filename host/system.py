"""The front door: one `System` owns one data folder, starts and stops the actors, and takes what the host publishes.

Starting and stopping are here. Its base classes have the rest: `handling/decorators`, `handling/consuming`, `publishing/publisher`
and `publishing/results`, which ask what `runtime/current_run` finds. Rules about messages are in `perdure.events`.
"""

from __future__ import annotations

import asyncio
import os
import random
import threading
import weakref
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar

from perdure.actors.core.clock import Clock, SystemClock
from perdure.actors.core.current_actor import CURRENT
from perdure.actors.core.executor import Threads
from perdure.actors.execution.event_loop import CLOSED
from perdure.actors.execution.invocation import CALLER
from perdure.actors.queue.orphans import REATTACH_US
from perdure.actors.services.runtime import HandlerRuntime
from perdure.arguments.choices import check_one_of
from perdure.arguments.parts import check_folder, check_has, check_is
from perdure.config import load_handlers, trace
from perdure.events.errors import NotRunning, PerdureError, WouldDeadlock
from perdure.events.loggers import GuardedLogger
from perdure.events.public_names import public
from perdure.events.seconds import checked_seconds, shown
from perdure.handling.consuming import Consuming
from perdure.handling.decorators import Handling
from perdure.handling.handler_options import check_changed_fields
from perdure.handling.handlers import Handlers
from perdure.handling.hooks import Hooks
from perdure.handling.registration import Registration
from perdure.middleware import check_middleware
from perdure.operations.admin import Actors, Admin
from perdure.operations.audit import Audit
from perdure.operations.dead_letters import DeadLetters
from perdure.options import Options
from perdure.payloads.codecs import Codec, MessagePack
from perdure.payloads.type_names import TypeNames
from perdure.processes.facts import OwnersFacts, without_policy_where_unknown
from perdure.processes.member import Member
from perdure.processes.role_rules import OWNERSHIP, Event, Ownership
from perdure.processes.roles import Roles
from perdure.publishing.drafts import Drafts
from perdure.publishing.message_ids import Ids
from perdure.publishing.results import Results
from perdure.runtime import live_systems, serving
from perdure.runtime.asking import HANDLERS_SETTLE_S
from perdure.runtime.current_run import Running
from perdure.runtime.engine import Engine
from perdure.runtime.hook_mark import check_outside_hooks
from perdure.runtime.sharing import owner_of
from perdure.runtime.step_thread import StepThread
from perdure.security.rights import Rights
from perdure.store import EventStore, History, SegmentStore, canonical_address

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Self, SupportsIndex

    import svcs

    from perdure.actors.core.executor import Executor
    from perdure.actors.sessions.server import Server
    from perdure.actors.sessions.session import Owner
    from perdure.actors.workers.gates.gate import RunGate
    from perdure.handling.schedules import Schedule
    from perdure.middleware import Middleware
    from perdure.runtime.recovery_report import Recovery
    from perdure.runtime.run import Role
    from perdure.runtime.serving import Part
    from perdure.security.rights import Authorize
    from perdure.store import Recovered

__all__ = ["System"]

logger = GuardedLogger("perdure")

M = TypeVar("M")
P = TypeVar("P", bound="Part | Handlers")


class _Beginning:
    """The state that a start shares with the thread that waits for it."""

    given_up = False
    """No thread waits for this start any more; whatever it has begun must be stopped."""
    refused = False
    """The start has failed and cleaned up after itself."""
    run: live_systems.Run | None = None


def _with(origins: frozenset[str] | None, own: str) -> frozenset[str] | None:
    return None if origins is None else origins | {own}


def _running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop that runs in this thread, or None."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _check_parts(
    folder: str | Path | None,
    options: Options | None,
    store: EventStore | None,
    codec: Codec | None,
    clock: Clock | None,
) -> None:
    """Refuse wrong parts of a system by their names, before they can fail in one of its threads."""
    if folder is not None:
        check_folder(folder)
    check_is("options", options, Options)
    check_has("store", store, "an EventStore", ("open", "append", "frames"))
    check_has("codec", codec, "a codec, for example perdure.MessagePack()", ("encode", "decode"))
    check_has("clock", clock, "a Clock, for example perdure.ManualClock()", ("now_us", "wall_us", "subscribe"))


def _check_sharing(folder: str | Path | None, ownership: Ownership, *, shared: Any, spool: Any) -> None:
    """Refuse what is wrong of the arguments about other processes, and what does not go together."""
    for name, value in (("shared", shared), ("spool", spool)):
        if not isinstance(value, bool):
            msg = f"{name}: True or False, not {shown(value)}"
            raise TypeError(msg)
    if shared and folder is None:
        msg = "shared: other processes find the system by its folder; it has a store instead of one"
        raise TypeError(msg)
    check_one_of("ownership", ownership, OWNERSHIP)
    if shared:
        return
    for given, what in ((ownership != "auto", f"ownership: {ownership!r} is"), (spool, "spool: it is")):
        if given:
            msg = f"{what} for a folder that several processes share; give `shared=True` too"
            raise TypeError(msg)


@public
class System(Handling, Results, Consuming, Running):
    """An embedded, durable message queue in one folder.

    Args:
        folder: where the log and its snapshots are kept; created where it does not exist. One process at a time owns it.
        options: settings; see `Options`. The file of `config` and the environment override them, see `perdure.config`.
        store: another `EventStore` instead of a folder, for example `MemoryStore()`.
        codec: how objects become payloads; `MessagePack()` unless given.
        clock: the source of time; a `ManualClock` lets a test decide.
        seed: seed of the random generator (jitter, ids); random unless given.
        middleware: parts round every publish and handler call, outermost first; see `Middleware`.
        config: a TOML file with options that override the code; what `PERDURE_CONFIG` names unless given, else none.
        registry: the `svcs.Registry` from which handlers get their services.
        loop: the host's event loop. Coroutine handlers and hooks run on it, so they can use clients and pools that were made there.
            Unless given, the loop that `async with system:` runs on, or the system's own where it is started in any other way.
            `"own"`: always the system's own.
        executor: what the actors run on; threads unless given. For `perdure.chaos`.
        shared: several processes of this user use the folder with this same line. One owns it and runs the actors, see `role`;
            the others reach it over a Unix socket in the folder, and one of them takes over when it ends. Processes that only
            publish, ask and operate call `perdure.connect(folder)`. Without it nothing listens.
        ownership: of a shared folder. `"auto"`: owns it where no other process does. `"prefer"`: besides asks a process that does
            not prefer it to hand over. `"never"`: waits for another process that owns it.
        spool: of a shared folder: start and publish also while no process that owns it answers. The message is synced to a file of
            this process in the folder, and the next owner takes it in, once; see `connect`. All other calls wait for an owner.
        authorize: asked before each act within `acting_as`, and before each request of another process: a function of principal,
            action and type that returns True to allow it; see `perdure.security`. All is allowed unless given.

    All methods may be called in any thread unless they say otherwise.
    """

    _shared_store: SegmentStore | None = None
    """The store of a folder that other processes use too."""

    _gate: RunGate | None = None
    """Of a System that is one partition of a cluster."""

    def __init__(
        self,
        folder: str | Path | None = None,
        *,
        options: Options | None = None,
        config: str | Path | None = None,
        store: EventStore | None = None,
        codec: Codec | None = None,
        clock: Clock | None = None,
        seed: int | None = None,
        middleware: Sequence[Middleware] = (),
        registry: svcs.Registry | None = None,
        loop: asyncio.AbstractEventLoop | Literal["own"] | None = None,
        executor: Executor | None = None,
        shared: bool = False,
        ownership: Ownership = "auto",
        authorize: Authorize | None = None,
        spool: bool = False,
    ) -> None:
        if (folder is None) == (store is None):
            msg = "System needs a folder, or a store instead of one"
            raise TypeError(msg)
        _check_parts(folder, options, store, codec, clock)
        _check_sharing(folder, ownership, shared=shared, spool=spool)
        middleware = check_middleware(middleware)
        self._shared = shared
        self._handlers_settle_s = HANDLERS_SETTLE_S if shared else 0.0
        self._ownership = ownership
        self.rights = Rights(authorize)
        self._spools = spool
        self._configuration = trace(options, path=config)
        self.options = self._configuration.options
        self.clock: Clock = clock or SystemClock()
        self._executor: Executor = executor or Threads()
        self._seed = seed
        self._rng = random.Random(seed)  # noqa: S311 - jitter and ids, no secrets
        ids = Ids(self.clock, self._rng)
        self.drafts = Drafts(TypeNames(), codec or MessagePack(), self.clock, ids, self.options, middleware)
        if spool:
            self.drafts.draft = without_policy_where_unknown(self.drafts.draft, self._knows_policy)
        if loop is not None and loop != "own" and not isinstance(loop, asyncio.AbstractEventLoop):
            msg = f"loop: an asyncio event loop, 'own' or None, not {loop!r}"
            raise TypeError(msg)
        self._loop = loop
        self._entered_on: asyncio.AbstractEventLoop | None = None
        """The loop of the `async with` that starts it."""
        self._beginning = _Beginning()
        """The last start."""
        self._hooks = Hooks()
        self._checked_out_types = set()
        self._store = store or self._folder_store(folder)
        self._registered = Registration(self.drafts, self.options, middleware, registry, load_handlers(path=config))
        self._lifecycle = threading.Lock()
        """Held by the thread that makes a start or a stop, never by a thread that waits for one."""
        self._live_run: live_systems.Run | None = None
        self._roles: Roles | None = None
        """Of the run of a shared System."""
        self._parts: list[Callable[[], Part | None]] = []
        self.dead_letters = DeadLetters(self)
        self.admin = Admin(self)
        self.actors = Actors(self)
        self.audit = Audit(store=self._store)
        self.recovery: Recovery | None = None
        """What the last start did to recover; None before the first start."""
        live_systems.remember_system(self)

    def _be_partition(self, of: Drafts, ids: Ids, gate: RunGate) -> None:
        """Become a partition of a cluster, before a start: share its names and policies of message types, and make ids of its own.

        Args:
            of: the cluster's.
            ids: makes ids that tell the partition.
            gate: what its workers ask before they call a handler.
        """
        self.drafts.names, self.drafts.policies, self.drafts.ids = of.names, of.policies, ids
        self._gate = gate

    @property
    def _failure(self) -> BaseException | None:
        """Why the run has ended by itself; None where it has not."""
        engine = self._engine
        failed = None if engine is None else engine.runtime.health.failed
        return None if failed is None else failed.__cause__ or failed

    def _folder_store(self, folder: str | Path | None) -> SegmentStore:
        if folder is None:
            msg = "System needs a folder, or a store instead of one"
            raise TypeError(msg)
        made = SegmentStore(
            folder,
            segment_bytes=self.options.segment_bytes,
            snapshots_kept=self.options.snapshots_kept,
            history=History(self.options.history, self.options.history_folder),
            now_us=self.clock.now_us,
        )
        self._shared_store = made if self._shared else None
        return made

    def __repr__(self) -> str:
        """Show the store and whether it runs."""
        return f"<perdure.System on {self._store!r}, {'running' if self.running else 'not running'}>"

    def __reduce_ex__(self, _protocol: SupportsIndex) -> NoReturn:
        """Refuse to be copied or pickled.

        Raises:
            TypeError: always; a copy would share the folder and the threads, and another process has neither.
        """
        msg = (
            f"{self!r} can be neither copied nor pickled: it is its folder's only owner. Hand over the System itself within "
            "this process; another process publishes through this one, and reads with `perdure.Audit(folder)`."
        )
        raise TypeError(msg)

    # --- life ------------------------------------------------------------------------------------------------------------

    @staticmethod
    def live(folder: str | Path) -> System | None:
        """Return the System of this process that runs in `folder`, or None. An earlier notebook cell may have started it, say."""
        found: System | None = live_systems.live(canonical_address(folder))
        return found

    def start(self) -> None:
        """Recover the folder and start the actors; return when the handlers are at work.

        If this raises, KeyboardInterrupt included, nothing runs and the folder is free. If this process is still stopping a system
        on the same folder, this waits for that stop.

        Raises:
            StoreLocked: another process that is alive owns the folder.
            StoreCorrupt: committed history is damaged; nothing was changed.
            StoreUnavailable: the folder cannot be read or written, or a newer version wrote it.
            PerdureError: the system runs already.
        """
        loop = _running_loop()
        if loop is not None and loop is self._loop and self._hooks:
            msg = "start: its hooks run on this very event loop, which a start would block; use `async with system:`"
            raise PerdureError(msg)
        if (CURRENT.actor is not None or CALLER.get() is not None) and live_systems.is_ending(
            live_systems.address_of(self._store), self
        ):
            msg = "start: it waits until the system has stopped, and that waits for the handler (or callback) that calls it"
            raise WouldDeadlock(msg)
        if self._engine is not None:
            check_outside_hooks(self._engine.runtime, "start")
        beginning = self._beginning = _Beginning()
        try:
            self._apart(lambda: self._start(beginning), "start")
        except BaseException:
            beginning.given_up = True
            if not beginning.refused:  # an exception interrupted the wait: stop what has begun meanwhile
                self._apart(lambda: self._stop(0.0, beginning.run), "stop")
            raise

    def _apart(self, step: Callable[[], None], name: str) -> None:
        step_thread = StepThread(self._executor, step, name)
        step_thread.begin()
        step_thread.wait()

    def _start(self, beginning: _Beginning) -> None:
        with self._lifecycle:
            if beginning.given_up:
                return
            try:
                self._begin(beginning)
            except BaseException:
                beginning.refused = True
                raise
            if beginning.given_up and beginning.run is not None:
                self._end(0.0, beginning.run)

    def _begin(self, beginning: _Beginning) -> None:
        if self._engine is not None:
            msg = "the system is running already"
            raise PerdureError(msg)
        logger.info("%s", self._configuration)
        self._registered.check_processes()
        self._registered.warn_of_unused()
        address = live_systems.address_of(self._store)
        live_systems.wait_until_stopped(address)
        if self._shared_store is not None:
            self._begin_shared(beginning, self._shared_store, address)
            return
        engine = self._new_engine(self._store.open())
        beginning.run = self._live_run = live_systems.Run(self, engine, address, self.options.grace_s)
        live_systems.remember_run(self._live_run)
        try:
            self._start_engine(engine, lambda: beginning.given_up)
        except BaseException:
            self._leave_run()
            raise

    def _begin_shared(self, beginning: _Beginning, store: SegmentStore, address: str | None) -> None:
        """Take a role in the folder; see `Roles`."""
        roles = Roles(self, store, self._ownership, spools=self._spools)
        facts = OwnersFacts(self.drafts, self.options, self._registered.specs)
        runtime = HandlerRuntime(
            clock=self.clock, rng=self._rng, publisher=self.drafts, tuning=self.options, run="", executor=self._executor
        )
        runtime.host.loop = self._host_loop()
        runtime.budget.on_given_up = lambda: roles.tell(Event.GAVE_UP)
        versions = self.drafts.names.versions
        runtime.pools.version_of = lambda type_name: versions.get(type_name, 1)
        member = roles.member = Member(runtime, store.path.absolute(), facts, roles.tell, self._hooks, spools=self._spools)
        self._roles = roles
        if self._seed is not None:
            self.drafts.ids.begin(os.getpid())  # no other process with this seed makes the same
        beginning.run = self._live_run = live_systems.Run(self, member, address, self.options.grace_s, roles.end)
        live_systems.remember_run(self._live_run)
        try:
            roles.begin(lambda: beginning.given_up)
            if self._engine is member and not member.is_late:
                self._member_ready(member, lambda: beginning.given_up)
        except BaseException:
            roles.end()
            self._live_run.engine.shut_down(self._not_running())
            self._leave_run()
            raise

    def _leave_run(self) -> None:
        run, self._engine, self._live_run = self._live_run, None, None  # a stop that waits for this start finds nothing to end
        if run is not None:
            run.leave()

    def _knows_policy(self, type_name: str) -> bool:
        roles = self._roles
        return roles is not None and roles.member.facts.knows_policy(type_name)

    def _belong(self, member: Member, *, is_owned: bool = True) -> None:
        """Go on as a member; for `Roles`."""
        self.audit = Audit(store=self._store.separate_reader())  # reads what the owner writes
        self._engine = member
        member.start(dict(self._registered.specs), dict(self._registered.schedules))
        if member.is_late and is_owned:
            member.is_late = False
            self._executor.beside(lambda: self._late_ready(member), "member")

    def _member_anew(self, member: Member) -> Member:
        """Return a member in the place of one that has left its connection; for `Roles`."""
        made = member.anew()
        if self._live_run is not None:
            self._live_run.engine = made
        self._engine = made
        return made

    def _hand_over(self) -> Member | None:
        """End the actors in good order and free the folder; return what goes on as a member. For `Roles`."""
        engine, roles = self._engine, self._roles
        if not isinstance(engine, Engine) or roles is None:
            return None
        pid = self._executor.pid()
        engine.come_to_rest(self.options.grace_s, NotRunning(f"process {pid} hands the folder over to one that prefers to own it"))
        member = self._member_anew(roles.member)  # from here on requests wait for the next owner
        engine.leave()
        return member

    def _let_go(self) -> None:
        """End what runs after it has given up; for `Roles`."""
        engine = self._engine
        if engine is not None and isinstance(why := engine.runtime.health.failed, NotRunning):
            engine.let_go(why)

    def _late_ready(self, member: Member) -> None:
        try:
            self._member_ready(member, lambda: member.runtime.health.closing)
        except (PerdureError, TimeoutError) as error:
            if not member.runtime.health.closing:
                logger.warning("not all handlers of this process are at work since it handed the folder over: %s", error)

    def _member_ready(self, member: Member, given_up: Callable[[], bool]) -> None:
        """Wait until the handlers of a member are at work; those too that another thread registered meanwhile."""
        member.ready(given_up)
        for spec in [*self._registered.specs.values()]:
            if spec.type not in member.runtime.pools.by_type:
                member.add(spec)

    def _own(self, opened: Recovered, server: Server, member: Member, given_up: Callable[[], bool]) -> Engine:
        """Start the actors over the parts that a member leaves; for `Roles`. Nothing of them runs if this raises."""
        self.drafts.options = self.options
        self.audit = Audit(store=self._store)
        engine = self._new_engine(opened, server, member.runtime)
        if self._live_run is not None:
            self._live_run.engine = engine
        try:
            self._start_engine(engine, given_up)
        except BaseException:
            self._engine = None
            raise
        return engine

    def _new_engine(self, opened: Recovered, server: Server | None = None, handlers: HandlerRuntime | None = None) -> Engine:
        """Build the actors over the store that is open; it is closed if this raises."""
        try:
            if handlers is None:
                self.drafts.ids.begin(opened.epoch)
            engine = Engine(
                self._store,
                self.clock,
                self._rng,
                self.drafts,
                self.options,
                self._executor,
                self._hooks,
                run=self.drafts.ids.one(),
                host_loop=self._host_loop(),
                opened=opened,
                handlers=handlers,
                permit=self.rights.require if self.rights.are_limited else None,
                gate=self._gate,
            )
        except BaseException:
            self._store.abandon()
            raise
        engine.server = server
        if server is not None:
            engine.runtime.orphans.wait_us = REATTACH_US
            engine.runtime.orphans.origins = lambda: _with(server.origins(), self.drafts.ids.origin)
        return engine

    def _start_engine(self, engine: Engine, given_up: Callable[[], bool]) -> None:
        """Start the actors; they have ended if this raises."""
        self._engine = engine
        try:
            specs, schedules = dict(self._registered.specs), dict(self._registered.schedules)
            self.recovery = engine.start(specs, schedules, given_up, lambda: self._serve_others(engine))
            # Handlers that another thread registered while the engine started.
            for spec in [*self._registered.specs.values()]:
                if spec.type not in engine.runtime.pools.by_type:
                    engine.add(spec)
        except BaseException:
            self._engine = None
            engine.shut_down(self._not_running())
            raise

    def _serve_others(self, engine: Engine) -> None:
        """Answer other processes, which wait in line since the folder was locked."""
        engine.serve(self._as_owner(engine))

    def _as_owner(self, engine: Engine) -> Owner:
        """Return what the sessions of other processes need of this run."""
        specs = self._registered.specs
        return owner_of(
            engine.runtime,
            self.options,
            codec=self.drafts.codec,
            policies=self.drafts.policies,
            retries=lambda: {name: spec.retries for name, spec in list(specs.items())},
            figures=self.run_figures,
            check_changes=check_changed_fields,
            under_policy=self.drafts.under_policy,
            hand_over=self._roles.asked if self._roles is not None else lambda _: False,
            permit=self.rights.require if self.rights.are_limited else None,
        )

    @property
    def role(self) -> Role:
        """What this process is to its folder: `"owner"`, which runs the actors, or `"member"`, which another process answers."""
        engine = self._engine
        return "owner" if engine is None else engine.role

    def _host_loop(self) -> asyncio.AbstractEventLoop | None:
        loop = self._entered_on if self._loop is None else self._loop
        if loop == "own" or loop is None:
            return None
        if loop.is_closed():
            raise PerdureError(CLOSED)
        return loop

    def stop(self, grace: float | None = None) -> None:
        """Stop in good order, and return when the folder is free.

        Handlers in flight get `grace` seconds (`Options.grace_s` unless given). Then their messages go back to the queue, and the
        attempt does not count. Then a snapshot is taken. A handler that does not end in its grace is left behind, with a line in
        the log, and the folder is free all the same. KeyboardInterrupt ends the grace period, and is raised once the folder is
        free. Stopping a system that does not run does nothing.

        In a handler, in a callback of a future, or on the event loop that the handlers run on, this only begins to stop and returns
        at once, so that the handler has its grace to end in. Any other call of `stop` waits.
        """
        stopping: StepThread | None = None
        try:
            grace_s = self.options.grace_s if grace is None else checked_seconds("grace", grace)
            if self._engine is None and not self._lifecycle.locked():
                return
            stopping = StepThread(self._executor, lambda: self._stop(grace_s, None), "stop")
            stopping.begin()
            if CURRENT.actor is None and CALLER.get() is None and not self._is_on_its_loop():
                stopping.wait()
        except Exception:
            raise
        except BaseException:
            if (engine := self._engine) is not None:
                engine.end_grace()
            stopping = stopping or StepThread(self._executor, lambda: self._stop(0.0, None), "stop")
            stopping.begin()
            stopping.wait()
            raise

    def _is_on_its_loop(self) -> bool:
        """Return whether the caller runs on the host's event loop; handlers and hooks need that loop in order to end."""
        engine = self._engine
        loop = None if engine is None else engine.runtime.host.loop
        try:
            return loop is not None and asyncio.get_running_loop() is loop
        except RuntimeError:
            return False

    def _stop(self, grace_s: float, only: live_systems.Run | None) -> None:
        """Stop the run there is; with `only`, only if it is that one."""
        with self._lifecycle:
            run = self._live_run
            if run is not None and (only is None or only is run):
                self._end(grace_s, run)

    def _end(self, grace_s: float, run: live_systems.Run) -> None:
        self._why_not_running = "it was stopped. Start it again to publish, with `with system:`, `start()` or `serve()`"
        try:
            run.end(grace_s, self._not_running())
        finally:
            self._engine = self._live_run = None

    def serve(self, *, grace: float | None = None, started: Callable[[], object] | None = None) -> None:
        """Run until SIGTERM or SIGINT, then stop in good order; for a process that does nothing else. Only in the main thread.

        Starts the system unless it runs, and its parts (each `OutboxRelay` made for it, and what was passed to `include`); calls
        `started`; stops all of them at the end. A second signal ends the grace period. Also returns when the system is stopped.

        Args:
            grace: as `stop`.
            started: called once all of them are at work.

        Raises:
            NotRunning: the system has given up; `__cause__` says why.
            PerdureError: this is not the main thread.
            Others as `start`.
        """
        serving.serve(self, grace, started)

    async def aserve(self, *, grace: float | None = None, started: Callable[[], object] | None = None) -> None:
        """As `serve`, from a coroutine on the main thread's event loop. Stops as well when the await is cancelled.

        Raises:
            As `serve`.
        """
        await serving.aserve(self, grace, started)

    def include(self, part: P) -> P:
        """Take in handlers, or a part; return it.

        `Handlers`: all that they declare, now and later, is registered here. A part has `start()` and `stop()`; from now on `serve`
        starts and stops it with this system.

        Raises:
            InvalidMessage: a type has a handler already, or these handlers are included already.
            TypeError: it is neither.
        """
        if isinstance(part, Handlers):
            part.enter_into(self)
            return part
        check_has("part", part, "perdure.Handlers, or an object with start() and stop()", ("start", "stop"))
        served: Part = part
        self._parts.append(lambda: served)
        return part

    def include_weakly(self, part: Part) -> None:
        """As `include`, with a weak reference: a part that the host no longer holds is dropped. For `OutboxRelay`."""
        self._parts = [*(made for made in self._parts if made() is not None), weakref.ref(part)]

    @property
    def parts(self) -> list[Part]:
        """The parts of this system, in the order in which they were made."""
        found = [made() for made in list(self._parts)]
        return list(dict.fromkeys(part for part in found if part is not None))

    def _retries_of(self, type_name: str) -> int:
        spec, engine = self._registered.specs.get(type_name), self._engine
        if spec is not None:
            return spec.retries
        return engine.facts.retries_of(type_name) if isinstance(engine, Member) else self.options.retries

    def _in_a_forked_child(self, parent: int) -> None:
        """Take note, in a forked child, that the threads have stayed with the parent. For `live_systems`."""
        self._lifecycle = threading.Lock()  # a thread that is gone may have held it
        if self._seed is None:
            self._rng.seed()
            self.drafts.ids.begin_anew(self._rng)
        if self._engine is not None:
            self._engine = self._live_run = None
            self._why_not_running = live_systems.why_forked(parent)
            self.audit = Audit(store=self._store.separate_reader())  # reads what the parent writes from now on

    def __enter__(self) -> Self:
        """Start; see `start`."""
        before = self._live_run
        try:
            self.start()
            return self  # noqa: TRY300 - an interrupt after the start, before the block begins, must not leave it running
        except BaseException:
            if self._live_run is not before:
                self.stop(0.0)
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop; see `stop`."""
        self.stop()

    async def __aenter__(self) -> Self:
        """Start without blocking the event loop; see `start`. If the await is cancelled, nothing runs.

        Coroutine handlers and hooks run on this loop, unless the system was given another; see `loop`.
        """
        cancelled = threading.Event()

        def begin() -> None:
            if not cancelled.is_set():
                self.start()
                if cancelled.is_set():
                    self.stop(0.0)

        loop = asyncio.get_running_loop()
        self._entered_on = loop
        starting = loop.run_in_executor(None, copy_context().run, begin)
        try:
            await asyncio.shield(starting)
        except asyncio.CancelledError:
            cancelled.set()
            self._beginning.given_up = True  # ends the wait for a start hook
            await asyncio.wait([starting])
            if starting.exception() is None:
                await asyncio.to_thread(self.stop, 0.0)
            raise
        finally:
            self._entered_on = None
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop without blocking the event loop; see `stop`."""
        await asyncio.to_thread(self.stop)


def schedules_of(system: System) -> dict[str, Schedule]:
    """Return the schedules of a system by name, for other parts that show them."""
    return dict(system._registered.schedules)  # noqa: SLF001 - this module's own
