"""Start and stop hooks of a cluster: once in each process, on the one event loop that the handlers of all its partitions run on.

The hooks of a single System are in `perdure.handling.hooks`; the rules are the same.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Future
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from perdure.events.errors import PerdureError
from perdure.events.loggers import GuardedLogger
from perdure.handling.hooks import LOOK_S, LOOP_PATIENCE_S, STOP_LEAST_S, in_context
from perdure.handling.signatures import label_of
from perdure.runtime.hook_mark import HookMark
from perdure.runtime.process.starting_apart import running_loop
from perdure.store.disk.background_thread import BackgroundThread

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from contextvars import Context

    from perdure.handling.hooks import Hook, Hooks

__all__ = ["ProcessHooks", "check_off_loop"]

logger = GuardedLogger("perdure")

TIDY_S = 0.25
"""Seconds for tasks to tidy up that are cancelled at the end."""


class ProcessHooks:
    """Runs the hooks of one run of a cluster in this process. `start` and `stop` are for one thread at a time.

    Args:
        hooks: the host's start and stop hooks.
        loop: the host's event loop; None: a new one runs in a thread of its own until `stop`.
    """

    def __init__(self, hooks: Hooks, loop: asyncio.AbstractEventLoop | None) -> None:
        self._hooks = hooks
        self._is_own = loop is None
        self.loop = loop or asyncio.new_event_loop()
        """The loop on which hooks and coroutine handlers of all partitions run."""
        self._variables = copy_context()
        self._have_run = False
        self._thread: threading.Thread | None = None
        self._given_up: Callable[[], bool] = lambda: False

    def start(self, given_up: Callable[[], bool]) -> None:
        """Run the start hooks in the order of their registration.

        Args:
            given_up: returns True once no caller waits for this start any more; the hook that runs is then cancelled.

        Raises:
            PerdureError: the loop runs in no thread, or the start was given up.
            Whatever a hook raises; later hooks are not run.
        """
        self._given_up = given_up
        if self._is_own:
            thread = BackgroundThread(self._run_loop, "perdure-hooks")
            thread.start()
            self._thread = thread
        for hook in self._hooks.start:
            self._variables = self._run(hook, None)
        self._have_run = True

    def adopt(self) -> None:
        """Set the context variables that the start hooks have set; a start hook of each partition, for its handlers."""
        for variable, value in self._variables.items():
            variable.set(value)

    def stop(self, seconds: float) -> None:
        """Run the stop hooks, the last one first, within so many seconds, if all start hooks have run; then end the loop."""
        until_s = time.monotonic() + max(seconds, STOP_LEAST_S)
        for hook in reversed(self._hooks.stop) if self._have_run else ():
            self._given_up = lambda: False
            try:
                self._run(hook, max(0.001, until_s - time.monotonic()))
            except BaseException:
                logger.exception("the stop hook %s failed", label_of(hook))
        self._have_run = False
        if self._thread is not None:
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join(STOP_LEAST_S)

    def _run_loop(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
            tasks = asyncio.all_tasks(self.loop)
            for task in tasks:
                task.cancel()
            if tasks:
                self.loop.run_until_complete(asyncio.wait(tasks, timeout=TIDY_S))
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        finally:
            self.loop.close()

    def _run(self, hook: Hook, seconds: float | None) -> Context:
        """Run one hook to its end; return the context variables as it left them."""
        mark = HookMark(self)
        ended: Future[tuple[Context, BaseException | None]] = Future()
        tasks: list[asyncio.Task[Any]] = []
        begin = _beginning(self.loop, hook, mark, ended, tasks)
        begun_s = time.monotonic()
        until_s = float("inf") if seconds is None else begun_s + seconds
        self.loop.call_soon_threadsafe(begin, context=self._variables)
        try:
            while True:
                try:
                    variables, error = ended.result(LOOK_S)
                except TimeoutError:
                    self._check_goes_on(hook, begun_s, until_s)
                    continue
                if error is not None:
                    raise error
                return variables
        finally:
            mark.runtime = None
            if not ended.done():
                self.loop.call_soon_threadsafe(lambda: [task.cancel() for task in tasks])

    def _check_goes_on(self, hook: Hook, begun_s: float, until_s: float) -> None:
        now_s = time.monotonic()
        if now_s >= until_s or self._given_up():
            raise PerdureError(f"the hook {label_of(hook)} did not end in time; it was cancelled, and is left behind")
        if not self.loop.is_running() and now_s >= begun_s + LOOP_PATIENCE_S:
            raise PerdureError(
                f"the hook {label_of(hook)} cannot run: the event loop that the cluster was given runs in no thread. Use "
                "`async with cluster:`, or start the cluster once the loop runs"
            )


def _beginning(
    loop: asyncio.AbstractEventLoop,
    hook: Hook,
    mark: HookMark,
    ended: Future[tuple[Context, BaseException | None]],
    tasks: list[asyncio.Task[Any]],
) -> Callable[[], None]:
    """Return a function for the loop that starts a hook as a task, and resolves `ended` at its end."""

    def begin() -> None:
        task = loop.create_task(in_context(hook, mark))
        task.add_done_callback(settle)
        tasks.append(task)

    def settle(task: asyncio.Task[tuple[Context, BaseException | None]]) -> None:
        if task.cancelled():
            ended.cancel()
        else:
            ended.set_result(task.result())

    return begin


def check_off_loop(loop: asyncio.AbstractEventLoop | None) -> None:
    """Check that the caller does not run on the event loop of the hooks.

    Raises:
        PerdureError: a start would block it, and the hooks would never end.
    """
    if loop is not None and running_loop() is loop:
        raise PerdureError("start: its hooks run on this very event loop, which a start would block; use `async with cluster:`")
