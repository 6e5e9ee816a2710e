"""One step of a system's life, made in a thread of its own: what strikes the thread that waits for it leaves the step whole.

KeyboardInterrupt comes to the main thread at any instruction, so none of what must be done to its end is done there. What a start
and a stop consist of is in `system` and `engine`.
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
    """A step that is begun once, by whichever call asks first, and can be waited for by any number of threads."""

    def __init__(self, executor: Executor, step: Callable[[], None], name: str) -> None:
        self._executor = executor
        self._step = step
        self._name = name
        self._context = contextvars.copy_context()
        self._claim: dict[int, object] = {}
        """The mark of the thread that makes it, under key 0: set in one operation."""
        self._ended = threading.Event()
        self._error: BaseException | None = None

    def begin(self) -> None:
        """Begin it, unless that is done; a call that was interrupted here can be repeated."""
        if not self._claim:
            self._executor.beside(self._run, self._name)

    def _run(self) -> None:
        mark = object()
        if self._claim.setdefault(0, mark) is not mark:
            return  # begun twice: the first thread makes it
        try:
            self._context.run(self._step)
        except BaseException as error:  # noqa: BLE001 - told to the caller that waits
            self._error = error
        finally:
            self._ended.set()

    def wait(self) -> None:
        """Wait for its end; raise what it raised."""
        while not self._ended.wait(LOOK_S):
            pass  # an interrupt that comes without a signal of the system's ends no wait, and is raised here
        if self._error is not None:
            raise self._error
