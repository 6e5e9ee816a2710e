"""A simulated world: the real actors, one at a time in a seeded order, on a clock that moves only when nothing else can.

The same seed gives the same history, byte for byte. A system in such a world is in `simulated`; what is done to it at night, in
`scenario`.
"""

from __future__ import annotations

import random
import traceback
from queue import Empty
from typing import TYPE_CHECKING, Any, NoReturn

from pykka import ActorRegistry

from perdure.actors.core.actor import ActorKilled
from perdure.actors.core.answer import Answer
from perdure.actors.workers.worker import Worker
from perdure.chaos.disk.memory_disk import Killed
from perdure.runtime import live_systems

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.actors.core.actor import Actor

__all__ = ["START_US", "SimulatedClock", "SimulatedExecutor", "Stuck"]

START_US = 1_700_000_000_000_000


class Stuck(AssertionError):
    """Somebody waits for what can never come: no actor has anything to do, and no time is near at which one would."""


class SimulatedClock:
    """Virtual time. It moves when nothing can be done at the present moment, or when told to."""

    def __init__(self, start_us: int = START_US) -> None:
        self._now_us = start_us
        self.passed_us = 0
        """How much time has passed since the beginning of the world; unlike the time of day, it never goes back."""

    def now_us(self) -> int:
        """See `Clock.now_us`."""
        return self._now_us

    def wall_us(self) -> int:
        """See `Clock.wall_us`."""
        return self.now_us()

    def skipped_us(self, since_us: int, until_us: int) -> int:  # noqa: ARG002 - the protocol's names; simulated time does not jump
        """See `Clock.skipped_us`."""
        return 0

    def seconds_until(self, at_us: int) -> float | None:
        """See `Clock.seconds_until`."""
        return max(0.0, (at_us - self._now_us) / 1_000_000)

    def subscribe(self, callback: Callable[[], None]) -> None:
        """See `Clock.subscribe`; the world looks at the time itself."""

    def advance(self, seconds: float) -> None:
        """Move the time; what falls due meanwhile happens when the world runs on."""
        if seconds < 0:
            msg = f"time does not go back: {seconds}"
            raise ValueError(msg)
        self._now_us += round(seconds * 1_000_000)
        self.passed_us += round(seconds * 1_000_000)

    def set_back(self, seconds: float) -> None:
        """Correct the time of day. Only between two processes: within one, `Clock.now_us` never goes back."""
        self._now_us -= round(seconds * 1_000_000)


class _SimulatedAnswer(Answer):
    """An answer whose waiting lets the world go on."""

    __slots__ = ("_executor", "_here")

    def __init__(self, executor: SimulatedExecutor) -> None:
        super().__init__()
        self._executor = executor
        self._here = False

    def _release(self) -> None:
        self._here = True
        super()._release()

    def wait(self, timeout_s: float) -> Any:
        """See `Answer.wait`; the time is virtual."""
        self._executor.run_until(lambda: self._here, None if timeout_s < 0 else timeout_s)
        return super().wait(0)


class _Seat:
    """An actor's place in the world."""

    __slots__ = ("actor", "begun", "busy", "is_empty", "waits_from_s")

    def __init__(self, actor: Actor) -> None:
        self.actor = actor
        self.is_empty: Callable[[], bool] = actor.actor_inbox.empty
        self.begun = False
        self.busy = False
        """It is in the middle of a turn, which lets the world go on because it waits for something."""
        self.waits_from_s = 0.0

    def waits_no_longer(self, now_s: float) -> bool:
        """Tell whether it takes a turn now without having been told anything."""
        patience_s = self.actor.patience_s()
        return patience_s is not None and self.waits_from_s + patience_s <= now_s


