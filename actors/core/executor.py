"""What actors run on: threads in production, a seeded scheduler in a simulation (`perdure.chaos.simulation`).

Nothing is decided here. An actor's own part is `Actor.turn`, which every executor calls.
"""

from __future__ import annotations

import os
import time
import traceback
from typing import TYPE_CHECKING, Protocol

from perdure.actors.core.threads.answer import Answer
from perdure.actors.core.threads.current_actor import check_may_wait
from perdure.actors.core.threads.thread_start import begin_thread
from perdure.store.disk.background_thread import BackgroundThread

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.actors.core.actor import Actor

__all__ = ["Executor", "Threads"]


class Executor(Protocol):
    """How actors get to run, and how those outside wait for them."""

    has_threads: bool
    """Whether actors run in threads of this process, which a stop has to end."""

    def start(self, actor: Actor) -> None:
        """Start to run an actor."""

    def join(self, actor: Actor, timeout_s: float) -> None:
        """Wait until an actor has ended."""

    def runs(self, actor: Actor) -> bool:
        """Return whether an actor was started and has not ended."""

    def beside(self, work: Callable[[], None], name: str, /) -> Callable[[], bool]:
        """Run `work` in another thread, safe from exceptions thrown into the caller's; return at once. `name` names the thread.

        The function that is returned returns whether that thread is still alive.

        Raises:
            RuntimeError: no thread can be started; `work` does not run.
        """

    def answer(self) -> Answer:
        """Return a new `Answer` for a request, to wait for.

        Raises:
            WouldDeadlock: the caller is an actor that must not wait for others.
        """

    def monotonic_s(self) -> float:
        """Return the seconds of a clock that never goes back, for pauses."""

    def sleep(self, seconds: float) -> None:
        """Block the calling thread for a time."""

    def pid(self) -> int:
        """Return the process's id, for the record."""

    def traceback(self, error: BaseException) -> str:
        """Return an exception with its traceback as text, for the record."""


class Threads:
    """Production: a thread for each actor."""

    has_threads = True
    """See `Executor.has_threads`."""

    def start(self, actor: Actor) -> None:
        """See `Executor.start`."""
        actor.start_thread()

    def join(self, actor: Actor, timeout_s: float) -> None:
        """See `Executor.join`."""
        if actor.thread is not None:
            actor.thread.join(timeout_s)

    def runs(self, actor: Actor) -> bool:
        """See `Executor.runs`."""
        return actor.thread is not None and actor.thread.is_alive()

    def beside(self, work: Callable[[], None], name: str, /) -> Callable[[], bool]:
        """See `Executor.beside`."""
        thread = BackgroundThread(work, f"perdure-{name}")
        begin_thread(thread)
        return thread.is_alive

    def answer(self) -> Answer:
        """See `Executor.answer`."""
        check_may_wait()
        return Answer()

    monotonic_s = staticmethod(time.monotonic)
    """See `Executor.monotonic_s`."""
    sleep = staticmethod(time.sleep)
    """See `Executor.sleep`."""
    pid = staticmethod(os.getpid)
    """See `Executor.pid`."""

    def traceback(self, error: BaseException) -> str:
        """See `Executor.traceback`."""
        return "".join(traceback.format_exception(error))
