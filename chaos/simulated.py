"""A simulated world: the real actors, one at a time in a seeded order, on a clock that moves only when nothing else can.

The same seed gives the same history, byte for byte. What is done to such a world, and what is asked of it, is in `simulation`; a
test of one's own handlers needs `SimulatedSystem` alone.
"""

from __future__ import annotations

import random
from queue import Empty
from typing import TYPE_CHECKING, Any

from perdure.actors.actor import ActorKilled
from perdure.actors.desk import Answer
from perdure.actors.worker import Worker
from perdure.chaos.memory_disk import MemoryDisk
from perdure.options import Options
from perdure.store import History, SegmentStore
from perdure.system import System

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.actors.actor import Actor

__all__ = ["SimulatedClock", "SimulatedSystem", "SimulatedWorld", "Stuck"]

START_US = 1_700_000_000_000_000


class Stuck(AssertionError):
    """Somebody waits for what can never come: no actor has anything to do, and no time is near at which one would."""


class SimulatedClock:
    """Virtual time. It moves when nothing can be done at the present moment, or when told to."""

    def __init__(self, start_us: int = START_US) -> None:
        self._now_us = start_us

    def now_us(self) -> int:
        """See `Clock.now_us`."""
        return self._now_us

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


class _SimulatedAnswer(Answer):
    """An answer whose waiting lets the world go on."""

    __slots__ = ("_here", "_world")

    def __init__(self, world: SimulatedWorld) -> None:
        super().__init__()
        self._world = world
        self._here = False

    def _release(self) -> None:
        self._here = True
        super()._release()

    def wait(self, timeout_s: float) -> Any:
        """See `Answer.wait`; the time is virtual."""
        self._world.run_until(lambda: self._here, None if timeout_s < 0 else timeout_s)
        return super().wait(0)


class SimulatedWorld:
    """See `perdure.actors.world.World`. For one thread."""

    def __init__(self, seed: int = 0) -> None:
        self.chance = random.Random(seed)  # noqa: S311 - to be repeated
        self.clock = SimulatedClock()
        self.steps = 0
        self.current: Actor | None = None
        """Whose turn it is."""
        self.kill_after: int = 0
        """If not 0, the actor whose turn it is then dies at the so-many-th thing that an actor does from now on."""
        self._actors: list[Actor] = []
        self._begun: set[int] = set()
        self._waits_from: dict[int, float] = {}
        self._busy: set[int] = set()

    # --- the interface of `World` ----------------------------------------------------------------------------------------

    def start(self, actor: Actor) -> None:
        """See `World.start`: it begins when its turn comes."""
        self.point()
        self._actors.append(actor)

    def join(self, actor: Actor, timeout_s: float) -> None:
        """See `World.join`."""
        self.run_until(actor.actor_stopped.is_set, timeout_s)

    def runs(self, actor: Actor) -> bool:
        """See `World.runs`."""
        return actor in self._actors

    def answer(self) -> Answer:
        """See `World.answer`."""
        return _SimulatedAnswer(self)

    def monotonic_s(self) -> float:
        """See `World.monotonic_s`."""
        return self.clock.now_us() / 1_000_000

    def pid(self) -> int:
        """See `World.pid`: the same in each run."""
        return 1

    # --- running ---------------------------------------------------------------------------------------------------------

    def forget_all(self) -> None:
        """The process is dead: none of its actors does anything any more."""
        self._actors.clear()
        self._begun.clear()
        self._waits_from.clear()
        self._busy.clear()
        self.current = None

    def point(self) -> None:
        """Something is being done that an actor may die before: a message told, a file written."""
        if self.current is not None and self.kill_after:
            self.kill_after -= 1
            if not self.kill_after:
                self.current.killed = True
                raise ActorKilled(self.current.name)

    def step(self) -> bool:
        """Let one actor, drawn from those that have something to do, take its turn; False where none has."""
        able = [actor for actor in self._actors if self._is_able(actor)]
        if not able:
            return False
        self._take_turn(able[self.chance.randrange(len(able))])
        return True

    def run_until(self, condition: Callable[[], bool], timeout_s: float | None = None) -> None:
        """Let the world go on until a condition holds, or the time is over.

        Raises:
            Stuck: it never will.
        """
        until_us = None if timeout_s is None else self.clock.now_us() + round(timeout_s * 1_000_000)
        while not condition():
            if self.step():
                continue
            next_us = self._next_us()
            if until_us is not None and (next_us is None or next_us > until_us):
                self.clock.advance(max(0, until_us - self.clock.now_us()) / 1_000_000)
                if not self.step():
                    return
            elif next_us is None:
                msg = "somebody waits for what can never come: no actor has anything to do"
                raise Stuck(msg)
            else:
                self.clock.advance(max(0, next_us - self.clock.now_us()) / 1_000_000)

    def run_until_idle(self) -> None:
        """Let the world go on until nothing is left to do at the present moment."""
        while self.step():
            pass

    def _is_able(self, actor: Actor) -> bool:
        if id(actor) in self._busy:
            return False
        if id(actor) not in self._begun or actor.killed or not actor.actor_inbox.empty():
            return True
        patience_s = actor.patience_s()
        return patience_s is not None and self._waits_from[id(actor)] + patience_s <= self.monotonic_s()

    def _next_us(self) -> int | None:
        """Give the next time at which an actor would not wait any longer."""
        times = []
        for actor in self._actors:
            patience_s = actor.patience_s() if id(actor) in self._begun and id(actor) not in self._busy else None
            if patience_s is not None:
                times.append(self._waits_from[id(actor)] + patience_s)
        return None if not times else round(min(times) * 1_000_000) + 1

    def _take_turn(self, actor: Actor) -> None:
        self.steps += 1
        before, self.current = self.current, actor
        self._busy.add(id(actor))
        cause: BaseException | None = None
        going_on = False
        try:
            if actor.killed:
                raise ActorKilled(actor.name)  # noqa: TRY301 - as it would in a thread
            if id(actor) not in self._begun:
                self._begun.add(id(actor))
                actor.on_start()
                going_on = True
            else:
                going_on = actor.turn(self._items(actor))
            self._waits_from[id(actor)] = self.monotonic_s()
        except Stuck:
            raise
        except Exception as error:  # noqa: BLE001 - its supervisor is told; power cuts and the like are for who runs the world
            cause, going_on = error, False
        except ActorKilled as error:
            cause, going_on = error, False
        finally:
            self._busy.discard(id(actor))
            self.current = before
        if not going_on and actor in self._actors:
            self._actors.remove(actor)
            self._begun.discard(id(actor))  # another may get its place in memory
            actor.end(cause)

    def _items(self, actor: Actor) -> list[Any]:
        inbox: Any = actor.actor_inbox
        if not isinstance(actor, Worker):
            return inbox.drain(0) if not inbox.empty() else []
        try:
            return [inbox.get(block=False)]  # one at a time: its mailbox is shared with other workers
        except Empty:
            return []


