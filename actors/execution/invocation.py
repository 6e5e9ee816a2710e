"""Calling a handler where its kind runs (a thread, the event loop, a child process), and stopping it there.

When to call, and what follows from a value or an exception, is in `workers/worker`; when to stop it, in `workers/dispatcher`.
"""

from __future__ import annotations

import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

from perdure.actors.core.actor import ActorKilled
from perdure.actors.core.messages import StartActor, WhenStaffed
from perdure.actors.core.threads.async_exceptions import take_back, throw
from perdure.actors.execution.child_process import HandlerProcess
from perdure.actors.execution.event_loop import EventLoop, LoopDied
from perdure.actors.execution.forks import FORKS, check_same_process
from perdure.actors.execution.returned import awaited, check_ran, is_awaitable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextvars import Context as Variables

    from perdure.actors.core.directory import Directory
    from perdure.actors.core.executor import Executor
    from perdure.actors.execution.host_context import HostContext
    from perdure.actors.requests.pending import PendingRequests

__all__ = ["CALLER", "Caller", "Interrupted", "interrupt"]

LOOP_START_MAX_S = 30.0
"""How long a worker waits for the event loop to start, when a plain handler returns something to be awaited."""


class Interrupted(BaseException):
    """Raised in a handler that ran past its timeout. Not an Exception, so that a broad `except` does not swallow it."""


class Interruptible(Protocol):
    """What is needed of a delivery whose handler can be stopped."""

    lost: bool
    guard: threading.Lock | None
    thread_id: int
    stop: Callable[[float], None] | None


class Callee(Protocol):
    """What is needed of a handler to call it."""

    @property
    def kind(self) -> str:
        """`thread`, `async` or `process`."""

    @property
    def call(self) -> Callable[[Any, Any], Any]:
        """The function that takes the message and its context."""

    @property
    def function(self) -> Callable[[Any, Any], Any] | None:
        """For processes: the function that runs in the child."""

    @property
    def timeout_s(self) -> float | None:
        """The seconds after which it is stopped; None: never."""

    @property
    def memory_bytes(self) -> int | None:
        """For processes: the bytes that the child may take."""

    @property
    def label(self) -> str:
        """Its name, for people."""


class Callees(Protocol):
    """What is needed of a pool to call its handler."""

    awaits: bool
    processes: dict[str, HandlerProcess]

    @property
    def type(self) -> str:
        """The message type."""

    @property
    def handler(self) -> Callee:
        """The handler, as it is now."""


class Slot(Protocol):
    """What is needed of the worker that calls."""

    name: str
    killed: bool


