"""Messages between actors that come late or twice, and handler calls that begin late: what a busy machine does, done on purpose.

Order is kept: what is told to an actor after something late waits behind it. Who is killed when is in `monkey`.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections import deque
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

import attrs

from perdure.chaos.simulation.redelivery import is_harmless_twice, tell_again

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from perdure.actors.services.runtime import Runtime
    from perdure.actors.workers.pool import Pool
    from perdure.system import System

__all__ = ["Interference"]


class Interference:
    """Stands between a stage and its actors from `begin` to `end`. Counts what it did."""

    def __init__(
        self, system: System, *, seed: int, targets: Sequence[str], repeat: float, delay: float, stall: float, late_s: float
    ) -> None:
        self.repeated = 0
        self.delayed = 0
        self.stalled = 0
        self._system = system
        self._targets = tuple(targets)
        self._repeat, self._delay, self._stall = repeat, delay, stall
        self._late_s = late_s
        self._rng = random.Random(seed ^ 0x5EED)  # noqa: S311 - a schedule, to be repeated
        self._lock = threading.Lock()
        """Held by actors that may be killed meanwhile, so no Condition: who is killed while it enters one keeps it for ever."""
        self._waiter: SimpleQueue[None] = SimpleQueue()
        """Wakes the carrier."""
        self._late: dict[str, deque[tuple[float, Any]]] = {}
        """By target: when each message that waits may arrive, and the message."""
        self._ending = False
        self._undo: list[Callable[[], None]] = []
        self._carrier: threading.Thread | None = None

    def begin(self) -> None:
        """Step in between.

        Raises:
            NotRunning: the system does not run.
        """
        runtime = self._system.runtime
        if self._repeat or self._delay:
            self._ending = False
            tell = runtime.directory.tell
            between = partial(self._tell, tell)
            runtime.directory.tell = runtime.pending._tell = between  # type: ignore[method-assign]  # noqa: SLF001 - the one place where all is told
            self._undo.append(partial(self._step_aside, runtime, tell))
            self._carrier = threading.Thread(target=self._carry, args=(tell,), name="perdure-monkey-post", daemon=True)
            self._carrier.start()
        if self._stall:
            for pool in runtime.pools.by_type.values():
                self._slow_down(pool)

    def end(self) -> None:
        """Step aside; what is late arrives now."""
        while self._undo:
            self._undo.pop()()

    def _step_aside(self, runtime: Runtime, tell: Callable[[str, Any], None]) -> None:
        self._ending = True
        self._waiter.put(None)
        if self._carrier is not None:
            self._carrier.join()  # from here on nothing is late any more, so that order is kept
        runtime.directory.tell = runtime.pending._tell = tell  # type: ignore[method-assign, assignment]  # noqa: SLF001

    # --- messages --------------------------------------------------------------------------------------------------------

    def _tell(self, tell: Callable[[str, Any], None], name: str, message: Any) -> None:
        if self._targets and not name.startswith(self._targets):
            tell(name, message)
            return
        with self._lock:
            waiting = self._late.get(name)
            is_late = not self._ending and self._rng.random() < self._delay
            twice = is_harmless_twice(message) and self._rng.random() < self._repeat
            self.delayed += is_late
            self.repeated += twice
            if is_late or waiting:
                at_s = time.monotonic() + (self._rng.random() * self._late_s if is_late else 0.0)
                self._waiter.put(
                    None
                )  # first, as who is killed before the next line has told nothing; it waits for the lock anyway
                line = self._late.setdefault(name, deque())
                line.append((at_s, message))
                if twice:
                    line.append((at_s, _Again(message)))
                return
            tell(name, message)
            if twice:
                tell_again(tell, name, message)

    def _carry(self, tell: Callable[[str, Any], None]) -> None:
        """Deliver what is late, each line in its order; ends when told to and nothing waits any more."""
        while True:
            with self._lock:
                ending = self._ending
                next_s = self._deliver(tell, ending=ending)
            if ending:
                return
            with contextlib.suppress(Empty):
                self._waiter.get(timeout=None if next_s is None else max(0.0, next_s - time.monotonic()))

    def _deliver(self, tell: Callable[[str, Any], None], *, ending: bool) -> float | None:
        """Deliver what is due, or all; gives the time at which the next message is."""
        now_s = time.monotonic()
        for name in list(self._late):
            line = self._late[name]
            while line and (ending or line[0][0] <= now_s):
                message = line.popleft()[1]
                if isinstance(message, _Again):
                    tell_again(tell, name, message.message)
                else:
                    tell(name, message)
            if not line:
                del self._late[name]
        return min((line[0][0] for line in self._late.values()), default=None)

    # --- handlers --------------------------------------------------------------------------------------------------------

    def _slow_down(self, pool: Pool) -> None:
        registered, handler = pool.registered, pool.handler
        call = registered.call

        def late(*args: Any) -> Any:
            with self._lock:
                pause_s = self._rng.random() * self._late_s if self._rng.random() < self._stall else 0.0
                self.stalled += pause_s > 0
            if pause_s:
                time.sleep(pause_s)  # the stall itself, not a wait for something
            return call(*args)

        def release() -> None:
            pool.registered, pool.handler = registered, attrs.evolve(pool.handler, call=call)

        pool.registered, pool.handler = attrs.evolve(registered, call=late), attrs.evolve(handler, call=late)
        self._undo.append(release)


@attrs.frozen
class _Again:
    """A message that waits to be told a second time."""

    message: Any
