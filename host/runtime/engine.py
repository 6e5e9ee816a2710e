"""One run of a system: it builds the actors on an opened store, asks them, and stops them.

Not here: restarts of actors (`perdure.actors.services.supervisor`), and how a run ends (`ending`).
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs

from perdure.actors.core.messages import Report, StartActor, Wake, WhenStaffed
from perdure.actors.journal.log_fold import fold_log
from perdure.actors.services.roles import owner_roles
from perdure.actors.services.runtime import HandlerRuntime, Runtime
from perdure.actors.services.succession import Succession
from perdure.actors.sessions.figures import run_figures
from perdure.actors.sessions.server import Server
from perdure.actors.workers.pools.pool import Pool
from perdure.events import vocabulary as ev
from perdure.events.codec.snapshot import States
from perdure.events.errors import PerdureError
from perdure.events.limits import Limits
from perdure.events.loggers import GuardedLogger
from perdure.events.queue.invariants import contradictions
from perdure.events.supervision.snapshots import saves_what_was_folded
from perdure.payloads.type_names import namesakes
from perdure.runtime.actor_shutdown import ActorShutdown
from perdure.runtime.asking import ASK_TIMEOUT_S, asked
from perdure.runtime.database.channel_server import ChannelServer
from perdure.runtime.ending import Ending
from perdure.runtime.process.interpreter_settings import InterpreterSettings
from perdure.runtime.recovery_report import Recovery
from perdure.runtime.registering import register
from perdure.runtime.spool_intake import SpoolIntake
from perdure.store import Snapshot
from perdure.store.other_processes import HasChannels

if TYPE_CHECKING:
    import asyncio
    import random
    from collections.abc import Callable, Collection, Mapping
    from contextlib import AbstractContextManager

    from perdure.actors.core.clock import Clock
    from perdure.actors.core.executor import Executor
    from perdure.actors.core.extensions import Schedule
    from perdure.actors.sessions.figures import RunFigures
    from perdure.actors.sessions.owner import Owner
    from perdure.actors.workers.gates.gate import RunGate
    from perdure.actors.workers.handler_spec import HandlerSpec
    from perdure.actors.workers.publisher import Publisher
    from perdure.options import Options
    from perdure.runtime.database.ingress_source import Permit
    from perdure.runtime.hook_mark import Hooks
    from perdure.runtime.run import Role
    from perdure.store import EventStore, Recovered

__all__ = ["ASK_TIMEOUT_S", "Engine"]

logger = GuardedLogger("perdure")

LOOK_S = 0.25
"""How often a start that waits for its actors looks whether it is still wanted."""


class Engine(Ending):
    """One run of the actors on an open store.

    Its maker holds the system's lifecycle lock, and so does a caller of `start`, `stop` and `shut_down`. `ask` and the methods
    that add something are safe in any thread.
    """

    def __init__(
        self,
        store: EventStore,
        clock: Clock,
        rng: random.Random,
        publisher: Publisher,
        options: Options,
        executor: Executor,
        hooks: Hooks,
        *,
        run: str,
        host_loop: asyncio.AbstractEventLoop | None,
        opened: Recovered,
        handlers: HandlerRuntime | None = None,
        permit: Permit | None = None,
        gate: RunGate | None = None,
        warm: States | None = None,
        has_read: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._opened = opened
        self._clock = clock
        self._options = options
        self._interpreter = InterpreterSettings(options)
        self._states, self._base = fold_log(
            store,
            finished_max=options.finished_max,
            spill=store.spill(),
            resident_max=options.resident_payload_bytes,
            progress=has_read,
            warm=warm,
        )
        self._has_read = has_read
        """Called, until the actors answer, with the sequence number up to which the log is read or written, as it goes on."""
        self._is_warm = warm is self._states
        handlers = handlers or HandlerRuntime(clock=clock, rng=rng, publisher=publisher, tuning=options, run=run, executor=executor)
        handlers.run = run
        self.handlers = handlers
        self.runtime = Runtime(handlers, store=store, limits=_limits(options))
        self.runtime.gate = gate
        self.answer = self.runtime.executor.answer
        self._succession = Succession(self.runtime, owner_roles(self.runtime))
        self._shutdown = ActorShutdown(self.runtime, store)
        self.runtime.host.loop = host_loop
        self._hooks = hooks
        self._hands_over = False
        self.server: Server | None = None
        self.channels: ChannelServer | None = None
        self.runtime.host.wants_loop = bool(hooks) and hooks.need_loop
        self._spool = SpoolIntake(store, self.runtime, publisher.under_policy, permit)
        self.runtime.pools.is_open = (self.runtime.hooks_started or not hooks) and not self._spool.is_waiting()

    def start(
        self,
        specs: dict[str, HandlerSpec],
        schedules: Mapping[str, Schedule],
        given_up: Callable[[], bool] = lambda: False,
        recovered: Callable[[], None] = lambda: None,
    ) -> Recovery:
        """Start the actors, and return the recovery report once every handler has all its workers.

        Args:
            specs: handlers by type name.
            schedules: schedules by name.
            given_up: returns True once no caller waits for this start any more; a start hook then ends.
            recovered: called once the actors answer, before hooks run and handlers are at work.

        Raises:
            Whatever a start hook raises, and all that `ask` raises.
        """
        self._interpreter.apply()
        runtime, states = self.runtime, self._take_states()
        for spec in specs.values():
            runtime.pools.add(Pool(spec))
        for schedule in list(schedules.values()):
            runtime.extensions.add_schedule(schedule)
        broken = contradictions(states.queue, states.dead_letters)
        self._has_read(states.seq)
        dead_before = len(states.queue.dead)
        self._clock.subscribe(lambda: runtime.directory.tell_all(Wake()))
        self._store.watch_ownership(lambda lost: runtime.budget.stop_for_good(f"the system has stopped: {lost}", lost))
        self._succession.begin()
        report = self._ask_until("queue", Report(), given_up)  # before any delivery, so it counts what was recovered
        self._has_read(self._store.last_seq)
        is_left = self._spool.take_in()
        runtime.pending.release_publishes()
        recovered()
        self._open(given_up)
        for spec in specs.values():
            register(partial(self._ask_until, given_up=given_up), spec, self._started_us)
        self._ask_until("supervisor", WhenStaffed(), given_up)
        if schedules:
            runtime.directory.tell("supervisor", StartActor("scheduler"))
        if self._spool.source is not None and (is_left or self._spool.goes_on or self.server is not None):
            runtime.add_outbox(self._spool.source)
        waiting = {name: counts.ready + counts.delayed + counts.held for name, counts in report.by_type.items()}
        if self.server is None:  # else other processes may have handlers for them
            for warning in namesakes(waiting, specs):
                logger.warning("%s", warning)
        recovery = Recovery(
            last_seq=self._opened.last_seq,
            snapshot_seq=0 if self._is_warm else self._base,
            deputy_seq=self._base if self._is_warm else 0,
            events_replayed=states.seq - self._base,
            cut_bytes=self._opened.cut_bytes,
            cut_from_seq=self._opened.cut_from_seq,
            in_flight_taken_back=runtime.orphans.taken_at_start,
            dead_lettered=report.dead - dead_before,
            waiting=sum(waiting.values()),
            dead_letters=report.dead,
            contradictions=tuple(broken),
        )
        logger.log(logging.CRITICAL if broken else logging.INFO, "%s", recovery)
        runtime.directory.tell("supervisor", ev.Started(runtime.run, runtime.executor.pid(), _version(), recovery.plain()))
        return recovery

    def record_what_has_ended(self) -> None:
        """Start the actors for what has no answer yet, of a process that stops: nothing is handed out. `shut_down` ends them."""
        runtime = self.runtime
        self._hands_over = True  # other processes may wait for the folder
        self._take_states()
        self._succession.begin()
        opened = {"last_seq": self._opened.last_seq, "snapshot_seq": self._base}
        runtime.directory.tell("supervisor", ev.Started(runtime.run, runtime.executor.pid(), _version(), opened))

    def _take_states(self) -> States:
        """Give the actors the states that they start with, and return them; from now on this holds none."""
        runtime, states = self.runtime, self._states
        del self._states  # the actors drop them when they fold the log again
        newest = max(self._store.snapshot_seqs(), default=0) if self._is_warm else self._base
        runtime.log.snapshot_due = newest + self._options.snapshot_events
        behind = states.seq - newest
        if saves_what_was_folded(states.queue, states.seq - self._base, behind, self._options.snapshot_events):
            runtime.log.start_snapshot = Snapshot(states.seq, states.encode())
        for part in ("queue", "dispatcher", "dead_letters"):
            runtime.log.start_states[part] = States(
                states.queue, states.handlers, states.dead_letters, states.seq, states.at_us, frozenset({part})
            )
        return states

    def _open(self, given_up: Callable[[], bool]) -> None:
        """Run the start hooks, then allow deliveries."""
        runtime = self.runtime
        if self._hooks and not runtime.hooks_started:
            if self._hooks.need_loop:
                runtime.directory.tell("supervisor", StartActor("event_loop"))
                self.ask("supervisor", WhenStaffed())
            self._hooks.run_start(runtime, given_up)
            runtime.hooks_started = True
        runtime.pools.is_open = True

    @property
    def role(self) -> Role:
        """See `Run.role`."""
        return "owner"

    @property
    def handled(self) -> Collection[str]:
        """See `Run.handled`."""
        return self.runtime.pools.handled()

    def run_figures(self) -> RunFigures:
        """See `Run.run_figures`."""
        runtime = self.runtime
        figures = run_figures(runtime.health, runtime.figures, runtime.pools, runtime.executor.monotonic_s())
        return figures if self.server is None else attrs.evolve(figures, deputies=self.server.deputies())

    def hold_history(self) -> AbstractContextManager[None]:
        """See `Run.hold_history`."""
        return self.runtime.log.store.hold_history()

    @property
    def _started_us(self) -> int:
        """When this process began, where others may have the same handlers; else 0."""
        return 0 if self.server is None or not self.server.has_members else self.runtime.started_us

    def add(self, spec: HandlerSpec, schedule: Schedule | None = None) -> None:
        """Register a handler, and a schedule with it, while the actors run; return once its workers run.

        Raises:
            As `ask`.
        """
        pool = self.runtime.pools.add(Pool(spec))
        before, pool.registered = pool.registered, spec  # `before` is another spec where this one replaces a running handler
        try:
            register(self.ask, spec, self._started_us)
        except BaseException:
            pool.registered = before
            raise
        self.ask("supervisor", WhenStaffed())
        if self.server is not None:
            self.server.tell_news()
        if schedule is not None:
            self.runtime.add_schedule(schedule)

    def serve(self, owner: Owner) -> None:
        """Answer other processes from now on."""
        if self.server is None and isinstance(self._store, HasChannels):
            self.server = Server(None)
            self.channels = ChannelServer(self._store.channels(), self.server, self._spool.hurry)
        if self.server is not None:
            self.server.serve(owner)
        if self.channels is not None:
            self.channels.start()

    def ask(self, actor: str, command: Any, *, timeout_s: float = ASK_TIMEOUT_S) -> Any:
        """Ask an actor and return its answer. If the actor dies, its successor is asked again. Safe in any thread but an actor's.

        Raises:
            NotRunning, StoreUnavailable: no actor can answer.
            TimeoutError: no answer came within `timeout_s` seconds.
            PerdureError: the actor refused the command.
        """
        runtime = self.runtime
        return asked(runtime.pending, runtime.executor.answer(), actor, command, timeout_s)

    def _ask_until(self, actor: str, command: Any, given_up: Callable[[], bool]) -> Any:
        """As `ask`, without its bound as long as no actor dies: there may be much to recover, and the machine may be slow.

        Raises:
            As `ask`; TimeoutError: also where the start was given up.
        """
        runtime = self.runtime
        answer = runtime.executor.answer()
        request = runtime.pending.send(actor, command, answer)
        until_s = runtime.executor.monotonic_s() + ASK_TIMEOUT_S
        seq = self._store.last_seq
        while True:
            try:
                return answer.wait(LOOK_S)
            except TimeoutError as error:
                if seq != (seq := self._store.last_seq):
                    self._has_read(seq)
                if isinstance(error, PerdureError):
                    raise  # its own answer
                has_trouble = runtime.health.counters.get("actor_deaths", 0) > 0
                if given_up() or (has_trouble and runtime.executor.monotonic_s() > until_s):
                    runtime.pending.forget(request)
                    msg = f"the {actor} did not answer within {ASK_TIMEOUT_S:g} s" if has_trouble else "the start was given up"
                    raise TimeoutError(msg) from None


def _limits(options: Options) -> Limits:
    """Return the bounds of what waits and what is kept."""
    return Limits(
        backlog=options.backlog_max,
        backlog_bytes=options.backlog_bytes,
        dead_letters=options.dead_letters_max,
        dead_letters_bytes=options.dead_letters_bytes_max,
        results=options.results_max,
        results_bytes=options.results_bytes_max,
        held_keys=options.held_keys_max,
        drop_newest=options.dead_letters_full == "drop_newest",
    )


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - used once, at the start; importing it takes 20 ms

    try:
        return version("perdure")
    except PackageNotFoundError:  # a package without metadata: frozen into one file, or copied
        return "unknown"
