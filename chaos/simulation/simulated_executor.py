"""The simulated executor: the real actors take turns, one at a time, in a seeded order and in virtual time.

The same seed gives the same history, byte for byte. One actor and its turns are in `turns`, the clock is
in `simulated_clock`, a whole system in `simulated_system`.
"""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, NoReturn

from pykka import ActorRegistry

from perdure.actors.core.actor import Actor, ActorKilled
from perdure.actors.workers.worker import Worker
from perdure.chaos.disk.memory_disk import Killed
from perdure.chaos.simulation.simulated_clock import SimulatedClock
from perdure.chaos.simulation.turns.fiber import Fiber
from perdure.chaos.simulation.turns.scheduled import Scheduled, items_of, wait_in_virtual_time
from perdure.chaos.simulation.turns.simulated_answer import SimulatedAnswer
from perdure.chaos.simulation.turns.traceback_text import traceback_without_paths
from perdure.runtime.process import live_systems

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.actors.core.threads.answer import Answer
    from perdure.chaos.simulation.turns.bystander import Bystander

__all__ = ["SimulatedExecutor", "Stuck"]


class Stuck(AssertionError):
    """A wait that can never end: no actor has anything to do, now or at any later time."""


class SimulatedExecutor:
    """See `perdure.actors.core.executor.Executor`. For use by one thread."""

    has_threads = False
    """See `Executor.has_threads`."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = random.Random(seed)
        self.clock = SimulatedClock()
        self.steps = 0
        self.steps_max = 1 << 62
        """After so many turns the actors are taken to be in an endless loop."""
        self.current: Actor | None = None
        """The actor whose turn it is."""
        self.kill_after = 0
        """If not 0: after so many points (see `point`) the actor whose turn it is dies."""
        self.die_after = 0
        """If not 0: after so many points the whole process dies."""
        self.dead: BaseException | None = None
        """How the process died. From then on nothing runs until `forget_all`."""
        self.stalled: dict[str, int] = {}
        """By actor: it gets no turn until so many turns have been taken, or no other actor has anything to do."""
        self.crashes: list[tuple[str, Exception]] = []
        """(actor, exception) of each death that was no kill."""
        self.bystanders: list[Bystander] = []
        self._is_elsewhere = False
        """The turn is one of another process than the owner's."""
        self._scheduled: list[Scheduled] = []
        self._stopped: list[Scheduled] = []
        """Those whose turn has stopped in the middle."""
        self._inside: Scheduled | None = None
        """The one whose turn runs in a fiber of its own."""
        self._adopted: object = self
        """The executor of the process that owns the folder: this one, or that of a process that began as a member."""

    # --- the interface of `Executor` ----------------------------------------------------------------------------------------

    def start(self, actor: Actor) -> None:
        """See `Executor.start`. The actor begins when its turn comes."""
        self.point()
        self.start_in(None, actor)

    def start_in(self, process: object, actor: Actor) -> None:
        """Start to run an actor of another process; None: of the one that owns the folder."""
        self._scheduled.append(Scheduled(actor, process))
        if isinstance(actor, Worker):
            wait_in_virtual_time(actor, self.run_until)

    def adopt(self, process: object) -> None:
        """Take a process for the one that owns the folder from now on; what its actors are in the middle of goes on."""
        self._adopted = process
        for entry in self._scheduled:
            if entry.process is process:
                entry.process = None

    def join(self, actor: Actor, timeout_s: float) -> None:
        """See `Executor.join`."""
        self.run_until(actor.actor_stopped.is_set, timeout_s)

    def runs(self, actor: Actor) -> bool:
        """See `Executor.runs`."""
        return any(entry.actor is actor for entry in self._scheduled)

    def beside(self, work: Callable[[], None], _name: str, /) -> Callable[[], bool]:
        """See `Executor.beside`. Nothing is interrupted here, so the work is done at once."""
        work()
        return lambda: False

    def answer(self) -> Answer:
        """See `Executor.answer`."""
        return SimulatedAnswer(self.run_until)

    def monotonic_s(self) -> float:
        """See `Executor.monotonic_s`."""
        return self.clock.passed_us / 1_000_000

    def sleep(self, seconds: float) -> None:
        """See `Executor.sleep`. Only a dead actor pauses, and no turn depends on it, so it takes no time."""

    def pid(self) -> int:
        """See `Executor.pid`. The same in each run."""
        return 1

    def traceback(self, error: BaseException) -> str:
        """See `Executor.traceback`."""
        return traceback_without_paths(error)

    # --- running ---------------------------------------------------------------------------------------------------------

    def forget_all(self, process: object = None) -> None:
        """Remove all actors of a dead process; None: of the one that owned the folder."""
        for entry in self._scheduled:
            if entry.process is process:
                ActorRegistry.unregister(entry.actor.actor_ref)
        self._unwind([entry for entry in self._stopped if entry.process is process])
        self._scheduled = [entry for entry in self._scheduled if entry.process is not process]
        if process is None:
            self.dead, self.kill_after, self.die_after = None, 0, 0
            self.stalled.clear()
            self.current = None
            for executor in (self, self._adopted):
                live_systems.forget(executor)

    def close(self) -> None:
        """End all turns that have stopped in the middle; nothing runs afterwards."""
        self._unwind([*self._stopped])

    def _unwind(self, stopped: list[Scheduled]) -> None:
        self._stopped = [entry for entry in self._stopped if entry not in stopped]
        for entry in stopped:
            if entry.fiber is not None:
                self._inside, before = entry, self._inside
                entry.fiber.unwind(ActorKilled(entry.actor.name))
                self._inside, entry.fiber = before, None

    def point(self) -> None:
        """Mark a point at which an actor or the process may die: before a message is sent or a file is changed."""
        if self.dead is not None:
            raise self.dead
        if self.die_after:
            self.die_after -= 1
            if not self.die_after:
                self.die(Killed())
        if self.current is not None and self.kill_after and not self._is_elsewhere:
            self.kill_after -= 1
            if not self.kill_after:
                self.current.killed = True
                raise ActorKilled(self.current.name)

    def die(self, how: BaseException) -> NoReturn:
        """Let the whole process die now: raise `how` through all actors to the caller that runs the simulation."""
        self.dead = how
        raise how

    def step(self) -> bool:
        """Let one actor or bystander take its turn, drawn from those that have something to do. Return False if none has.

        Raises:
            Stuck: the actors took more than `steps_max` turns.
        """
        if self.dead is not None:
            raise self.dead
        if self.steps >= self.steps_max:
            msg = f"the actors do not come to rest: {self.steps:,} turns"
            raise Stuck(msg)
        now_s = self.monotonic_s()
        able = [  # evaluated for each entry before each turn, so calls are avoided
            entry
            for entry in self._scheduled
            if not entry.busy
            and (
                not entry.is_empty()
                or entry.waits_until_s <= now_s
                or not entry.begun
                or entry.actor.killed
                or (entry.is_asked and entry.end_of_wait_s() <= now_s)
            )
        ]
        if self.stalled:
            going = [entry for entry in able if self.stalled.get(entry.actor.name, 0) <= self.steps]
            if not going:
                self.stalled.clear()
            able = going or able
        if self._stopped:
            now_us = self.clock.passed_us
            able += [entry for entry in self._stopped if entry.until_us <= now_us or entry.goes_on()]
        beside = [bystander for bystander in self.bystanders if bystander.is_able()] if self.bystanders else []
        if not able and not beside:
            return False
        drawn = self.rng.randrange(len(able) + len(beside))
        if drawn < len(able):
            self._take_turn(able[drawn])
        else:
            self._take_turn_beside(beside[drawn - len(able)])
        return True

    def run_until(self, condition: Callable[[], bool], timeout_s: float | None = None) -> None:
        """Run the actors until a condition is true or the time is over.

        Raises:
            Stuck: the condition can never become true.
        """
        clock = self.clock
        # Rounded up to the first microsecond, or what waits again and again for the rest of a time would never see it pass.
        until_us = None if timeout_s is None else clock.passed_us + (round(timeout_s * 1_000_000) or (timeout_s > 0))
        if self._inside is not None:
            self._stop_inside(self._inside, condition, until_us)
            return
        while not condition():
            if self.step():
                continue
            next_us = self._next_us()
            if until_us is not None and (next_us is None or next_us > until_us):
                clock.advance(max(0, until_us - clock.passed_us) / 1_000_000)
                if not self.step():
                    return
            elif next_us is None:
                msg = "this wait can never end: no actor has anything to do, now or later"
                raise Stuck(msg)
            else:
                clock.advance(max(0, next_us - clock.passed_us) / 1_000_000)

    def _stop_inside(self, entry: Scheduled, condition: Callable[[], bool], until_us: int | None) -> None:
        """Let the turn of an actor of another process stop until a condition is true or the time is over."""
        if condition() or entry.fiber is None:
            return
        entry.goes_on, entry.until_us = condition, math.inf if until_us is None else until_us
        entry.fiber.suspend()

    def run_until_idle(self) -> None:
        """Run the actors until nothing is left to do at the present moment."""
        while self.step():
            pass

    def _next_us(self) -> int | None:
        """Return the next time at which an actor's wait times out; None if none does."""
        next_s = math.inf
        for entry in self._scheduled:
            if entry.begun and not entry.busy:
                next_s = min(next_s, entry.end_of_wait_s() if entry.is_asked else entry.waits_until_s)
        for bystander in self.bystanders:
            at_s = bystander.next_s()
            next_s = next_s if at_s is None else min(next_s, at_s)
        for entry in self._stopped:
            next_s = min(next_s, entry.until_us / 1_000_000)
        return None if next_s == math.inf else round(next_s * 1_000_000) + 1  # + 1, so that rounding never stops the time

    def _take_turn_beside(self, bystander: Bystander) -> None:
        self.steps += 1
        before, self.current = self.current, None  # it is no actor that could be killed
        try:
            bystander.turn()
        finally:
            self.current = before

    def _take_turn(self, entry: Scheduled) -> None:
        self.steps += 1
        actor = entry.actor
        before, self.current = self.current, actor
        was_elsewhere, self._is_elsewhere = self._is_elsewhere, entry.process is not None
        entry.busy = True
        cause: BaseException | None = None
        going_on = False
        try:
            if actor.killed and entry.fiber is None:
                raise ActorKilled(actor.name)  # noqa: TRY301 - as it would in a thread
            if not entry.begun:
                entry.begun = True
                actor.on_start()
                going_on = True
            elif entry.fiber is None and (entry.process is None or not isinstance(actor, Worker)):
                going_on = actor.turn(items_of(actor))
            elif (turn := self._turn_inside(entry)) is None:
                return
            else:
                going_on = turn
            entry.wait_from(self.monotonic_s())
        except Stuck:
            raise
        except Exception as error:  # noqa: BLE001 - its supervisor is informed; power cuts and the like go to the caller
            cause, going_on = error, False
            self.crashes.append((actor.name, error))
        except ActorKilled as error:
            cause, going_on = error, False
        finally:
            entry.busy = entry.fiber is not None
            self.current, self._is_elsewhere = before, was_elsewhere
        if not going_on and entry in self._scheduled:
            self._scheduled.remove(entry)
            self.current = None  # in production the dead actor's thread and the reaper report a death: it belongs to no turn
            try:
                actor.end(cause)
            finally:
                self.current = before

    def _turn_inside(self, entry: Scheduled) -> bool | None:
        """Begin or go on with a turn that may stop in the middle; return what it returns, or None where it has stopped."""
        actor = entry.actor
        if entry.fiber is None:
            items = items_of(actor)
            entry.fiber = Fiber(lambda: actor.turn(items))
        else:
            self._stopped.remove(entry)
        fiber, before, self._inside = entry.fiber, self._inside, entry
        try:
            is_over = fiber.resume()
        except BaseException:
            entry.fiber = None
            raise
        finally:
            self._inside = before
        if not is_over:
            self._stopped.append(entry)
            return None
        entry.fiber = None
        return fiber.value
