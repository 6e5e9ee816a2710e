"""A mailbox that is emptied in one go: what Pykka calls an actor's inbox.

It only holds and hands over; what a batch means is the actor's business.
"""

from __future__ import annotations

from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pykka._envelope import Envelope

__all__ = ["Mailbox"]

BATCH_MAX = 4096
"""Messages taken in one go: bounds the memory and the latency of one decision pass."""


class Mailbox:
    """Unbounded by itself; what may be put in it is bounded where it enters the system (see `desk`)."""

    __slots__ = ("_get_nowait", "empty", "get", "put", "qsize")

    def __init__(self) -> None:
        # SimpleQueue is written in C and its put is safe even inside a signal handler; ten times faster than Queue.
        queue: SimpleQueue[Envelope[Any]] = SimpleQueue()
        self.put = queue.put
        self.get = queue.get
        self.empty = queue.empty
        self.qsize = queue.qsize
        self._get_nowait = queue.get_nowait

    def drain(self, timeout_s: float | None = None) -> list[Envelope[Any]]:
        """Wait for a message, then take all that are there, up to `BATCH_MAX`; empty only after `timeout_s`."""
        try:
            batch = [self.get(timeout=timeout_s)]
        except Empty:
            return []
        get_nowait = self._get_nowait
        try:
            while len(batch) < BATCH_MAX:
                batch.append(get_nowait())
        except Empty:
            pass
        return batch
