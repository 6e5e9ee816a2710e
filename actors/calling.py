"""Calling a handler where its kind runs (a thread, the event loop, a child process), and stopping it there.

When to call, and what becomes of what it returns or raises, is the worker's; when to give up on it the dispatcher's.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from perdure.actors.context import Interrupted
from perdure.actors.event_loop import EventLoop, LoopDied
from perdure.actors.process import HandlerProcess
from perdure.actors.thrown import take_back, throw

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.actors.actor import Actor
    from perdure.actors.pool import Delivery, Pool

__all__ = ["Caller", "interrupt"]


class Caller:
    """Makes the calls of one worker, one after the other, in its thread."""

    __slots__ = ("_pool", "_worker")

    def __init__(self, worker: Actor, pool: Pool) -> None:
        self._worker = worker
        self._pool = pool

    def call(self, message: Any, context: Any, deliveries: list[Delivery]) -> Any:
        """Call the handler; until `release`, these deliveries can be interrupted. Gives what it returns, raises what it raises."""
        handler = self._pool.handler
        if handler.kind == "async":
            return self._call_on_loop(handler.call, message, context, deliveries)
        if handler.kind == "process":
            process = context.process = self.process()
            _stoppable(deliveries, process.stopper())
        elif handler.timeout_s is not None:
            guard = threading.Lock()  # one for a batch: its deliveries share the thread that is interrupted
            for delivery in deliveries:
                delivery.guard = guard
                delivery.thread_id = threading.get_ident()
        return handler.call(message, context)

    def _call_on_loop(self, call: Callable[[Any, Any], Any], message: Any, context: Any, deliveries: list[Delivery]) -> Any:
        stage = self._worker.stage
        loop = stage.actors.get("event_loop")
        if not isinstance(loop, EventLoop):
            msg = "the event loop is not there yet"
            raise LoopDied(msg)
        running = loop.call(call(message, context))
        _stoppable(deliveries, lambda _grace_s: running.cancel())
        try:
            return running.wait()
        finally:
            stage.loop_calls.discard(running)

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
        if process is None:
            handler = pool.handler
            process = HandlerProcess(handler.function or handler.call, handler.memory_bytes)
            pool.processes[name] = process
        return process

    def end_process(self) -> None:
        """End the child of this worker, or of the one whose name it has, if there is one."""
        process = self._pool.processes.pop(self._worker.name, None)
        if process is not None:
            process.close()


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