class SimulatedSystem(System):
    """A `System` in memory, in a simulated world: for tests of one's own handlers that need neither time nor luck.

    Whatever waits (`publish`, `drain`, `call`, ...) lets the world go on until it is answered; beyond that, nothing happens by
    itself. Handlers run in the caller's thread. Plain handlers only: coroutines and processes need the real world.

    Args:
        seed: of all chance: who gets the next turn, jitter, ids.
        disk: where it is kept; a new one unless given. Hand the same disk to another system to see it recover.
        options, ...: as `System`.
    """

    def __init__(self, *, seed: int = 0, disk: MemoryDisk | None = None, options: Options | None = None, **others: Any) -> None:
        self.world: SimulatedWorld = others.pop("world", None) or SimulatedWorld(seed)
        self.disk = disk or MemoryDisk()
        options = options or Options()
        store = SegmentStore(
            "/simulated",
            segment_bytes=options.segment_bytes,
            snapshots_kept=options.snapshots_kept,
            history=History(options.history),
            disk=self.disk,
            new_id=lambda: self.world.chance.randbytes(16),
            now_us=self.world.clock.now_us,
        )
        seed = self.world.chance.getrandbits(64)
        super().__init__(store=store, options=options, clock=self.world.clock, seed=seed, world=self.world, **others)

    def start(self) -> None:
        """See `System.start`; from then on an actor can also be killed between any two messages that it tells."""
        super().start()
        stage, tell = self.stage, self.stage.tell

        def tell_at_a_point(name: str, message: Any) -> None:
            self.world.point()
            tell(name, message)

        stage.tell = stage.desk._tell = tell_at_a_point  # type: ignore[method-assign]  # noqa: SLF001

    def step(self) -> bool:
        """Let one actor take a turn; False where none has anything to do now."""
        return self.world.step()

    def run_until_idle(self) -> None:
        """Let everything happen that can happen now."""
        self.world.run_until_idle()

    def advance(self, seconds: float) -> None:
        """Let time pass, and everything happen that falls due meanwhile."""
        self.world.run_until(lambda: False, seconds)
        self.world.run_until_idle()
