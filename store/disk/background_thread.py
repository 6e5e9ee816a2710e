"""`BackgroundThread`: a daemon thread whose start raises where its work could not begin, so that no caller waits for it in vain.

Not here: starting one in the thread of an actor, and exceptions thrown into a thread (both in `perdure.actors.core.threads`).
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from perdure.events.errors import PerdureError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BackgroundThread", "NoThread"]

LOOK_S = 0.05


class NoThread(PerdureError, RuntimeError):
    """A thread that is needed could not be started."""


class BackgroundThread(threading.Thread):
    """A daemon thread for one piece of work.

    A tracer or a profiler of the host that raises (`threading.settrace`, `setprofile`) ends a new thread before its work begins.
    Python prints that, and raises nothing in the caller.

    Args:
        work: what it does.
        name: of the thread, for people.
        args: what `work` is called with.
    """

    def __init__(self, work: Callable[..., object], name: str, *args: object) -> None:
        super().__init__(target=work, name=name, args=args, daemon=True)
        self._has_begun = threading.Event()

    def start(self) -> None:
        """Start the work.

        Raises:
            NoThread: the operating system gives no thread, or the thread ended before its work began.
        """
        try:
            super().start()
        except RuntimeError as error:
            msg = (
                f"the thread {self.name} cannot be started: {error}. Have fewer threads, or raise the limit of threads "
                "(`ulimit -u`) or of memory (`ulimit -v`, `ulimit -d`)."
            )
            raise NoThread(msg) from error
        while not self._has_begun.wait(LOOK_S):
            if not self.is_alive() and not self._has_begun.is_set():
                msg = f"the thread {self.name} ended before its work began: a tracer or a profiler of this process raised in it."
                raise NoThread(msg)

    def run(self) -> None:
        """Do the work. Called in the new thread."""
        self._has_begun.set()
        super().run()
