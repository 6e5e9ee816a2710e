"""Where the answer to a request goes (`Reply`): to a thread that waits for it (`Answer`), or nowhere (`IgnoredReply`).

How a request finds its receiver, and how it survives deaths, is in `actors/requests/pending.py`.
"""

from __future__ import annotations

import threading
from typing import Any, Protocol

__all__ = ["Answer", "IgnoredReply", "Reply"]


class Reply(Protocol):
    """Where an answer goes. Both methods may be called in any thread, and more than once: the first call counts."""

    def resolve(self, value: Any, /) -> None:
        """Take the answer."""

    def reject(self, error: BaseException) -> None:
        """Take the refusal."""


class IgnoredReply:
    """The reply to a request that is sent again until it is answered, and whose answer is of no interest."""

    def resolve(self, value: Any) -> None:
        """See `Reply.resolve`."""

    def reject(self, error: BaseException) -> None:
        """See `Reply.reject`: the run ends, and its successor finds out by itself."""


class Answer:
    """A reply that one thread waits for: a lock, held until the answer is there (a tenth of a Condition's cost)."""

    __slots__ = ("_error", "_lock", "_value")

    is_made_elsewhere = False
    """Another process gives the answer, so work of the waiting thread before it waits does not delay the answer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()
        self._value: Any = None
        self._error: BaseException | None = None

    def resolve(self, value: Any) -> None:
        """See `Reply.resolve`."""
        self._value = value
        self._release()

    def reject(self, error: BaseException) -> None:
        """See `Reply.reject`."""
        self._error = error
        self._release()

    def _release(self) -> None:
        try:
            self._lock.release()
        except RuntimeError:
            return  # answered before: a repeated answer is the same

    def wait(self, timeout_s: float) -> Any:
        """Return the answer or raise the refusal. Call it once.

        Args:
            timeout_s: the longest wait; -1.0: as long as it takes.

        Raises:
            TimeoutError: neither came in time.
        """
        if not self._lock.acquire(timeout=timeout_s):
            raise TimeoutError
        if self._error is not None:
            raise self._error
        return self._value
