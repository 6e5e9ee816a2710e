"""The supervisor: watches all actors, starts successors with growing pauses, and stops the run if one dies again and again.

How an actor is built is in `roles`; how it gets its state back, in the actor; pauses and budget are in `restart_budget`, and what
is recorded in `actor_record`.
"""

from __future__ import annotations

import logging
from heapq import heappop, heappush
from traceback import clear_frames
from typing import TYPE_CHECKING, Any

from perdure.actors.core.actor import Actor, ActorKilled
from perdure.actors.core.messages import Down, Restarted, StartActor, TermBegun, Up
from perdure.actors.core.texts import one_line, plain_text
from perdure.actors.core.threads.mailbox import stops
from perdure.actors.execution.event_loop import LoopClosed
from perdure.actors.requests.request import Request
from perdure.actors.workers.pools.worker_messages import StartWorker, WorkerDown
from perdure.actors.workers.worker import Worker
from perdure.events import vocabulary as ev
from perdure.events.errors import FolderMoved, OwnershipLost, StoreUnavailable
from perdure.events.loggers import GuardedLogger

if TYPE_CHECKING:
    from perdure.actors.services.role_table import RoleTable
    from perdure.actors.services.runtime import HandlerRuntime
    from perdure.actors.workers.pools.pool import Pool

__all__ = ["Supervisor"]

logger = GuardedLogger("perdure")

LOOK_AGAIN_S = 0.02
"""How often to look while a request waits for the workers: the dispatcher changes their list without a message."""
CAUSE_CHARS = 300
"""How much is recorded of what an actor died of."""
LOOK_SOON_S = 0.0005
"""The first pause before another look where an actor is just beginning; each later one is twice as long."""


