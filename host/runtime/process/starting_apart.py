"""A start that a coroutine awaits: in another thread than the event loop's, and undone where the await is cancelled."""

from __future__ import annotations

import asyncio
import threading
from contextvars import copy_context
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["started_apart"]


async def started_apart(start: Callable[[], None], stop: Callable[[], None], give_up: Callable[[], None] = lambda: None) -> None:
    """Start in a thread, with the caller's context variables. If the await is cancelled, nothing runs afterwards.

    Args:
        start: returns once it has started.
        stop: stops at once.
        give_up: ends what the start waits for.

    Raises:
        Whatever the start raises.
    """
    cancelled = threading.Event()

    def begin() -> None:
        if not cancelled.is_set():
            start()
            if cancelled.is_set():
                stop()

    starting = asyncio.get_running_loop().run_in_executor(None, copy_context().run, begin)
    try:
        await asyncio.shield(starting)
    except asyncio.CancelledError:
        cancelled.set()
        give_up()
        await asyncio.wait([starting])
        if starting.exception() is None:
            await asyncio.to_thread(stop)
        raise
