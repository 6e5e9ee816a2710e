"""Starts and stops that a coroutine awaits: in another thread than the event loop's, and whole where the await is cancelled.

`running_loop` returns the event loop of a thread. Not here: the same for a thread that waits (`step_thread`).
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from contextvars import copy_context
from typing import TYPE_CHECKING

from perdure.events.loggers import GuardedLogger

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["completed", "running_loop", "started_apart"]

logger = GuardedLogger("perdure")


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop that runs in this thread, or None."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


async def completed(step: Callable[[], None], hurry: Callable[[], object] = lambda: None) -> None:
    """Run a step in a thread of the event loop's executor and wait for its end, also where the await is cancelled meanwhile.

    A cancellation calls `hurry`, and is raised once the step has ended. Where no thread can be had, the step blocks the loop.
    """
    once = _Once(step)
    try:
        future = asyncio.get_running_loop().run_in_executor(None, once.run, object())
    except RuntimeError as error:
        # The executor may have queued it nevertheless: it takes it as soon as it has a thread.
        logger.warning("a step runs in the thread of the event loop: %s", error)
        if once.run(object()):
            return
        future = asyncio.wrap_future(once.outcome)
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as error:
            cancelled = error
            hurry()
    if cancelled is not None:
        raise cancelled from future.exception()
    future.result()


class _Once:
    """A step that runs once, with the context variables of its maker, however many threads come to run it."""

    def __init__(self, step: Callable[[], None]) -> None:
        self._step = step
        self._context = copy_context()
        self._claim: dict[int, object] = {}
        self.outcome: Future[bool] = Future()

    def run(self, by: object) -> bool:
        """Run the step and return True; False if another caller runs it, or has. `by` is an object of the caller's own."""
        if self._claim.setdefault(0, by) is not by:
            return False
        try:
            self._context.run(self._step)
        except BaseException as error:
            self.outcome.set_exception(error)
            raise
        self.outcome.set_result(True)
        return True


async def started_apart(start: Callable[[], None], stop: Callable[[], None], give_up: Callable[[], None] = lambda: None) -> None:
    """Start in a thread, with the caller's context variables. If the await is cancelled, nothing runs afterwards.

    Args:
        start: returns once it has started.
        stop: stops at once.
        give_up: ends what the start waits for.

    Raises:
        Whatever the start raises.
    """
    cancelled, has_started = threading.Event(), threading.Event()

    def begin() -> None:
        if not cancelled.is_set():
            start()
            has_started.set()

    def hurry() -> None:
        cancelled.set()
        give_up()

    try:
        await completed(begin, hurry)
    except asyncio.CancelledError:
        if has_started.is_set():
            await completed(stop)
        raise