class Caller:
    """Makes the handler calls of one worker, one after the other, in its thread."""

    __slots__ = ("_directory", "_executor", "_host", "_pending", "_pool", "_worker", "base")

    def __init__(
        self,
        worker: Slot,
        pool: Callees,
        host: HostContext,
        directory: Directory,
        pending: PendingRequests,
        executor: Executor,
    ) -> None:
        self._worker = worker
        self._pool = pool
        self._host = host
        self._directory = directory
        self._pending = pending
        self._executor = executor
        self.base: Variables | None = None
        """The context variables that each call gets a copy of (`variables`); None before the first call."""

    @property
    def pool(self) -> Callees:
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
            base = self._host.variables.copy()
            base.run(CALLER.set, self)
            self.base = base
        return base.copy()

    def call(
        self, message: Any, context: Any, deliveries: Sequence[Interruptible]
    ) -> tuple[Any, None] | tuple[None, BaseException]:
        """Call the handler, here and nowhere else; return (what it returned, None), or (None, what it raised).

        Whatever it raises, SystemExit and the like included, is its own failure and no other's. While it runs, these deliveries can
        be interrupted.

        Raises:
            ActorKilled: the worker is to die.
        """
        handler, base, forks = self._pool.handler, self.base, FORKS.count
        try:
            variables = self.variables() if base is None else base.copy()
            if handler.kind == "thread" and handler.timeout_s is None:  # nothing can interrupt it
                value = variables.run(handler.call, message, context)
                if value is not None:
                    value = self._finish_and_release(value, variables, deliveries)
            else:
                value = self._call_stoppable(handler, message, context, variables, deliveries)
        except ActorKilled:
            raise
        except Interrupted:
            return None, TimeoutError("interrupted by its timeout")
        except BaseException as error:  # noqa: BLE001 - see above
            return None, error
        finally:
            if FORKS.count != forks:
                check_same_process(forks)
        if self._worker.killed:
            raise ActorKilled(self._worker.name)
        return value, None

    def _call_stoppable(
        self, handler: Callee, message: Any, context: Any, variables: Variables, deliveries: Sequence[Interruptible]
    ) -> Any:
        try:
            self._make_stoppable(handler, context, deliveries)
            value = variables.run(handler.call, message, context)
            if handler.kind == "async":
                return self._await_on_loop(value, variables, deliveries)
            return value if value is None else self.finish(value, variables, deliveries)
        finally:
            self._release(deliveries)

    def _finish_and_release(self, value: Any, variables: Variables, deliveries: Sequence[Interruptible]) -> Any:
        try:
            return self.finish(value, variables, deliveries)
        finally:
            self._release(deliveries)

    def _make_stoppable(self, handler: Callee, context: Any, deliveries: Sequence[Interruptible]) -> None:
        if handler.kind == "process":
            process = context.process = self.process()
            _set_stopper(deliveries, process.stopper())
        elif handler.kind == "thread":
            guard = threading.Lock()  # one for a batch: its deliveries share the thread that is interrupted
            for delivery in deliveries:
                delivery.guard = guard
                delivery.thread_id = threading.get_ident()

    def finish(self, value: Any, variables: Variables, deliveries: Sequence[Interruptible]) -> Any:
        """Return a plain handler's value in the end: an awaitable is awaited on the event loop.

        Raises:
            TypeError: it returned something that never ran; see `check_ran`.
            Whatever the awaitable raises.
        """
        if not is_awaitable(value):
            return check_ran(value)
        self._start_loop()
        return self._await_on_loop(value, variables, deliveries)

    def _start_loop(self) -> None:
        """Start the event loop for a handler that was not known to need one."""
        self._pool.awaits = True
        if "event_loop" in self._directory.actors:
            return
        answer = self._executor.answer()
        self._directory.tell("supervisor", StartActor("event_loop"))
        self._pending.send("supervisor", WhenStaffed(), answer, from_outside=False)
        answer.wait(LOOP_START_MAX_S)

    def _await_on_loop(self, value: Any, variables: Variables, deliveries: Sequence[Interruptible]) -> Any:
        loop = self._directory.actors.get("event_loop")
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
        _set_stopper(deliveries, lambda _grace_s: running.cancel())
        try:
            return running.wait()
        finally:
            self._host.loop_calls.discard(running)
            if running.never_ran():
                _close(coroutine, value)

    def _release(self, deliveries: Sequence[Interruptible]) -> None:
        """End the time in which this thread can be interrupted; take back an exception that was thrown and is not raised yet."""
        for delivery in deliveries:
            delivery.stop = None
            if delivery.guard is None:
                continue
            with delivery.guard:
                delivery.thread_id = 0
            if delivery.lost and not self._worker.killed:
                take_back()

    def process(self) -> HandlerProcess:
        """Return the child of this worker, made at first use."""
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


CALLER: ContextVar[Caller | None] = ContextVar("perdure.caller", default=None)
"""The caller of the worker whose handler runs here; None outside of handlers.

Each call runs in a context of its own, a copy of the worker's; that in turn is a copy of the one in which the system was started.
"""


def _close(*coroutines: Any) -> None:
    """Close coroutines that never began, so that Python does not warn about them."""
    for coroutine in coroutines:
        if hasattr(coroutine, "close"):
            coroutine.close()


def _set_stopper(deliveries: Sequence[Interruptible], stop: Callable[[float], None]) -> None:
    for delivery in deliveries:
        delivery.stop = stop
    if any(delivery.lost for delivery in deliveries):
        stop(0.0)  # its end was decided before there was anything to stop


def interrupt(delivery: Interruptible) -> None:
    """Stop the handler that runs this delivery: cancel it, kill it, or throw `Interrupted` into its thread where it still is.

    Runs in the thread of the actor that has given up on it.
    """
    stop = delivery.stop
    if stop is not None:
        stop(0.0)
    if delivery.guard is None:
        return
    with delivery.guard:
        if delivery.thread_id:
            throw(delivery.thread_id, Interrupted)
