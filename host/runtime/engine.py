"""The life of one run: from an opened store to running actors, and back to a closed one.

Nothing is decided here about messages; which actor is started again when it dies is the supervisor's business.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import sys
from typing import TYPE_CHECKING, Any, Protocol

from perdure.actors.core.actor import ActorKilled
from perdure.actors.core.messages import EndGrace, Quiesce, Report, StartActor, Wake, WhenStaffed
from perdure.actors.journal.decider import Decider
from perdure.actors.journal.journal import Journal
from perdure.actors.journal.log_fold import fold_log
from perdure.actors.journal.snapshotter import retire, take
from perdure.actors.services.roles import ON_DEMAND, ROLES
from perdure.actors.services.runtime import Runtime
from perdure.actors.services.supervisor import Supervisor
from perdure.actors.workers.pool import Pool
from perdure.actors.workers.worker import Worker
from perdure.events import vocabulary as ev
from perdure.events.codec.snapshot import States
from perdure.events.errors import NotRunning, PerdureError, StoreUnavailable
from perdure.events.handlers import registry as handler_rules
from perdure.events.limits import Limits
from perdure.events.queue.invariants import contradictions
from perdure.runtime.asking import ASK_TIMEOUT_S
from perdure.runtime.recovery_report import Recovery
from perdure.store import Recovered, Snapshot

if TYPE_CHECKING:
    import asyncio
    import random
    from collections.abc import Callable, Mapping

    from perdure.actors.core.actor import Actor
    from perdure.actors.core.answer import Answer
    from perdure.actors.core.clock import Clock
    from perdure.actors.core.executor import Executor
    from perdure.actors.core.extensions import Schedule, Source
    from perdure.actors.sessions.server import Server
    from perdure.actors.workers.handler_spec import HandlerSpec
    from perdure.actors.workers.publisher import Publisher
    from perdure.options import Options
    from perdure.store import EventStore

__all__ = ["ASK_TIMEOUT_S", "Engine"]

logger = logging.getLogger("perdure")

LEAVE_S = 0.5
"""How long what runs the host's code has to end, beyond the grace period of a stop."""
LOOK_S = 0.05
"""How often a stop looks whether it waits for what cannot come."""
LEAVING = (
    "supervisor",
    "scheduler",
    "relay",
    "dispatcher",
    "queue",
    "journal",
    "dead_letters",
    "timer",
    "snapshotter",
    "event_loop",
)
"""In this order, each still finds those it has something to tell."""


class Hooks(Protocol):
    """The host's start and stop hooks; `perdure.handling.hooks` implements it."""

    def __bool__(self) -> bool:
        """Return whether there are any."""

    def run_start(self, runtime: Runtime, given_up: Callable[[], bool]) -> None:
        """Run the start hooks.

        Raises:
            Whatever a hook raises.
        """

    def run_stop(self, runtime: Runtime, seconds: float) -> None:
        """Run the stop hooks within so many seconds."""


