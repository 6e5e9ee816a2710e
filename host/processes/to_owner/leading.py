"""The answer that a thread waits for by reading the connection itself: one such thread leads, and reads for all; the others follow.

A thread that waits for its own answer needs no other thread to be woken first. The connection's own thread reads where no thread
waits (`connection`).
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from perdure.actors.core.threads.answer import Answer

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Leadership", "LedAnswer"]

LEAD_S = 0.25
"""How long a thread leads; one that waits for longer leaves the reading to others."""


class LedAnswer(Answer):
    """A reply whose thread may read the connection while it waits."""

    __slots__ = ("_leadership", "is_promoted", "is_there", "thread_id")

    is_made_elsewhere = True

    def __init__(self, leadership: Leadership) -> None:
        super().__init__()
        self._leadership = leadership
        self.thread_id = threading.get_ident()
        """The thread that made it, which is the one that waits."""
        self.is_there = False
        self.is_promoted = False
        """It was woken to lead, not for an answer."""

    def resolve(self, value: Any) -> None:
        """See `Reply.resolve`."""
        self._value = value
        self.is_there = True
        self._release()

    def reject(self, error: BaseException) -> None:
        """See `Reply.reject`."""
        self._error = error
        self.is_there = True
        self._release()

    def promote(self) -> None:
        """Wake its thread to lead. In any thread."""
        self.is_promoted = True
        self._release()

    def sleep(self, seconds: float) -> None:
        """Wait until it is there, or its thread is to lead, for so long at most."""
        self._lock.acquire(timeout=min(max(0.0, seconds), threading.TIMEOUT_MAX))

    def wait(self, timeout_s: float) -> Any:
        """See `Answer.wait`."""
        self._leadership.wait_for(self, math.inf if timeout_s < 0 else timeout_s)
        if not self.is_there:
            raise TimeoutError
        if self._error is not None:
            raise self._error
        return self._value


class Leadership:
    """Which thread reads a connection: one at a time.

    There is no lock: which reader has it, and that it is taken, is one step, so that an interrupted thread never keeps it.

    Args:
        may_lead: returns whether a thread that waits can read the connection.
        lead: called with an answer and a monotonic time in seconds; reads until the answer is there or the time is over.
        leave: called when a leader leaves, and no other thread follows it.
    """

    def __init__(self, may_lead: Callable[[], bool], lead: Callable[[LedAnswer, float], None], leave: Callable[[], None]) -> None:
        self._reader: dict[str, object] = {}
        self._may_lead = may_lead
        self._lead = lead
        self._leave = leave
        self._followers: deque[LedAnswer] = deque()

    @property
    def is_taken(self) -> bool:
        """Whether a thread reads."""
        return bool(self._reader)

    def take(self, reader: object) -> bool:
        """Become the reader unless there is another; return whether `reader` is the one. Never waits."""
        return self._reader.setdefault("reader", reader) is reader

    def is_led_by(self, reader: object) -> bool:
        """Return whether `reader` is the one that reads; a leader loses that to a wait within its own, see `_take_from_beneath`."""
        return self._reader.get("reader") is reader

    def _take_from_beneath(self, answer: LedAnswer) -> None:
        """Become the reader in the place of an answer that this very thread waits for, if that is the one that leads.

        A signal handler, or a finalizer, may interrupt a thread that leads, and wait for an answer itself. The leader goes on only
        when that wait is over.
        """
        beneath = self._reader.get("reader")
        if isinstance(beneath, LedAnswer) and beneath.thread_id == answer.thread_id:
            self._reader["reader"] = answer

    def let_go(self, reader: object) -> bool:
        """Be the reader no more; return whether it was."""
        was = self.is_led_by(reader)
        if was:
            self._reader.clear()
        return was

    def wait_for(self, answer: LedAnswer, timeout_s: float) -> None:
        """Wait until an answer is there, for so long at most, leading for a part of it where no other thread does."""
        now_s = time.monotonic()
        until_s, lead_until_s = now_s + timeout_s, now_s + min(timeout_s, LEAD_S)
        try:
            self._take_from_beneath(answer)
            while not answer.is_there and now_s < until_s:
                if now_s >= lead_until_s or not self._may_lead():
                    self._pass_on(answer)
                    answer.sleep(until_s - now_s)
                elif self.take(answer):
                    self._lead(answer, lead_until_s)
                    self._pass_on(answer)
                else:
                    self._follow(answer, lead_until_s - now_s)
                now_s = time.monotonic()
        finally:
            self._pass_on(answer)

    def _follow(self, answer: LedAnswer, seconds: float) -> None:
        self._followers.append(answer)
        try:
            if self.is_taken:  # else its leader has left without seeing this one
                answer.sleep(seconds)
        finally:
            with contextlib.suppress(ValueError):
                self._followers.remove(answer)

    def _pass_on(self, answer: LedAnswer) -> None:
        """Pass the lead on to another thread, if this one had it or should have."""
        if not self.let_go(answer) and not answer.is_promoted:
            return
        answer.is_promoted = False
        while self._followers:
            try:
                follower = self._followers.popleft()
            except IndexError:
                break
            if not follower.is_there:
                follower.promote()
                return
        self._leave()
