"""`LifecycleSteps`: the starts and stops of one System or Cluster, once at a time; nothing runs where one was interrupted.

Each is made in a `StepThread`. What a start begins and what a stop ends is in `perdure.lifecycle` and in `perdure.cluster`.
"""

from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING

from perdure.events.errors import PerdureError
from perdure.events.seconds import checked_seconds
from perdure.runtime.process.starting_apart import started_apart
from perdure.runtime.process.step_thread import StepThread

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from perdure.actors.core.executor import Executor

__all__ = ["LifecycleSteps", "Start", "Startable"]


class Start:
    """One start: what the thread that makes it shares with the one that waits for it."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop | None = None, stands_by_no_more: Callable[[], bool] = lambda: False
    ) -> None:
        self.loop = loop
        """The event loop of the `async with` that makes it; None for any other start."""
        self.given_up = False
        """No thread waits for it any more: it need not go on, and what it has begun is ended."""
        self.stands_by_no_more = stands_by_no_more
        """Returns whether it fails where it would go on to wait for another owner of the log."""
        self.has_failed = False
        """It has raised, and left nothing behind."""

    def give_up(self) -> None:
        """End it early, for example where it waits for a hook."""
        self.given_up = True


class LifecycleSteps:
    """Makes starts and stops, each in a thread of its own, which an exception in the waiting thread does not interrupt.

    Safe in any thread.
    """

    def __init__(
        self,
        name: str,
        executor: Executor,
        begin: Callable[[Start], None],
        end: Callable[[float], None],
        end_grace: Callable[[], None],
        has_failed: Callable[[], bool] = lambda: False,
    ) -> None:
        """Make the steps of an object that does not run.

        Args:
            name: of the object, for errors.
            executor: starts the threads.
            begin: begins all that the object runs on, or raises and leaves nothing; may end early once the start is given up.
            end: ends what `begin` has begun; its argument is the grace period, in seconds.
            end_grace: ends the grace period of an `end` that is under way.
            has_failed: returns True where what `begin` began has ended by itself, and only `end` is left to do.
        """
        self._name = name
        self._executor = executor
        self._begin = begin
        self._end = end
        self._end_grace = end_grace
        self._has_failed = has_failed
        self.current: Start | None = None
        """The start of what runs, or is being started; None where nothing is."""
        self._lock = threading.Lock()
        """Held by the thread that makes a start or a stop, never by a thread that waits for one."""
        self.pid = os.getpid()
        """The process of the last start. A fork takes no threads along."""

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to stop in this process."""
        return (self.current is None and not self._lock.locked()) or self.pid != os.getpid()

    # --- start ---------------------------------------------------------------------------------------------------------------

    def start(self, start: Start) -> None:
        """Start, and return once it has begun. If this raises, KeyboardInterrupt included, nothing of this start runs.

        Args:
            start: a new one. Once it is `given_up`, it ends early, and what it has begun is ended before this returns.

        Raises:
            PerdureError: it runs already in this process.
            Whatever `begin` raises.
        """
        try:
            self._run_apart(lambda: self._start(start), "start")
        except BaseException:
            start.given_up = True
            if not start.has_failed:  # an exception interrupted the wait: stop what has begun meanwhile
                self._run_apart(lambda: self._stop(0.0, start), "stop")
            raise

    def _run_apart(self, step: Callable[[], None], name: str) -> None:
        step_thread = StepThread(self._executor, step, name)
        step_thread.begin()
        step_thread.wait()

    def _start(self, start: Start) -> None:
        with self._lock:
            if start.given_up:
                return
            if self.current is not None and self._has_failed():
                self._end_current(0.0)
            if self.current is not None:
                start.has_failed = True
                raise PerdureError(f"the {self._name} is running already in this process; use it, or stop it first")
            self.current, self.pid = start, os.getpid()
            try:
                self._begin(start)
            except BaseException:
                self.current = None
                start.has_failed = True
                raise
            if start.given_up:
                self._end_current(0.0)

    # --- stop ----------------------------------------------------------------------------------------------------------------

    def stop(
        self,
        grace: float | None,
        default_s: float,
        must_not_wait: Callable[[], bool],
        only: Start | None = None,
        stopping: StepThread | None = None,
    ) -> None:
        """Stop what runs, and return once it has ended. Does nothing where nothing runs.

        KeyboardInterrupt and the like end the grace period, and are raised once all has ended.

        Args:
            grace: seconds, as the caller gave them.
            default_s: the grace period where `grace` is None.
            must_not_wait: returns True in a caller that the stop itself waits for: it then only begins.
            only: stop what runs only if this start has begun it, and not what another thread has started.
            stopping: not given. A first statement in the body could be interrupted before the stop has begun.

        Raises:
            TypeError, ValueError: `grace` is no number of seconds.
        """
        try:
            grace_s = default_s if grace is None else checked_seconds("grace", grace)
            if self.is_idle:
                return
            stopping = StepThread(self._executor, lambda: self._stop(grace_s, only), "stop")
            stopping.begin()
            if stopping.lacks_thread or not must_not_wait():
                stopping.wait()
        except Exception:
            raise
        except BaseException:
            if only in (None, self.current):
                self._end_grace()
            stopping = stopping or StepThread(self._executor, lambda: self._stop(0.0, only), "stop")
            stopping.begin()
            stopping.wait()
            raise

    def _stop(self, grace_s: float, only: Start | None = None) -> None:
        """Stop what runs; with `only`, only if that start has begun it."""
        with self._lock:
            if self.current is not None and only in (None, self.current):
                self._end_current(grace_s)

    def _end_current(self, grace_s: float) -> None:
        try:
            self._end(grace_s)
        finally:
            self.current = None


class Startable:
    """A System or a Cluster: what starts and stops with a `with` block.

    A block that is left while it starts ends its own start, and nothing that another thread has started.
    """

    _lifecycle: LifecycleSteps

    def _start_as(self, start: Start) -> None:
        """Start; the thread that waits for it may give it up."""
        raise NotImplementedError

    def _stop_start(self, start: Start) -> None:
        """Stop without a grace period, if this start has begun what runs."""
        raise NotImplementedError

    def stop(self, grace: float | None = None) -> None:
        """Stop."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        """Start; see `start`."""
        start = Start()
        try:
            self._start_as(start)
            return self  # noqa: TRY300 - an interrupt after the start, before the block begins, must not leave it running
        except BaseException:
            self._stop_start(start)
            raise

    def _begin_served(self, stands_by_no_more: Callable[[], bool]) -> None:
        """Start, for a caller that waits for signals."""
        self._start_as(Start(stands_by_no_more=stands_by_no_more))

    async def _enter_apart(self, stands_by_no_more: Callable[[], bool] = lambda: False) -> None:
        """Start without blocking the event loop. If the await is cancelled, nothing of this start runs afterwards."""
        start = Start(asyncio.get_running_loop(), stands_by_no_more)
        await started_apart(lambda: self._start_as(start), lambda: self._stop_start(start), start.give_up)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop; see `stop`."""
        self.stop()