class Engine:
    """One run of the actors on an open store. Made and used under the system's lifecycle lock, but for `ask` and `add`."""

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
    ) -> None:
        self._store = store
        self._clock = clock
        self._options = options
        self._is_shut_down = self._hurried = False
        self._switching: tuple[float, float] | None = None
        self._collector: tuple[tuple[int, int, int], tuple[int, int, int]] | None = None
        self._states, self._base = fold_log(
            store,
            finished_max=options.finished_max,
            spill=store.spill(),
            resident_max=options.resident_payload_bytes,
        )
        limits = Limits(
            backlog=options.backlog_max,
            backlog_bytes=options.backlog_bytes,
            dead_letters=options.dead_letters_max,
            dead_letters_bytes=options.dead_letters_bytes_max,
            results=options.results_max,
            results_bytes=options.results_bytes_max,
            held_keys=options.held_keys_max,
            drop_newest=options.dead_letters_full == "drop_newest",
        )
        self.runtime = Runtime(
            store=store,
            clock=clock,
            rng=rng,
            publisher=publisher,
            tuning=options,
            limits=limits,
            run=run,
            executor=executor,
        )
        self.runtime.host.loop = host_loop
        self._hooks = hooks
        self._hooks_started = False
        self.server: Server | None = None
        """Where the folder is shared: answers other processes."""
        self.runtime.host.wants_loop = bool(hooks)
        self.runtime.pools.is_open = not hooks

    def start(
        self,
        opened: Recovered,
        specs: dict[str, HandlerSpec],
        schedules: Mapping[str, Schedule],
        given_up: Callable[[], bool] = lambda: False,
    ) -> Recovery:
        """Start the actors; returns when every handler has all its workers, with what recovery did."""
        self._calm_collector()
        runtime, states = self.runtime, self._states
        del self._states  # the actors have them from here on, and let go of them when they fold the log anew
        runtime.log.snapshot_due = max(self._base, 0) + self._options.snapshot_events
        for part in ("queue", "dispatcher", "dead_letters"):
            runtime.log.start_states[part] = States(
                states.queue, states.handlers, states.dead_letters, states.seq, states.at_us, frozenset({part})
            )
        for spec in specs.values():
            runtime.pools.add(Pool(spec))
        for schedule in list(schedules.values()):
            runtime.extensions.add_schedule(schedule)
        runtime.directory.on_supervisor_death = self._replace_supervisor
        broken = contradictions(states.queue, states.dead_letters)
        dead_before, out_before = len(states.queue.dead), len(states.queue.leased)
        self._clock.subscribe(lambda: runtime.directory.tell_all(Wake()))
        runtime.directory.enter(Supervisor(runtime, 1))
        report = self.ask("queue", Report())  # before there is anybody to hand out to: what waits is what was recovered
        self._open(given_up)
        for spec in specs.values():
            self.ask("dispatcher", handler_rules.Register(spec.registration()))
        self.ask("supervisor", WhenStaffed())
        if schedules:
            runtime.directory.tell("supervisor", StartActor("scheduler"))
        recovery = Recovery(
            last_seq=opened.last_seq,
            snapshot_seq=self._base,
            events_replayed=states.seq - self._base,
            cut_bytes=opened.cut_bytes,
            cut_from_seq=opened.cut_from_seq,
            in_flight_taken_back=out_before,
            dead_lettered=report.dead - dead_before,
            waiting=sum(c.ready + c.delayed + c.held for c in report.by_type.values()),
            dead_letters=report.dead,
            contradictions=tuple(broken),
        )
        logger.log(logging.CRITICAL if broken else logging.INFO, "%s", recovery)
        runtime.directory.tell("supervisor", ev.Started(runtime.run, runtime.executor.pid(), _version(), recovery.plain()))
        return recovery

    def _open(self, given_up: Callable[[], bool]) -> None:
        """Run the start hooks; from then on messages are handed out."""
        runtime = self.runtime
        if self._hooks:
            runtime.directory.tell("supervisor", StartActor("event_loop"))
            self.ask("supervisor", WhenStaffed())
            self._hooks.run_start(runtime, given_up)
            self._hooks_started = True
        runtime.pools.is_open = True

    def _run_stop_hooks(self, seconds: float) -> None:
        if self._hooks_started:
            self._hooks_started = False
            self._hooks.run_stop(self.runtime, seconds)

    def _calm_collector(self) -> None:
        """Set the interpreter as the options say: `gc_threshold`, `switch_interval_s`."""
        wanted, before = self._options.gc_threshold, gc.get_threshold()
        if 0 < before[0] < wanted:
            self._collector = (before, (wanted, max(before[1], 20), max(before[2], 100)))
            gc.set_threshold(*self._collector[1])
        interval_s = self._options.switch_interval_s
        if interval_s is not None:
            before_s = sys.getswitchinterval()
            sys.setswitchinterval(interval_s)
            self._switching = (before_s, sys.getswitchinterval())

    def _restore_collector(self) -> None:
        switching, self._switching = self._switching, None
        if switching is not None and sys.getswitchinterval() == switching[1]:  # else the host has set another one meanwhile
            sys.setswitchinterval(switching[0])
        if self._collector is not None and gc.get_threshold() == self._collector[1]:
            gc.set_threshold(*self._collector[0])

    def add(self, spec: HandlerSpec, schedule: Schedule | None = None) -> None:
        """Register a handler, or a schedule with its handler, while the actors run; returns when it is at work."""
        pool = self.runtime.pools.add(Pool(spec))
        before, pool.registered = pool.registered, spec  # another, where it takes the place of one that runs
        try:
            self.ask("dispatcher", handler_rules.Register(spec.registration()))
        except BaseException:
            pool.registered = before
            raise
        self.ask("supervisor", WhenStaffed())
        if schedule is not None:
            self.add_schedule(schedule)

    def add_schedule(self, schedule: Schedule) -> None:
        """Let a schedule begin while the actors run."""
        self.runtime.extensions.add_schedule(schedule)
        self.runtime.directory.tell("supervisor", StartActor("scheduler"))
        self.runtime.directory.tell("scheduler", Wake())

    def add_outbox(self, source: Source) -> None:
        """Have an outbox relayed from now on."""
        self.runtime.extensions.add_outbox(source)
        self.runtime.directory.tell("supervisor", StartActor("relay"))
        self.runtime.directory.tell("relay", Wake())

    def ask(self, actor: str, command: Any, *, timeout_s: float = ASK_TIMEOUT_S) -> Any:
        """Ask an actor and wait for its answer; asked again by itself if the actor dies.

        Raises:
            NotRunning, StoreUnavailable: nobody can answer.
            TimeoutError: no answer in time.
            PerdureError: the actor refused.
        """
        pending = self.runtime.pending
        answer = self.runtime.executor.answer()
        request = pending.send(actor, command, answer)
        try:
            return answer.wait(timeout_s)
        except TimeoutError:
            pending.forget(request)
            msg = f"the {actor} did not answer within {timeout_s:g} s"
            raise TimeoutError(msg) from None

    def _replace_supervisor(self, dead: Actor, cause: BaseException) -> None:
        """Start another supervisor, unless it dies too often. Runs in the thread of the one that is dead."""
        runtime = self.runtime
        if self._is_shut_down or runtime.health.failed is not None:
            return
        if not isinstance(cause, ActorKilled):
            logger.error("actor supervisor died: %r", cause, exc_info=cause)
            pause_s = runtime.budget.count_death("supervisor", cause)
            if runtime.health.failed is not None:
                return
            runtime.executor.sleep(pause_s)
        try:
            runtime.directory.enter(Supervisor(runtime, dead.generation + 1))
        except (RuntimeError, OSError, MemoryError) as error:  # nobody would be left to notice that
            runtime.budget.stop_for_good(f"the system has stopped: its supervisor could not be replaced: {error!r}", error)

    def stop(self, grace_s: float, why: NotRunning) -> None:
        """Bring the handlers to rest, then let the actors go and close the store."""
        runtime = self.runtime
        runtime.health.closing = True
        failed = runtime.health.failed is not None
        runtime.pending.closed = runtime.pending.closed or why
        until_s = runtime.executor.monotonic_s() + grace_s
        try:
            if not failed:
                self._quiesce(grace_s)
        finally:
            self.shut_down(why, until_s - runtime.executor.monotonic_s())

    def end_grace(self) -> None:
        """End the grace period of a stop that is under way."""
        self._hurried = True
        self.runtime.directory.tell("dispatcher", EndGrace())

    def _quiesce(self, grace_s: float) -> None:
        runtime = self.runtime
        answer = runtime.executor.answer()
        runtime.pending.send("dispatcher", Quiesce(0.0 if self._hurried else grace_s), answer, from_outside=False)
        try:
            self._wait_for_rest(answer, grace_s)
            runtime.directory.tell("supervisor", ev.Stopped(runtime.run))
        except (TimeoutError, PerdureError) as error:
            logger.warning("the handlers could not be brought to rest, their messages will be taken back: %r", error)

    def _wait_for_rest(self, answer: Answer, grace_s: float) -> None:
        """Wait until the dispatcher says that all is on record.

        Raises:
            TimeoutError: it cannot come: an actor that it needs is held up by a callback of the host's, or a minute is over.
        """
        with contextlib.suppress(TimeoutError):
            answer.wait(grace_s + LEAVE_S)
            return
        until_s = self.runtime.executor.monotonic_s() + ASK_TIMEOUT_S
        while not (stuck := self._in_callbacks()) and self.runtime.executor.monotonic_s() < until_s:
            self.runtime.directory.tell(
                "dispatcher", EndGrace()
            )  # its clock may stand still, or it may have died and begun the period anew
            with contextlib.suppress(TimeoutError):
                answer.wait(LOOK_S)
                return
        raise TimeoutError(f"a callback of a future still runs in the {stuck[0]}" if stuck else "no answer within a minute")

    def _in_callbacks(self) -> list[str]:
        return [name for name in LEAVING if (actor := self.runtime.directory.actors.get(name)) is not None and actor.in_callback]

    def _close_server(self, why: NotRunning) -> None:
        if self.server is not None:
            self.server.close(why)

    def discard_after_fork(self, why: NotRunning) -> None:
        """In a forked child: none of this is here but its memory; the parent's files and locks are left alone."""
        self._is_shut_down = True
        self._restore_collector()
        self.runtime.health.closing = True
        if self.server is not None:
            self.server.discard_after_fork()
        self.runtime.pending.discard_after_fork(why)

    def shut_down(self, why: NotRunning, seconds: float = 0.0) -> None:
        """Run the stop hooks, within so many seconds, and let the actors go; the journal closes the store.

        They go in the order in which they still tell each other something.
        What the host's code holds up is left behind, as a daemon thread that can write nothing any more.
        """
        runtime = self.runtime
        runtime.health.closing = self._is_shut_down = True
        self._restore_collector()
        left: list[str] = []
        try:
            for pool in list(runtime.pools.by_type.values()):
                pool.closed = True
            self._run_stop_hooks(seconds)
            leave_by_s = runtime.executor.monotonic_s() + LEAVE_S
            left += [name for name in LEAVING if not self._let_go(name, leave_by_s)]
            runtime.pending.abandon(why)
            self._close_server(why)
            self._end_workers()
            if runtime.health.failed is None and not left:
                self._last_snapshot()
            self._store.close()
        except StoreUnavailable as error:
            logger.warning("the log could not be closed in good order, the next start recovers it: %s", error)
        finally:
            self._close_server(why)
            self._store.abandon()
            self._tell_left(left)

    def _let_go(self, name: str, leave_by_s: float) -> bool:
        """Have an actor end; False where it is left behind."""
        runtime, gone = self.runtime, None
        while (actor := runtime.directory.actors.get(name)) is not gone and actor is not None:  # it may just have been replaced
            if actor.actor_ref.is_alive():
                actor.actor_ref.stop(block=False)
            until_s = runtime.executor.monotonic_s() + ASK_TIMEOUT_S
            while runtime.executor.runs(actor):
                now_s = runtime.executor.monotonic_s()
                if now_s >= (leave_by_s if actor.runs_host_code or actor.in_callback else until_s):
                    self._abandon(actor)
                    return False
                runtime.executor.join(actor, max(0.001, min(LOOK_S, leave_by_s - now_s)) if actor.runs_host_code else LOOK_S)
            gone = actor
        return True

    def _abandon(self, actor: Actor) -> None:
        with contextlib.suppress(RuntimeError):  # at the interpreter's exit no thread can be started, and none is needed
            actor.kill()

    def _end_workers(self) -> None:
        runtime = self.runtime
        for call in list(runtime.host.loop_calls):
            call.give_up(NotRunning("the system stopped while this handler was on its event loop"))
        for name, actor in list(runtime.directory.actors.items()):
            if name not in ROLES and name not in ON_DEMAND and name != "supervisor":
                self._abandon(actor)
        for pool in list(runtime.pools.by_type.values()):
            for process in list(pool.processes.values()):
                process.close()

    def _tell_left(self, left: list[str]) -> None:
        """Say which threads go on without the system: nobody can end a thread that is in a call of the host's."""
        runtime = self.runtime
        until_s = runtime.executor.monotonic_s() + LOOK_S
        for name, actor in list(runtime.directory.actors.items()):
            if isinstance(actor, Worker):
                runtime.executor.join(actor, max(0.0, until_s - runtime.executor.monotonic_s()))
                if runtime.executor.runs(actor):
                    left.append(name)
        if left:
            logger.warning(
                "left behind as daemon threads, since they did not end in their time: %s. The folder is free; a message whose "
                "handler goes on there is given to another at the next start, and what that handler still does is not taken",
                ", ".join(left),
            )

    def _last_snapshot(self) -> None:
        """Save the state as it is at the end, so that the next start replays almost nothing.

        Where the deciders have come to rest and this very journal has written all that they decided in their terms, what they
        hold is the fold of the whole log (law 1); else the log is folded.
        """
        runtime = self.runtime
        journal = runtime.directory.actors.get("journal")
        deciders = [runtime.directory.actors.get(name) for name in ("queue", "dispatcher", "dead_letters")]
        try:
            if isinstance(journal, Journal) and journal.at_rest and all(_is_on_record(d, journal) for d in deciders):
                states: list[Any] = [getattr(actor, "state", None) for actor in deciders]
                if runtime.log.store.last_seq:
                    whole = States(states[0], states[1], states[2], runtime.log.store.last_seq, self._clock.now_us())
                    runtime.log.store.save_snapshot(Snapshot(whole.seq, whole.chunks))
                    retire(runtime.log, runtime.health)
            else:
                take(runtime.log, runtime.health, None)
        except PerdureError as error:
            logger.warning("no snapshot at the end, the next start replays more: %s", error)


def _is_on_record(actor: Actor | None, journal: Journal) -> bool:
    """Tell whether everything that a decider holds has been written by this journal.

    One that died with it may have taken decisions along that the decider still holds, if it was stopped before it heard of that.
    """
    return isinstance(actor, Decider) and actor.at_rest and actor.ready and journal.terms.get(actor.name) == actor.term


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - once, at the start; importing it costs 20 ms

    try:
        return version("perdure")
    except PackageNotFoundError:  # the package is there and its metadata is not: frozen into one file, or copied
        return "unknown"
