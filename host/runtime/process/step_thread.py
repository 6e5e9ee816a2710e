"""`StepThread`: a start or a stop in a thread of its own, so that an exception in the waiting thread does not interrupt it.

KeyboardInterrupt may be raised at any instruction of the main thread, so a step that must be completed does not run there.

Not here: what a start and a stop do (`perdure.system`, `engine`).
"""

from __future__ import annotations

import contextvars
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.actors.core.executor import Executor

__all__ = ["StepThread"]

LOOK_S = 0.1


class StepThread:
    """A step that the first call of `begin` starts, and any number of threads can wait for."""

    def __init__(self, executor: Executor, step: Callable[[], None], name: str) -> None:
        self._executor = executor
        self._step = step
        self._name = name
        self._context = contextvars.copy_context()
        self._claim: dict[int, object] = {}
        """The mark of the thread that runs the step, under key 0; `setdefault` sets it in one operation."""
        self._ended = threading.Event()
        self._error: BaseException | None = None

    def begin(self) -> None:
        """Start the step unless it was started. A call that was interrupted may be repeated."""
        if not self._claim:
            self._executor.beside(self._run, self._name)

    def _run(self) -> None:
        mark = object()
        if self._claim.setdefault(0, mark) is not mark:
            return  # started twice: the first thread runs the step
        try:
            self._context.run(self._step)
        except BaseException as error:  # noqa: BLE001 - raised in the threads that wait
            self._error = error
        finally:
            self._ended.set()

    def wait(self) -> None:
        """Wait until the step has ended, and raise what it raised."""
        while not self._ended.wait(LOOK_S):
            pass  # waits in short turns: an interrupt that no signal of the operating system caused is raised only between waits
        if self._error is not None:
            raise self._error
