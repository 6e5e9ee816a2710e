"""Starts and stops that a coroutine awaits: in another thread than the event loop's, and whole where the await is cancelled.

Not here: the same for a thread that waits (`step_thread`).
"""

from __future__ import annotations

import asyncio
import threading
from contextvars import copy_context
from typing import TYPE_CHECKING

from perdure.events.loggers import GuardedLogger

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["completed", "started_apart"]

logger = GuardedLogger("perdure")


async def completed(step: Callable[[], None], hurry: Callable[[], object] = lambda: None) -> None:
    """Run a step in a thread of the event loop's executor and wait for its end, also where the await is cancelled meanwhile.

    A cancellation calls `hurry`, and is raised once the step has ended. Where no thread can be had, the step blocks the loop.
    """
    try:
        future = asyncio.get_running_loop().run_in_executor(None, copy_context().run, step)
    except RuntimeError as error:
        logger.warning("a step runs in the thread of the event loop: %s", error)
        step()
        return
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
