"""Late and repeated messages between actors, and handler calls that begin late: the effects of a busy machine, on purpose.

Order is kept: a message waits behind earlier late ones to the same actor. Kills are in `monkey`.
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

from perdure.chaos.simulation.redelivery import is_redeliverable, redeliver

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from perdure.actors.services.runtime import Runtime
    from perdure.actors.workers.pools.pool import Pool
    from perdure.system import System

__all__ = ["Interference"]


class Interference:
    """Delays and repeats messages of a running system from `begin` to `end`, and counts them. See `Monkey` for the arguments."""

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
        self._rng = random.Random(seed ^ 0x5EED)
        self._lock = threading.Lock()
        """No Condition: an actor that holds it may be killed, and one that is killed as it enters a Condition never frees it."""
        self._waiter: SimpleQueue[None] = SimpleQueue()
        """Wakes the thread that delivers late messages."""
        self._late: dict[str, deque[tuple[float, Any]]] = {}
        """By target: each waiting message, with the time at which it may arrive."""
        self._ending = False
        self._undo: list[Callable[[], None]] = []
        self._late_thread: threading.Thread | None = None

    def begin(self) -> None:
        """Begin.

        Raises:
            NotRunning: the system does not run.
        """
        runtime = self._system.runtime
        if self._repeat or self._delay:
            self._ending = False
            tell = runtime.directory.tell
            between = partial(self._tell, tell)
            runtime.directory.tell = runtime.pending.tell = between  # type: ignore[method-assign]  # all messages pass here
            self._undo.append(partial(self._restore_tell, runtime, tell))
            self._late_thread = threading.Thread(target=self._deliver_late, args=(tell,), name="perdure-monkey-late", daemon=True)
            self._late_thread.start()
        if self._stall:
            for pool in runtime.pools.by_type.values():
                self._stall_calls(pool)

    def end(self) -> None:
        """End. Late messages arrive now."""
        while self._undo:
            self._undo.pop()()

    def _restore_tell(self, runtime: Runtime, tell: Callable[[str, Any], None]) -> None:
        self._ending = True
        self._waiter.put(None)
        if self._late_thread is not None:
            self._late_thread.join()  # from here on no message is late, so order is kept
        runtime.directory.tell = runtime.pending.tell = tell  # type: ignore[method-assign, assignment]  # as they were

    # --- messages --------------------------------------------------------------------------------------------------------

    def _tell(self, tell: Callable[[str, Any], None], name: str, message: Any) -> None:
        if self._targets and not name.startswith(self._targets):
            tell(name, message)
            return
        with self._lock:
            waiting = self._late.get(name)
            is_late = not self._ending and self._rng.random() < self._delay
            twice = is_redeliverable(message) and self._rng.random() < self._repeat
            self.delayed += is_late
            self.repeated += twice
            if is_late or waiting:
                at_s = time.monotonic() + (self._rng.random() * self._late_s if is_late else 0.0)
                # The wake-up comes first: an actor killed before the next line has sent nothing. The thread waits for the lock.
                self._waiter.put(None)
                queue = self._late.setdefault(name, deque())
                queue.append((at_s, message))
                if twice:
                    queue.append((at_s, _Repeated(message)))
                return
            tell(name, message)
            if twice:
                redeliver(tell, name, message)

    def _deliver_late(self, tell: Callable[[str, Any], None]) -> None:
        """Deliver late messages, in order for each target, until the interference ends and none is left."""
        while True:
            with self._lock:
                ending = self._ending
                next_s = self._deliver_due(tell, ending=ending)
            if ending:
                return
            with contextlib.suppress(Empty):
                self._waiter.get(timeout=None if next_s is None else max(0.0, next_s - time.monotonic()))

    def _deliver_due(self, tell: Callable[[str, Any], None], *, ending: bool) -> float | None:
        """Deliver what is due, or all if `ending`. Return the time at which the next message is due."""
        now_s = time.monotonic()
        for name in list(self._late):
            queue = self._late[name]
            while queue and (ending or queue[0][0] <= now_s):
                message = queue.popleft()[1]
                if isinstance(message, _Repeated):
                    redeliver(tell, name, message.message)
                else:
                    tell(name, message)
            if not queue:
                del self._late[name]
        return min((queue[0][0] for queue in self._late.values()), default=None)

    # --- handlers --------------------------------------------------------------------------------------------------------

    def _stall_calls(self, pool: Pool) -> None:
        registered, handler = pool.registered, pool.handler
        call = registered.call

        def late(*args: Any) -> Any:
            with self._lock:
                pause_s = self._rng.random() * self._late_s if self._rng.random() < self._stall else 0.0
                self.stalled += pause_s > 0
            if pause_s:
                time.sleep(pause_s)  # the stall itself, not a wait for anything
            return call(*args)

        def restore() -> None:
            pool.registered, pool.handler = registered, attrs.evolve(pool.handler, call=call)

        pool.registered, pool.handler = attrs.evolve(registered, call=late), attrs.evolve(handler, call=late)
        self._undo.append(restore)


@attrs.frozen
class _Repeated:
    """A late message that is sent a second time."""

    message: Any
