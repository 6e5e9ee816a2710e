"""Which workers of a process may call their handlers now, over all runs of that process: `Gates`, one queue for each type.

A run has as many workers as its handler's parallelism. Over all runs together, no more than that many are let through at once.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

from perdure.store.disk.forked_locks import lock_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from perdure.actors.workers.pools.pool import Pool
    from perdure.events.commands import Draft

__all__ = ["Children", "Gates", "Parent", "Passing", "RunGate"]

LOOK_S = 0.05
"""How often a waiting worker looks whether it is to end, whether one that was let in has died, and whether the lease holds."""


class Passing(Protocol):
    """A worker, as a gate knows it."""

    name: str
    token: object
    killed: bool
    pool: Pool
    thread: threading.Thread | None
    """None: it is just beginning."""


class Parent(Protocol):
    """The context of an attempt, for what its handler publishes."""

    sent_away: int

    @property
    def id(self) -> str:
        """The message's id."""


class Children(Protocol):
    """What becomes of messages that handlers of a run publish and that belong to another log. Safe in any thread."""

    def id_for(self, parent: Parent, message: Any, options: Mapping[str, Any]) -> str | None:
        """Return the id that such a message must have, so that it counts once however often its parent is handled; None: any."""

    def away(self, drafts: Sequence[Draft]) -> list[Draft]:
        """Return those that belong to another log."""

    def send(self, drafts: list[Draft]) -> None:
        """Publish them there, all or none; return once they outlast a crash.

        Raises:
            PerdureError: they may not be there.
        """


class Gates:
    """The workers that are let through, by message type. Safe in any thread."""

    def __init__(self) -> None:
        self._lock = lock_of(self, "_lock")
        self._inside: dict[str, dict[object, Passing]] = {}
        self._waiting: dict[str, deque[tuple[Passing, threading.Event]]] = {}

    def enter(self, worker: Passing) -> None:
        """Wait until the worker may call its handler; the one that waits longest comes first. `leave` follows, whatever happens."""
        kind = worker.pool.type
        with self._lock:
            waiting = self._waiting.setdefault(kind, deque())
            if not waiting and self._has_room(worker):
                self._inside[kind][worker.token] = worker
                return
            turn = threading.Event()
            waiting.append((worker, turn))
        try:
            while not turn.wait(LOOK_S):
                with self._lock:
                    if worker.killed or worker.pool.closed:
                        return
                    self._let_in(kind)
        finally:
            with self._lock:
                self._waiting[kind] = deque(one for one in self._waiting[kind] if one[0] is not worker)

    def leave(self, worker: Passing) -> None:
        """Let the next one in."""
        kind = worker.pool.type
        with self._lock:
            self._inside.get(kind, {}).pop(worker.token, None)
            self._let_in(kind)

    def others_wait(self, worker: Passing) -> bool:
        """Return whether another worker waits to come in."""
        return bool(self._waiting.get(worker.pool.type))

    def _let_in(self, kind: str) -> None:
        waiting = self._waiting.get(kind)
        while waiting and self._has_room(waiting[0][0]):
            worker, turn = waiting.popleft()
            self._inside[kind][worker.token] = worker
            turn.set()

    def _has_room(self, worker: Passing) -> bool:
        """Return whether fewer are inside than the worker's own run has workers; those that are gone are not counted."""
        kind = worker.pool.type
        inside = self._inside.setdefault(kind, {})
        if len(inside) >= len(worker.pool.workers):
            for token in [token for token, one in inside.items() if _is_gone(one)]:
                del inside[token]
        return len(inside) < max(1, len(worker.pool.workers))


def _is_gone(worker: Passing) -> bool:
    """Return whether a worker that was let in can no longer be counted on to leave.

    It may have been killed at any instruction, also on its way in or out. Either another one has its place, or its run has ended:
    then its thread has died, or is left behind in a handler whose outcome does not count.
    """
    if worker.pool.workers.get(worker.name) is not worker.token or (worker.killed and worker.pool.closed):
        return True
    return worker.thread is not None and not worker.thread.is_alive()


class RunGate:
    """What the workers of one run ask before they call a handler.

    Args:
        gates: shared by all runs of the process.
        has_passed: whether this run's lease has passed, by this process's own clock: then nothing begins until it is renewed.
        children: what becomes of messages that belong to another log.
    """

    def __init__(self, gates: Gates, has_passed: Callable[[], bool], children: Children) -> None:
        self.gates = gates
        self.children = children
        self.has_passed = has_passed
        self._pause = threading.Event()

    def check_lease(self, worker: Passing) -> None:
        """Wait until the run's lease holds, or the worker is to end."""
        while self.has_passed() and not worker.killed and not worker.pool.closed:
            self._pause.wait(LOOK_S)