class Supervisor(Actor):
    """Restarts each actor that dies, and only that one. Actors that depend on it start over when they receive `Restarted`."""

    def __init__(self, runtime: HandlerRuntime, roles: RoleTable, generation: int) -> None:
        super().__init__(runtime.directory, "supervisor", generation)
        self.runtime = runtime
        self.roles = roles
        self.record = roles.record()
        self.pending = runtime.pending
        self.pools = runtime.pools
        self.health = runtime.health
        self.actors = runtime.directory.actors
        self.executor = runtime.executor
        self.restarts_due: list[tuple[float, str]] = []
        self.causes: dict[str, str] = {}
        """What each actor died of that has no successor yet."""
        self.waiting: list[Request] = []
        """Requests to answer when every handler has all its workers."""
        self.look_again_s, self.look_soon_s = LOOK_AGAIN_S, LOOK_SOON_S

    def on_start(self) -> None:
        """Start the actors that are missing: all at first, later those that died while no supervisor ran."""
        for name, role in self.roles.always.items():
            if name not in self.actors:
                self.runtime.directory.enter(role(1))
        self.record.begin()
        for name, actor in list(self.actors.items()):
            if name != self.name and not self.executor.runs(actor):
                self._on_death(Down(name, actor, ActorKilled(name)))
        if self.generation > 1:
            self._go_on_from_predecessor()

    def _go_on_from_predecessor(self) -> None:
        """Record the predecessor's death, and send again all that it may not have sent: twice is harmless.

        It may have died right after it started an actor, before it notified others of that or of the journal.
        """
        for what in ("actor_deaths", "actor_restarts"):
            self.health.count(what)
        self.record.add(ev.ActorRestarted(self.name, "", self.generation - 1))  # the cause died with it; its log line has it
        self.directory.tell("dispatcher", Restarted(self.name))
        extensions, host = self.runtime.extensions, self.runtime.host
        wanted = {
            "event_loop": host.wants_loop or any(pool.needs_loop for pool in self.pools.by_type.values()),
            "scheduler": extensions.schedules,
            "relay": extensions.outboxes,
            "bulk_runner": extensions.has_bulks,
        }
        for name, needed in wanted.items():
            if needed:
                self._start_if_missing(name, None)  # the message for it may have been in the predecessor's mailbox
        self.runtime.directory.tell_all(Restarted("timer"))
        self.waiting += self.pending.unanswered(self.name)
        self._on_journal_up()

    def patience_s(self) -> float | None:
        """See `Actor.patience_s`: until the next restart is due; less while a request waits for the workers."""
        due_s = max(0.0, self.restarts_due[0][0] - self.executor.monotonic_s()) if self.restarts_due else None
        if not self.waiting:
            return due_s
        return self.look_again_s if due_s is None else min(due_s, self.look_again_s)

    def turn(self, items: list[Any]) -> bool:
        """Handle deaths as they come, and restarts as they fall due."""
        for item in items:
            match item:
                case _ if stops(item):
                    self.record.flush()
                    return False
                case Down() as down:
                    self._on_death(down)
                case Up():
                    self._on_journal_up()
                case Restarted(name="journal"):
                    self.record.begin()
                case TermBegun() as answer:
                    self.record.begun(answer)
                case StartActor(name=name):
                    self._start_if_missing(name, None)
                case StartWorker(name=name, pool=pool):
                    self._start_if_missing(name, pool)
                case Request() as request:
                    self.waiting.append(request)
                case ev.Event() as event:
                    self.record.add(event)
        while self.restarts_due and self.restarts_due[0][0] <= self.executor.monotonic_s():
            self._restart(heappop(self.restarts_due)[1])
        if self.waiting:
            self._answer_if_staffed()
        return True

    def _answer_if_staffed(self) -> None:
        """Answer the requests that wait for the workers if all of them are at work."""
        if not self._is_staffed():
            begins = any(actor.is_beginning and self.executor.runs(actor) for actor in list(self.actors.values()))
            self.look_again_s = self.look_soon_s if begins else LOOK_AGAIN_S
            self.look_soon_s = min(2 * self.look_soon_s, LOOK_AGAIN_S) if begins else LOOK_SOON_S
            return
        waiting, self.waiting = self.waiting, []
        self.pending.settle_all(waiting)

    def _is_staffed(self) -> bool:
        """Return whether every handler has all the workers it should have, and the event loop if its workers need it."""
        if self.runtime.host.wants_loop and not self._is_at_work("event_loop"):
            return False
        for pool in list(self.pools.by_type.values()):
            workers = dict(pool.workers)
            gone = sum(not self._is_at_work(name) for name in workers)
            # A worker that was to retire may have gone before the dispatcher knows; the dispatcher sends no message when it does.
            retiring = len(pool.retiring)
            if len(workers) - retiring < pool.target or gone > retiring or None in workers.values():
                return False
            if pool.needs_loop and not self._is_at_work("event_loop"):
                return False
        return True

    def _is_at_work(self, name: str) -> bool:
        actor = self.actors.get(name)
        return actor is not None and not actor.is_beginning and self.executor.runs(actor)

    # --- deaths ----------------------------------------------------------------------------------------------------------

    def _on_death(self, down: Down) -> None:
        """Answer an actor's end: note it if it was in good order; else start a successor, or end the run if none would help."""
        name, cause = down.name, down.cause
        if self.actors.get(name) is not down.actor or self.health.failed is not None:
            return
        if cause is None:
            self._note_end(down)
        elif any(pending == name for _, pending in self.restarts_due):
            return
        elif isinstance(cause, (FolderMoved, OwnershipLost, LoopClosed)):  # no restart brings the log, or the host's loop, back
            self.runtime.budget.stop_for_good(f"the system has stopped: {cause}", cause)
        else:
            self._answer_death(name, cause)

    def _answer_death(self, name: str, cause: BaseException) -> None:
        """Count a death and start the successor: at once, or after the pause that the deaths before it ask for."""
        self.health.count("actor_deaths")
        _log_death(name, cause)
        clear_frames(cause.__traceback__)  # else what it was at work with is kept for as long as the error is
        pause_s = self._pause_s(name, cause)
        if self.health.failed is not None:
            return
        if name == "journal" and isinstance(cause, StoreUnavailable):
            self.health.count("io_errors")
            if pause_s:
                # It failed again at once: callers outside should not wait for a disk that is full.
                self.pending.close(cause)
        self.health.deaths[name] = self.health.deaths.get(name, 0) + 1
        self.causes[name] = _cause_text(cause)
        if pause_s:
            heappush(self.restarts_due, (self.executor.monotonic_s() + pause_s, name))
        else:
            self._restart(name)

    def _pause_s(self, name: str, cause: BaseException) -> float:
        """Return how long the successor waits. Kills are not counted, nor are I/O errors: a disk may be full for long."""
        if isinstance(cause, ActorKilled):
            return 0.0
        return self.runtime.budget.count_death(name, cause, counted=not isinstance(cause, StoreUnavailable))

    def _note_end(self, down: Down) -> None:
        """Note that an actor ended in good order; for a worker that means that its slot is gone."""
        self.actors.pop(down.name, None)
        if isinstance(down.actor, Worker):
            self.directory.tell("dispatcher", WorkerDown(down.actor.pool, down.name, restarted=False))

    # --- starts ----------------------------------------------------------------------------------------------------------

    def _restart(self, name: str) -> None:
        old = self.actors[name]
        self.health.count("actor_restarts")
        if isinstance(old, Worker):
            self._enter(self.roles.worker(old.pool, name, old.generation + 1))
            self.directory.tell("dispatcher", WorkerDown(old.pool, name, restarted=True))
        else:
            role = self.roles.always.get(name) or self.roles.on_demand[name]
            self._enter(role(old.generation + 1))
        if name == "timer":
            self.runtime.directory.tell_all(Restarted(name))
        self.record.add(ev.ActorRestarted(name, self.causes.pop(name, ""), self.health.deaths.get(name, 0)))

    def _on_journal_up(self) -> None:
        """Make all actors start over with every unanswered request: the log is open again, and may lack their last events."""
        journal = self.actors.get("journal")
        if journal is None or journal.generation == 1:
            return
        self.pending.reopen()
        self.runtime.directory.tell_all(Restarted("journal"))

    def _start_if_missing(self, name: str, pool: Pool | None) -> None:
        if name in self.actors:
            return
        self._enter(self.roles.on_demand[name](1) if pool is None else self.roles.worker(pool, name, 1))

    def _enter(self, actor: Actor) -> None:
        """Start an actor; if the operating system gives no thread for it, try again later."""
        try:
            self.runtime.directory.enter(actor)
        except (RuntimeError, OSError, MemoryError) as error:
            if self.executor.runs(actor):
                raise
            pause_s = self.runtime.budget.count_death(actor.name, error, counted=False)
            level = logging.DEBUG if self.health.lacks_threads else logging.ERROR
            self.health.lacks_threads = True
            logger.log(level, "the %s cannot be started, tried again until it can: %r. Have fewer workers?", actor.name, error)
            heappush(self.restarts_due, (self.executor.monotonic_s() + max(pause_s, LOOK_AGAIN_S), actor.name))


def _cause_text(cause: BaseException) -> str:
    """Return what an actor died of in one line; of a kill just its name, as the rest is the actor's own."""
    name = type(cause).__name__
    return name if isinstance(cause, ActorKilled) else f"{name}: {one_line(plain_text(cause), CAUSE_CHARS)}"


def _log_death(name: str, cause: BaseException) -> None:
    killed, io_error = isinstance(cause, ActorKilled), isinstance(cause, StoreUnavailable)
    level = logging.INFO if killed else logging.ERROR
    logger.log(level, "actor %s died: %r", name, cause, exc_info=None if killed or io_error else cause)
    if io_error:  # its message says all that an operator needs, and a full disk may bring many
        logger.debug("how actor %s died:", name, exc_info=cause)
