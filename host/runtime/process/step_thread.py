"""`StepThread`: a start or a stop in a thread of its own, so that an exception in the waiting thread does not interrupt it.

KeyboardInterrupt may be raised at any instruction of the main thread, so a step that must be completed does not run there. What
a coroutine awaits is in `starting_apart`, which steps there are in `lifecycle_steps`.
"""

from __future__ import annotations

import contextvars
import threading
from typing import TYPE_CHECKING

from perdure.events.errors import PerdureError
from perdure.events.loggers import GuardedLogger

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.actors.core.executor import Executor

__all__ = ["StepThread"]

logger = GuardedLogger("perdure")

LOOK_S = 0.1


class StepThread:
    """A step that the first call of `begin` starts, and any number of threads can wait for."""

    def __init__(self, executor: Executor, step: Callable[[], None], name: str) -> None:
        self._executor = executor
        self._step = step
        self._name = name
        self._context = contextvars.copy_context()
        self._claim: dict[int, threading.Thread] = {}
        """The thread that runs the step, under key 0; `setdefault` sets it in one operation."""
        self._comes: Callable[[], bool] = lambda: True
        """Whether a thread that was started for it may still claim it."""
        self._ended = threading.Event()
        self._error: BaseException | None = None
        self.lacks_thread = False
        """No thread could be started for it: it runs in the first thread that waits."""

    def begin(self) -> None:
        """Start the step unless it was started. A call that was interrupted may be repeated."""
        if self._claim or self.lacks_thread:
            return
        try:
            self._comes = self._executor.beside(self._run, self._name)
        except RuntimeError as error:
            logger.warning("a %s runs in the thread that waits for it: %s", self._name, error)
            self.lacks_thread = True

    def _run(self) -> None:
        me = threading.current_thread()
        if self._claim.setdefault(0, me) is not me:
            return  # started twice: the first thread runs the step
        try:
            self._context.run(self._step)
        except BaseException as error:  # noqa: BLE001 - raised in the threads that wait
            self._error = error
        finally:
            self._ended.set()

    def wait(self) -> None:
        """Wait until the step has ended, and raise what it raised.

        Raises:
            PerdureError: its thread ended in the middle of it.
        """
        # In short turns: an interrupt that no signal of the operating system caused is raised only between waits.
        while not self._ended.wait(0.0 if self.lacks_thread and not self._claim else LOOK_S):
            runner = self._claim.get(0)
            if runner is None and (self.lacks_thread or not self._comes()):
                self._run()
            elif runner is not None and not runner.is_alive() and not self._ended.is_set():
                self._error = PerdureError(f"{self._name}: its thread ended in the middle of it, without a word")
                self._ended.set()
        if self._error is not None:
            raise self._error
