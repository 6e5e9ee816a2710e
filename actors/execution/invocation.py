"""Calling a handler where its kind runs (a thread, the event loop, a child process), and stopping it there.

When to call, and what becomes of what it returns or raises, is the worker's; when to give up on it the dispatcher's.
"""

from __future__ import annotations

import threading
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from perdure.actors.core.async_exceptions import take_back, throw
from perdure.actors.core.messages import StartActor, WhenStaffed
from perdure.actors.execution.child_process import HandlerProcess
from perdure.actors.execution.event_loop import EventLoop, LoopDied
from perdure.actors.execution.returned import awaited, check_ran, is_awaitable
from perdure.actors.execution.scope import CALLER
from perdure.actors.workers.context import Interrupted, deliveries_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context as Variables

    from perdure.actors.core.actor import Actor
    from perdure.actors.workers.pool import Delivery, Pool

__all__ = ["Caller", "finishing", "interrupt"]

LOOP_START_MAX_S = 30.0
"""How long a worker waits for the event loop to start, when a plain handler returns something to be awaited."""


class Caller:
    """Makes the calls of one worker, one after the other, in its thread."""

    __slots__ = ("_pool", "_worker", "base")

    def __init__(self, worker: Actor, pool: Pool) -> None:
        self._worker = worker
        self._pool = pool
        self.base: Variables | None = None
        """What each call gets a copy of, once there has been one: `variables`."""

    @property
    def pool(self) -> Pool:
        """The pool whose handler it calls."""
        return self._pool

    @property
    def name(self) -> str:
        """The worker's name."""
        return self._worker.name

    def variables(self) -> Variables:
        """Return the context variables for one call: a copy of its own, so that nothing that is set in it reaches the next."""
        base = self.base
        if base is None:
            base = self._worker.runtime.variables.copy()
            base.run(CALLER.set, self)
            self.base = base
        return base.copy()

    def call(self, message: Any, context: Any, deliveries: list[Delivery]) -> Any:
        """Call the handler; until `release`, these deliveries can be interrupted. Gives what it returns, raises what it raises."""
        handler = self._pool.handler
        variables = self.variables()
        if handler.kind == "async":
            return self._await_on_loop(variables.run(handler.call, message, context), variables, deliveries)
        if handler.kind == "process":
            process = context.process = self.process()
            _stoppable(deliveries, process.stopper())
        elif handler.timeout_s is not None:
            guard = threading.Lock()  # one for a batch: its deliveries share the thread that is interrupted
            for delivery in deliveries:
                delivery.guard = guard
                delivery.thread_id = threading.get_ident()
        value = variables.run(handler.call, message, context)
        return value if value is None else self.finish(value, variables, deliveries)

    def finish(self, value: Any, variables: Variables, deliveries: list[Delivery]) -> Any:
        """Return what a plain handler gave in the end: what can be awaited is awaited on the event loop.

        Raises:
            TypeError: it returned something that never ran; see `check_ran`.
            Whatever the awaitable raises.
        """
        if not is_awaitable(value):
            return check_ran(value)
        self._have_loop()
        return self._await_on_loop(value, variables, deliveries)

    def _have_loop(self) -> None:
        """Have an event loop for a handler that was not known to need one."""
        runtime = self._worker.runtime
        self._pool.awaits = True
        if "event_loop" in runtime.actors:
            return
        answer = runtime.executor.answer()
        runtime.tell("supervisor", StartActor("event_loop"))
        runtime.pending.send("supervisor", WhenStaffed(), answer, from_outside=False)
        answer.wait(LOOP_START_MAX_S)

    def _await_on_loop(self, value: Any, variables: Variables, deliveries: list[Delivery]) -> Any:
        runtime = self._worker.runtime
        loop = runtime.actors.get("event_loop")
        coroutine = awaited(value)
        if not isinstance(loop, EventLoop):
            _close(coroutine, value)
            msg = "the event loop is not there yet"
            raise LoopDied(msg)
        try:
            running = loop.call(coroutine, variables)
        except LoopDied:
            _close(coroutine, value)
            raise
        _stoppable(deliveries, lambda _grace_s: running.cancel())
        try:
            return running.wait()
        finally:
            runtime.loop_calls.discard(running)

    def release(self, deliveries: list[Delivery]) -> None:
        """From here on nobody interrupts this thread; what was thrown and has not struck yet is called back."""
        for delivery in deliveries:
            delivery.stop = None
            if delivery.guard is None:
                continue
            with delivery.guard:
                delivery.thread_id = 0
            if delivery.lost and not self._worker.killed:
                take_back()

    def process(self) -> HandlerProcess:
        """Give the child of this worker, made at first use."""
        pool, name = self._pool, self._worker.name
        process = pool.processes.get(name)
        handler = pool.handler
        function = handler.function or handler.call
        if process is not None and process.function is not function:  # the handler was replaced
            process.close()
            process = None
        if process is None:
            process = HandlerProcess(function, handler.memory_bytes, handler.label)
            pool.processes[name] = process
        return process

    def end_process(self) -> None:
        """End the child of this worker, or of the one whose name it has, if there is one."""
        process = self._pool.processes.pop(self._worker.name, None)
        if process is not None:
            process.close()


def finishing(call: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Return a plain handler whose call ends when what it returned has: for those that something is put round.

    What is round it (a middleware, a container of services) then ends after the work, not before it.
    """

    def called(message: Any, context: Any) -> Any:
        value = call(message, context)
        caller = CALLER.get()
        if value is None or caller is None:
            return value
        return caller.finish(value, copy_context(), deliveries_of(context))

    return called


def _close(*coroutines: Any) -> None:
    """Let go of coroutines that never began, so that Python does not warn of them."""
    for coroutine in coroutines:
        if hasattr(coroutine, "close"):
            coroutine.close()


def _stoppable(deliveries: list[Delivery], stop: Callable[[float], None]) -> None:
    for delivery in deliveries:
        delivery.stop = stop
    if any(delivery.lost for delivery in deliveries):
        stop(0.0)  # its end was decided before there was anything to stop


def interrupt(delivery: Delivery) -> None:
    """Stop the handler that runs this delivery: cancel it, kill it, or throw `Interrupted` into its thread where it still is.

    Runs in the thread of whoever has given up on it.
    """
    stop = delivery.stop
    if stop is not None:
        stop(0.0)
    if delivery.guard is None:
        return
    with delivery.guard:
        if delivery.thread_id:
            throw(delivery.thread_id, Interrupted)
