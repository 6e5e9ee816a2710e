"""The supervisor: watches all actors, starts successors with growing pauses, and gives up when one dies again and again.

How an actor gets its state back is its own business; here only who is started, when, and who is told.
"""

from __future__ import annotations

import logging
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

from perdure.actors.actor import Actor, ActorKilled
from perdure.actors.budget import count_death, stop_for_good
from perdure.actors.dead_letters import DeadLetters
from perdure.actors.desk import Request
from perdure.actors.dispatcher import Dispatcher
from perdure.actors.event_loop import LoopClosed, loop_actor
from perdure.actors.journal import Journal
from perdure.actors.mailbox import stops
from perdure.actors.messages import Append, Down, Hire, OnRecord, Reborn, Recall, Recalled, Up, WorkerDown
from perdure.actors.queue import Queue
from perdure.actors.relay import Relay
from perdure.actors.scheduler import Scheduler
from perdure.actors.snapshotter import Snapshotter
from perdure.actors.timer import Timer
from perdure.actors.worker import Worker
from perdure.events import vocabulary as ev
from perdure.events.errors import FolderMoved, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.actors.pool import Pool
    from perdure.actors.stage import Stage

__all__ = ["HIRED", "ROLES", "Supervisor"]

logger = logging.getLogger("perdure")

ROLES: dict[str, type[Actor]] = {
    "timer": Timer,
    "journal": Journal,
    "queue": Queue,
    "dispatcher": Dispatcher,
    "dead_letters": DeadLetters,
    "snapshotter": Snapshotter,
}
"""The actors of every system but workers and supervisor, in the order they are started."""

HIRED: dict[str, Callable[[Stage, str, int], Actor]] = {"event_loop": loop_actor, "scheduler": Scheduler, "relay": Relay}
"""The actors that only some systems need, started when something asks for them."""

LOOK_AGAIN_S = 0.02
"""While somebody waits for the workers: the list of them is the dispatcher's, and changes without a word to the supervisor."""


