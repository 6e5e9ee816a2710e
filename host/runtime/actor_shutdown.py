"""The end of the actors of a run: handlers come to rest, then each actor ends, in an order in which none still needs another.

Not here: hooks, the store and the order of a whole stop (`engine`), and the last snapshot (`final_snapshot`).
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from perdure.actors.core.messages import EndGrace, Quiesce
from perdure.actors.workers.worker import Worker
from perdure.events import vocabulary as ev
from perdure.events.errors import NotRunning, PerdureError, StoreUnavailable
from perdure.events.loggers import GuardedLogger
from perdure.store import is_postgres

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.actors.core.actor import Actor
    from perdure.actors.core.threads.answer import Answer
    from perdure.actors.services.runtime import HandlerRuntime
    from perdure.store import EventStore

__all__ = ["ActorShutdown"]

logger = GuardedLogger("perdure")

END_S = 0.5
"""How long host code has to end, beyond the grace period of a stop."""
QUIESCE_MAX_S = 60.0
"""How long a stop waits for handlers to come to rest, beyond their grace period; also how long for the actors of perdure to end."""
LATE_S = 2.0
"""How long all actors of perdure have to end together where the handlers did not come to rest: what holds them up is the same."""
LOOK_S = 0.05
"""How often a stop checks whether what it waits for can still come."""
ALONE_LOOKS = 40
"""After so many looks in a row that find no supervisor, none will come; a successor is there within a few."""
UNWRITTEN_LOOKS = 40
"""After so many looks beyond the grace period at which a log of files took nothing, nothing more is put on record.

