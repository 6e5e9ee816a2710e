"""A mailbox that is emptied in one go: what Pykka calls an actor's inbox.

What a batch means is up to the actor. Only this file touches Pykka's private modules; pyproject.toml bounds its version.
"""

from __future__ import annotations

import contextlib
import threading
import time
from queue import Empty, SimpleQueue
from typing import Any

from pykka._envelope import Envelope
from pykka.messages import _ActorStop

__all__ = ["PYKKA_ITEMS", "Mailbox", "stops"]

PYKKA_ITEMS: frozenset[type] = frozenset({Envelope, _ActorStop})
"""The classes of what Pykka itself puts into a mailbox."""

BATCH_MAX = 4096
"""Messages taken in one go: bounds the memory and the latency of one decision pass."""


class Mailbox:
    """Unbounded by itself: messages are bounded where they enter the system (see `actors/requests/pending.py`).

    Our own messages lie in it as they are; Pykka's calls put them in envelopes, which are opened on the way out.
    """

    __slots__ = ("_waiters", "empty", "get", "get_nowait", "put", "qsize", "within")

    def __init__(self) -> None:
        # SimpleQueue is written in C and its put is safe even inside a signal handler; ten times faster than Queue.
        queue: SimpleQueue[Any] = SimpleQueue()
        self.put = queue.put
        self.get = queue.get
        self.empty = queue.empty
        self.qsize = queue.qsize
        self.get_nowait = queue.get_nowait
        self.within = self._within
        self._waiters: list[threading.Lock] = []
        """One held lock for each thread that waits `within` a time; `notify` releases them."""

    def _within(self, timeout_s: float) -> Any:
        """Return the next item, waiting no longer than this; for a mailbox that several actors share.

        Not `get(timeout=...)`: in CPython 3.11 that can last for ever where another takes the message that woke it (its time left
        is negative then, which the lock takes for "no limit").

        Raises:
            Empty: none came in time. One that was put without `notify` is seen at the end of it.
        """
        until_s = time.monotonic() + timeout_s
        waiter = threading.Lock()
        waiter.acquire()
        try:
            notified = True
            while notified:
                self._waiters.append(waiter)  # before the look: a thread that puts an item notifies after it
                try:
                    return self.get_nowait()
                except Empty:
                    notified = waiter.acquire(timeout=max(0.0, until_s - time.monotonic()))
            return self.get_nowait()
        finally:
            if waiter in self._waiters:
                with contextlib.suppress(ValueError):  # notified just now
                    self._waiters.remove(waiter)

    def notify(self) -> None:
        """Wake all threads that wait `within` a time. Call it after `put`."""
        waiters = self._waiters
        while waiters:
            try:
                waiters.pop().release()
            except IndexError:
                return  # another thread notified first

    def drain(self, timeout_s: float | None = None) -> list[Any]:
        """Wait for a message, then take all that are there, up to `BATCH_MAX`; empty only after `timeout_s`."""
        try:
            batch = [self.get(timeout=timeout_s)]
        except Empty:
            return []
        if self.qsize():  # as a rule there is one message only, and an exception that says so takes longer than this look
            get_nowait = self.get_nowait
            try:
                while len(batch) < BATCH_MAX:
                    batch.append(get_nowait())
            except Empty:
                pass
        if Envelope not in set(map(type, batch)):
            return batch
        return [item.message if type(item) is Envelope and item.reply_to is None else item for item in batch]


def stops(item: Any) -> bool:
    """Return whether this asks the actor to end in good order; a caller that waits for the receipt is answered."""
    if type(item) is _ActorStop:
        return True
    if type(item) is Envelope and isinstance(item.message, _ActorStop):
        if item.reply_to is not None:
            item.reply_to.set(None)
        return True
    return False