class Supervisor(Actor):
    """Restarts one for one. What depends on the dead finds out by `Reborn` and starts over by itself."""

    def __init__(self, stage: Stage, name: str, generation: int) -> None:
        super().__init__(stage, name, generation)
        self.term = 0
        self.ready = False
        """The journal has answered `Recall`: what it has on record of a predecessor's facts is known."""
        self.pending: list[tuple[float, str]] = []
        self.waiting: list[Request] = []
        """Who wants to be told when every handler has all its workers."""

    def on_start(self) -> None:
        """Start whoever is not there: all at first, and those who died while nobody watched."""
        for name, role in ROLES.items():
            if name not in self.stage.actors:
                self.stage.enter(role(self.stage, name, 1))
        self._recall()
        for name, actor in list(self.stage.actors.items()):
            if name != self.name and not self.stage.world.runs(actor):
                self._down(Down(name, actor, ActorKilled(name)))
        if self.generation > 1:
            for what in ("actor_deaths", "actor_restarts"):
                self.stage.count(what)
            self._record(ev.ActorRestarted(self.name, "", self.generation - 1))
            # The predecessor may have died right after it had started somebody, in the middle of telling of that or of the journal.
            # All of it is told again: twice is harmless.
            self.stage.tell("dispatcher", Reborn(self.name))
            wants_loop = self.stage.wants_loop or any(pool.needs_loop for pool in self.stage.pools.values())
            wanted = {"event_loop": wants_loop, "scheduler": self.stage.schedules, "relay": self.stage.outboxes}
            for name, needed in wanted.items():
                if needed:
                    self._hire(name, None)  # the word for it may have been in the predecessor's mailbox
            self.stage.tell_all(Reborn("timer"))
            self.waiting += self.stage.desk.unanswered(self.name)
            self._journal_up()

    def _recall(self) -> None:
        self.term = self.stage.next_term(self.name)
        self.ready = False
        self.stage.tell("journal", Recall(self.name, self.term))

    def patience_s(self) -> float | None:
        """Wait for the next restart that is due; less while somebody waits for the workers."""
        due_s = max(0.0, self.pending[0][0] - self.stage.world.monotonic_s()) if self.pending else None
        if not self.waiting:
            return due_s
        return LOOK_AGAIN_S if due_s is None else min(due_s, LOOK_AGAIN_S)

    def turn(self, items: list[Any]) -> bool:
        """Handle deaths as they come, and restarts as they fall due."""
        for item in items:
            match item:
                case _ if stops(item):
                    self._tell_unrecorded()  # with the answer to come, nobody would be here to tell it
                    return False
                case Down() as down:
                    self._down(down)
                case Up():
                    self._journal_up()
                case Reborn(name="journal"):
                    self._recall()
                case Recalled(term=term) if term == self.term:
                    self._tell_unrecorded()
                case Hire(name=name, pool=pool):
                    self._hire(name, pool)
                case Request() as request:
                    self.waiting.append(request)
                case ev.Event() as fact:
                    self._record(fact)
        while self.pending and self.pending[0][0] <= self.stage.world.monotonic_s():
            self._restart(heappop(self.pending)[1])
        if self.waiting and self._is_staffed():
            waiting, self.waiting = self.waiting, []
            self.stage.desk.settle_all(waiting)
        return True

    def _is_staffed(self) -> bool:
        """Tell whether every handler has all the workers it should have, and the event loop if its workers need it."""
        if self.stage.wants_loop and not self._runs("event_loop"):
            return False
        for pool in list(self.stage.pools.values()):
            workers = dict(pool.workers)
            gone = sum(not self._runs(name) for name in workers)
            # Who was told to retire may have gone without the dispatcher having heard of it; it will say nothing when it has.
            retiring = len(pool.retiring)
            if len(workers) - retiring < pool.target or gone > retiring or None in workers.values():
                return False
            if pool.needs_loop and not self._runs("event_loop"):
                return False
        return True

    def _runs(self, name: str) -> bool:
        actor = self.stage.actors.get(name)
        return actor is not None and self.stage.world.runs(actor)

    # --- deaths ----------------------------------------------------------------------------------------------------------

    def _down(self, down: Down) -> None:
        name = down.name
        if self.stage.actors.get(name) is not down.actor or self.stage.failed is not None:
            return
        if down.cause is None:
            self._left(down)
            return
        if any(pending == name for _, pending in self.pending):
            return
        if isinstance(down.cause, (FolderMoved, LoopClosed)):  # no try brings the folder, or the host's loop, back
            stop_for_good(self.stage, f"the system has stopped: {down.cause}", down.cause)
            return
        self.stage.count("actor_deaths")
        killed = isinstance(down.cause, ActorKilled)
        io_error = isinstance(down.cause, StoreUnavailable)
        level = logging.INFO if killed else logging.ERROR
        logger.log(level, "actor %s died: %r", name, down.cause, exc_info=None if killed or io_error else down.cause)
        if io_error:  # its message says all that an operator needs, and a full disk may bring many
            logger.debug("how actor %s died:", name, exc_info=down.cause)
        pause_s = 0.0
        if not killed:
            pause_s = count_death(self.stage, name, down.cause, counted=not io_error)
            if self.stage.failed is not None:
                return
        if io_error and name == "journal":
            self.stage.count("io_errors")
            if pause_s:
                # It failed again at once: nobody outside should wait for a disk that is full.
                self.stage.desk.close(down.cause)  # type: ignore[arg-type]
        self.stage.deaths[name] = self.stage.deaths.get(name, 0) + 1
        if pause_s:
            heappush(self.pending, (self.stage.world.monotonic_s() + pause_s, name))
        else:
            self._restart(name)

    def _left(self, down: Down) -> None:
        """An actor ended in good order; for a worker that means its slot is gone."""
        self.stage.actors.pop(down.name, None)
        if isinstance(down.actor, Worker):
            self.stage.tell("dispatcher", WorkerDown(down.actor.pool, down.name, restarted=False))

    # --- starts ----------------------------------------------------------------------------------------------------------

    def _restart(self, name: str) -> None:
        old = self.stage.actors[name]
        self.stage.count("actor_restarts")
        if isinstance(old, Worker):
            self._enter(Worker(self.stage, name, old.generation + 1, old.pool))
            self.stage.tell("dispatcher", WorkerDown(old.pool, name, restarted=True))
        else:
            role = ROLES.get(name) or HIRED[name]
            self._enter(role(self.stage, name, old.generation + 1))
        if name == "timer":
            self.stage.tell_all(Reborn(name))
        self._record(ev.ActorRestarted(name, "", self.stage.deaths.get(name, 0)))

    def _journal_up(self) -> None:
        """The log is open again: whoever may have lost facts on the way starts over, with every request that has no answer."""
        journal = self.stage.actors["journal"]
        if journal.generation == 1:
            return
        self.stage.desk.reopen()
        self.stage.tell_all(Reborn("journal"))

    def _hire(self, name: str, pool: Pool | None) -> None:
        if name in self.stage.actors:
            return
        self._enter(HIRED[name](self.stage, name, 1) if pool is None else Worker(self.stage, name, 1, pool))

    def _enter(self, actor: Actor) -> None:
        """Start an actor; where the operating system gives no thread for it, try again later."""
        try:
            self.stage.enter(actor)
        except (RuntimeError, OSError, MemoryError) as error:
            if self.stage.world.runs(actor):
                raise
            pause_s = count_death(self.stage, actor.name, error, counted=False)
            level = logging.ERROR if self.stage.first_time("no thread") else logging.DEBUG
            logger.log(level, "the %s cannot be started, tried again until it can: %r. Have fewer workers?", actor.name, error)
            heappush(self.pending, (self.stage.world.monotonic_s() + max(pause_s, LOOK_AGAIN_S), actor.name))

    def _record(self, fact: ev.Event) -> None:
        """Put a fact about the machinery on record. Nobody waits for it, but it is kept until it is there.

        One whose journal dies between writing it and saying so stands twice; one that a failed sync has voided is lost.
        """
        self.stage.unrecorded[id(fact)] = fact
        if self.ready:
            self._tell(fact)

    def _tell_unrecorded(self) -> None:
        if not self.ready:
            self.ready = True
            for fact in list(self.stage.unrecorded.values()):
                self._tell(fact)

    def _tell(self, fact: ev.Event) -> None:
        done = OnRecord(self.stage.unrecorded, fact)
        self.stage.tell("journal", Append(self.name, self.term, self.stage.clock.now_us(), [fact], [done], []))