A full disk stays full. A database comes back within seconds when another server takes its place: for it, a stop waits on.
"""
STOP_ORDER = (
    "supervisor",
    "scheduler",
    "relay",
    "bulk_runner",
    "dispatcher",
    "queue",
    "journal",
    "dead_letters",
    "timer",
    "snapshotter",
    "event_loop",
)
"""In this order each actor can still send its last messages to those that need them."""


class ActorShutdown:
    """The stop of one run's actors. Used by the thread that stops the run; `end_grace` is safe in any thread.

    Args:
        runtime: its parts.
        store: its log; None where another process has it.
    """

    def __init__(self, runtime: HandlerRuntime, store: EventStore | None = None) -> None:
        self._runtime = runtime
        self._store = store
        self._grace_is_over = False
        self._is_late = False
        """The handlers did not come to rest in time."""

    def end_grace(self) -> None:
        """End the grace period of handlers, now or of a stop that begins later."""
        self._grace_is_over = True
        self._runtime.directory.tell("dispatcher", EndGrace())

    def bring_to_rest(self, grace_s: float, quiesce_max_s: float = QUIESCE_MAX_S, look: Callable[[], None] | None = None) -> None:
        """Stop deliveries, wait for running handlers within their grace period, and record the stop.

        `look` is called every twentieth of a second meanwhile; a PerdureError of it ends the wait.
        """
        runtime = self._runtime
        answer = runtime.executor.answer()
        runtime.pending.send("dispatcher", Quiesce(0.0 if self._grace_is_over else grace_s), answer, from_outside=False)
        try:
            self._wait_for_rest(answer, grace_s, quiesce_max_s, look)
            runtime.directory.tell("supervisor", ev.Stopped(runtime.run))
        except (TimeoutError, PerdureError) as error:
            self._is_late = True
            logger.warning("the handlers did not come to rest; the next start takes their messages back: %r", error)

    def _wait_for_rest(self, answer: Answer, grace_s: float, quiesce_max_s: float, look: Callable[[], None] | None) -> None:
        """Wait until the dispatcher answers that everything is recorded.

        Raises:
            TimeoutError: no answer can come because a callback of the host holds up an actor, or since no supervisor is left to
                replace one that died; or a log of files cannot be written; or none came within a minute.
        """
        monotonic_s = self._runtime.executor.monotonic_s
        until_s = monotonic_s() + grace_s + END_S
        while (left_s := until_s - monotonic_s()) > 0:
            with contextlib.suppress(TimeoutError):
                answer.wait(left_s if look is None else min(LOOK_S, left_s))
                return
            if look is not None:
                look()
        until_s = monotonic_s() + quiesce_max_s
        looks_alone = 0
        unwritten = _Unwritten(self._store)
        while not (stuck := self._in_callbacks()) and self._runtime.executor.monotonic_s() < until_s:
            # The dispatcher's clock may stand still, or it may have died and begun the grace period anew.
            self._runtime.directory.tell("dispatcher", EndGrace())
            with contextlib.suppress(TimeoutError):
                answer.wait(LOOK_S)
                return
            if look is not None:
                look()
            looks_alone = 0 if self._has_supervisor() else looks_alone + 1
            if looks_alone >= ALONE_LOOKS:
                raise TimeoutError("the supervisor has ended without a word")
            if unwritten.is_hopeless(self._runtime.pending.closed):
                raise TimeoutError("the log cannot be written")
        raise TimeoutError(f"a callback of a future still runs in the {stuck[0]}" if stuck else "no answer in time")

    def _has_supervisor(self) -> bool:
        supervisor = self._runtime.directory.actors.get("supervisor")
        return supervisor is not None and self._runtime.executor.runs(supervisor)

    def _in_callbacks(self) -> list[str]:
        actors = self._runtime.directory.actors
        return [name for name in STOP_ORDER if (actor := actors.get(name)) is not None and actor.in_callback]

    def end_roles(self, but: tuple[str, ...] = ()) -> list[str]:
        """End all actors `but` these and the workers, and return the names of those that did not end in time."""
        now_s = self._runtime.executor.monotonic_s()
        until_s = now_s + (LATE_S if self._is_late else QUIESCE_MAX_S)
        return [name for name in STOP_ORDER if name not in but and not self._end(name, now_s + END_S, until_s)]

    def _end(self, name: str, end_by_s: float, until_s: float) -> bool:
        """End an actor and return True, or kill it and return False where host code, or what it waits for, holds it up."""
        runtime, ended = self._runtime, None
        while (actor := runtime.directory.actors.get(name)) is not ended and actor is not None:  # it may just have been replaced
            if actor.actor_ref.is_alive():
                actor.actor_ref.stop(block=False)
            until_s = max(until_s, runtime.executor.monotonic_s() + END_S)  # one before it may have used up all
            while runtime.executor.runs(actor):
                now_s = runtime.executor.monotonic_s()
                if now_s >= (end_by_s if actor.runs_host_code or actor.in_callback else until_s):
                    self._kill(actor)
                    return False
                runtime.executor.join(actor, max(0.001, min(LOOK_S, end_by_s - now_s)) if actor.runs_host_code else LOOK_S)
            ended = actor
        return True

    def _kill(self, actor: Actor) -> None:
        with contextlib.suppress(RuntimeError):  # at the interpreter's exit no thread can be started, and none is needed
            actor.kill()

    def end_workers(self) -> None:
        """Give up calls on an event loop, kill the workers, and close the processes of handlers."""
        runtime = self._runtime
        for call in list(runtime.host.loop_calls):
            call.give_up(NotRunning("the system stopped while this handler was on its event loop"))
        for actor in list(runtime.directory.actors.values()):
            if isinstance(actor, Worker):
                self._kill(actor)
        for pool in list(runtime.pools.by_type.values()):
            for process in list(pool.processes.values()):
                process.close()

    def forget_ended(self) -> None:
        """Forget all actors but the event loop, and that pools had workers: others take their places in this process."""
        actors = self._runtime.directory.actors
        for name in [name for name in list(actors) if name != "event_loop"]:
            actors.pop(name, None)
        for pool in list(self._runtime.pools.by_type.values()):
            pool.workers.clear()
            pool.retiring.clear()

    def log_left_behind(self, left: list[str]) -> None:
        """Log which threads still run; a thread in a call of the host cannot be ended."""
        runtime = self._runtime
        until_s = runtime.executor.monotonic_s() + LOOK_S
        for name, actor in list(runtime.directory.actors.items()):
            if isinstance(actor, Worker):
                runtime.executor.join(actor, max(0.0, until_s - runtime.executor.monotonic_s()))
                if runtime.executor.runs(actor):
                    left.append(name)
        if left:
            logger.warning(
                "left behind as daemon threads, because they did not end in time: %s. The folder is free. A message whose handler "
                "still runs there is handled again after the next start, and the outcome of that handler is not taken",
                ", ".join(left),
            )


class _Unwritten:
    """How often in a row a log of files took nothing."""

    def __init__(self, store: EventStore | None) -> None:
        address = None if store is None else store.address
        self._files = None if address is None or is_postgres(address) else store
        self._last_seq = 0
        self._looks = 0

    def is_hopeless(self, closed: PerdureError | None) -> bool:
        """Return whether no write has succeeded for as long as a stop waits; `closed` is why requests are refused now."""
        if self._files is None:
            return False
        if (last_seq := self._files.last_seq) > self._last_seq:  # a frame that no sync kept is cut off, and written again
            self._last_seq, self._looks = last_seq, 0
        self._looks += type(closed) is StoreUnavailable
        return self._looks >= UNWRITTEN_LOOKS
