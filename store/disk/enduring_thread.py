"""`EnduringThread`: a daemon thread that others wait for, and that goes on whatever is raised in it.

No supervisor sees such a thread end. What its work leaves half done when it is interrupted is up to that work.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from perdure.events.loggers import GuardedLogger
from perdure.store.disk.background_thread import BackgroundThread

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["EnduringThread"]

logger = GuardedLogger("perdure")

PAUSE_S = 0.05
"""Before the work is begun again."""


class EnduringThread(BackgroundThread):
    """A thread whose work is begun again when an exception ends it, until it returns.

    Also SystemExit and KeyboardInterrupt: code of the host that runs in the thread raises them, or a tool throws them into all
    threads (`PyThreadState_SetAsyncExc`).

    Args:
        work: what it does; it can be called again after any of its instructions has raised.
        name: of the thread, for people.
        args: what `work` is called with.
    """

    def __init__(self, work: Callable[..., object], name: str, *args: object) -> None:
        super().__init__(self._persist, name)
        self._work = work
        self._work_args = args
        self._is_over = False
        self._interruption: BaseException | None = None

    def _persist(self) -> None:
        while not self._is_over:
            try:
                self._endure()
            except BaseException as error:  # noqa: BLE001 - a second one, raised where the first was handled
                self._interruption = error
        del self._work, self._work_args

    def _endure(self) -> None:
        # The handler is as short as possible, since a second exception may be raised in it: the next turn logs this one in its
        # `try`.
        while not self._is_over:
            try:
                self._tell_interruption()
                self._work(*self._work_args)
                self._is_over = True
            except BaseException as error:  # noqa: BLE001 - logged at the next turn
                self._interruption = error

    def _tell_interruption(self) -> None:
        error, self._interruption = self._interruption, None
        if error is not None:
            logger.error("an exception was raised in the thread %s; it goes on: %r", self.name, error, exc_info=error)
            time.sleep(PAUSE_S)