class SimulatedExecutor:
    """See `perdure.actors.core.executor.Executor`. For one thread."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = random.Random(seed)  # noqa: S311 - to be repeated
        self.clock = SimulatedClock()
        self.steps = 0
        self.steps_max = 1 << 62
        """After so many turns the world is taken to go round in circles."""
        self.current: Actor | None = None
        """Whose turn it is."""
        self.kill_after = 0
        """If not 0, the actor whose turn it is then dies at the so-many-th thing that an actor does from now on."""
        self.die_after = 0
        """If not 0, the whole process dies there."""
        self.dead: BaseException | None = None
        """How the process died; from then on nothing is done any more, until `forget_all`."""
        self.stalled: dict[str, int] = {}
        """Actors who get no turn until so many steps have been taken (or nobody else has anything to do)."""
        self.crashes: list[tuple[str, Exception]] = []
        """Actors that died without being killed, and of what."""
        self._seats: list[_Seat] = []

    # --- the interface of `Executor` ----------------------------------------------------------------------------------------

    def start(self, actor: Actor) -> None:
        """See `Executor.start`: it begins when its turn comes."""
        self.point()
        self._seats.append(_Seat(actor))
        if isinstance(actor, Worker):
            self._let_it_wait(actor)

    def _let_it_wait(self, worker: Worker) -> None:
        """Have a worker that waits for more in the middle of its turn (to fill a batch) wait in virtual time."""
        inbox: Any = worker.actor_inbox

        def within(timeout_s: float) -> Any:
            self.run_until(lambda: not inbox.empty(), timeout_s)
            return inbox._get_nowait()  # noqa: SLF001 - what there is, or Empty

        inbox.within = within

    def join(self, actor: Actor, timeout_s: float) -> None:
        """See `Executor.join`."""
        self.run_until(actor.actor_stopped.is_set, timeout_s)

    def runs(self, actor: Actor) -> bool:
        """See `Executor.runs`."""
        return any(seat.actor is actor for seat in self._seats)

    def beside(self, work: Callable[[], None], name: str) -> None:  # noqa: ARG002 - the protocol's name
        """See `Executor.beside`: nothing interrupts anybody here."""
        work()

    def answer(self) -> Answer:
        """See `Executor.answer`."""
        return _SimulatedAnswer(self)

    def monotonic_s(self) -> float:
        """See `Executor.monotonic_s`."""
        return self.clock.passed_us / 1_000_000

    def sleep(self, seconds: float) -> None:
        """See `Executor.sleep`: who pauses is dead, and nobody's turn depends on it."""

    def pid(self) -> int:
        """See `Executor.pid`: the same in each run."""
        return 1

    def traceback(self, error: BaseException) -> str:
        """See `Executor.traceback`: modules and functions, without paths and lines, which differ between folders and Pythons."""
        told: list[str] = []
        seen: set[int] = set()
        following: BaseException | None = error
        while following is not None and id(following) not in seen:
            seen.add(id(following))
            way = traceback.walk_tb(following.__traceback__)
            lines = [f"  in {frame.f_globals.get('__name__', '?')}: {frame.f_code.co_qualname}\n" for frame, _ in way]
            told.append("".join(["Traceback:\n", *lines, *traceback.format_exception_only(following)]))
            following = following.__cause__ or (None if following.__suppress_context__ else following.__context__)
        return "\n".join(reversed(told))

    # --- running ---------------------------------------------------------------------------------------------------------

    def forget_all(self) -> None:
        """The process is dead: none of its actors does anything any more."""
        self.dead, self.kill_after, self.die_after = None, 0, 0
        self.stalled.clear()
        for seat in self._seats:
            ActorRegistry.unregister(seat.actor.actor_ref)
        self._seats.clear()
        self.current = None
        live_systems.forget(self)

    def point(self) -> None:
        """Something is being done that an actor, or the process, may die before: a message told, a file written."""
        if self.dead is not None:
            raise self.dead
        if self.die_after:
            self.die_after -= 1
            if not self.die_after:
                self.die(Killed())
        if self.current is not None and self.kill_after:
            self.kill_after -= 1
            if not self.kill_after:
                self.current.killed = True
                raise ActorKilled(self.current.name)

    def die(self, how: BaseException) -> NoReturn:
        """Let the whole process die, here and now; `how` goes up through everything, to whoever runs the world."""
        self.dead = how
        raise how

    def step(self) -> bool:
        """Let one actor, drawn from those that have something to do, take its turn; False where none has."""
        if self.dead is not None:
            raise self.dead
        if self.steps >= self.steps_max:
            msg = f"the actors do not come to rest: {self.steps:,} turns"
            raise Stuck(msg)
        now_s = self.monotonic_s()
        able = [  # looked at for each seat before each turn, so without a call where that can be
            seat
            for seat in self._seats
            if not seat.busy and (not seat.is_empty() or not seat.begun or seat.actor.killed or seat.waits_no_longer(now_s))
        ]
        if self.stalled:
            going = [seat for seat in able if self.stalled.get(seat.actor.name, 0) <= self.steps]
            if not going:
                self.stalled.clear()
            able = going or able
        if not able:
            return False
        self._take_turn(able[self.rng.randrange(len(able))])
        return True

    def run_until(self, condition: Callable[[], bool], timeout_s: float | None = None) -> None:
        """Let the world go on until a condition holds, or the time is over.

        Raises:
            Stuck: it never will.
        """
        clock = self.clock
        until_us = None if timeout_s is None else clock.passed_us + round(timeout_s * 1_000_000)
        while not condition():
            if self.step():
                continue
            next_us = self._next_us()
            if until_us is not None and (next_us is None or next_us > until_us):
                clock.advance(max(0, until_us - clock.passed_us) / 1_000_000)
                if not self.step():
                    return
            elif next_us is None:
                msg = "somebody waits for what can never come: no actor has anything to do"
                raise Stuck(msg)
            else:
                clock.advance(max(0, next_us - clock.passed_us) / 1_000_000)

    def run_until_idle(self) -> None:
        """Let the world go on until nothing is left to do at the present moment."""
        while self.step():
            pass

    def _next_us(self) -> int | None:
        """Give the next time at which an actor would not wait any longer."""
        times = []
        for seat in self._seats:
            patience_s = seat.actor.patience_s() if seat.begun and not seat.busy else None
            if patience_s is not None:
                times.append(seat.waits_from_s + patience_s)
        return None if not times else round(min(times) * 1_000_000) + 1  # one more, so that rounding never stops the time

    def _take_turn(self, seat: _Seat) -> None:
        self.steps += 1
        actor = seat.actor
        before, self.current = self.current, actor
        seat.busy = True
        cause: BaseException | None = None
        going_on = False
        try:
            if actor.killed:
                raise ActorKilled(actor.name)  # noqa: TRY301 - as it would in a thread
            if not seat.begun:
                seat.begun = True
                actor.on_start()
                going_on = True
            else:
                going_on = actor.turn(self._items(actor))
            seat.waits_from_s = self.monotonic_s()
        except Stuck:
            raise
        except Exception as error:  # noqa: BLE001 - its supervisor is told; power cuts and the like are for who runs the world
            cause, going_on = error, False
            self.crashes.append((actor.name, error))
        except ActorKilled as error:
            cause, going_on = error, False
        finally:
            seat.busy = False
            self.current = before
        if not going_on and seat in self._seats:
            self._seats.remove(seat)
            self.current = None  # a death is told by the dead one's own thread and by its undertaker: whose turn it is has no part
            try:
                actor.end(cause)
            finally:
                self.current = before

    def _items(self, actor: Actor) -> list[Any]:
        inbox: Any = actor.actor_inbox
        if not isinstance(actor, Worker):
            return inbox.drain(0) if not inbox.empty() else []
        try:
            return [inbox.get(block=False)]  # one at a time: its mailbox is shared with other workers
        except Empty:
            return []
