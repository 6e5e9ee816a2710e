"""Waits for room among the requests under way: those of threads, and one for all coroutines of an event loop.

How many may be under way, and when waiters are notified, is in `pending`.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

__all__ = ["LoopWaiter", "Waiter"]


class Waiter(Protocol):
    """One wait for room. A lock that is held is one."""

    def release(self) -> None:
        """End the wait; RuntimeError if it has ended."""


class LoopWaiter:
    """One waiter for all coroutines of an event loop, so that a notification costs the same for one and for ten thousand."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._event = asyncio.Event()
        self._is_notified = False
        self.waiting = 0

    def release(self) -> None:
        """See `Waiter.release`."""
        if not self._is_notified:
            self._is_notified = True
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._is_notified = False
        event, self._event = self._event, asyncio.Event()
        event.set()

    async def wait_for_notify(self) -> None:
        """Wait for the next notification."""
        await self._event.wait()
