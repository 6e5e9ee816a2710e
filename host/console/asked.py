"""`Asked`: an answer from outside (the owner in another process, a database) that no page waits for longer than a moment.

Not here: what is asked (`console`).
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Generic, TypeVar

from perdure.console.begun_anew import begins_anew
from perdure.events.errors import PerdureError
from perdure.events.loggers import GuardedLogger
from perdure.store.disk.background_thread import BackgroundThread

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["KEPT_S", "Asked"]

logger = GuardedLogger("perdure")
T = TypeVar("T")

WAIT_S = 0.1
KEPT_S = 1.0
"""An answer of another process that is so young is not asked for again."""
OLD_S = 15.0
"""An answer so old is shown no more."""


class Asked(Generic[T]):
    """The newest answer. It is asked for in a thread of its own, one at a time. Safe in any thread.

    Args:
        ask: asks for it.
        what: is asked for, in words.
        kept_s: an answer so young is not asked for again.
    """

    def __init__(self, ask: Callable[[], T], what: str, *, kept_s: float = KEPT_S) -> None:
        self._ask = ask
        self._kept_s = kept_s
        self._what = what
        self._came_s = -OLD_S
        self._answer: T | None = None
        begins_anew(self)

    def begin_anew(self) -> None:
        """See `begins_anew`."""
        self._changed = threading.Condition()
        self._is_asking = False

    def newest(self, wait_s: float = WAIT_S) -> T | None:
        """Return the newest answer; None where none has come lately."""
        with self._changed:
            if not self._is_asking and time.monotonic() - self._came_s > self._kept_s:
                self._is_asking = True
                try:
                    BackgroundThread(self._run, f"perdure console {self._what}").start()
                except RuntimeError as error:
                    self._is_asking = False
                    logger.warning("the console cannot ask for %s: %s", self._what, error)
            self._changed.wait_for(lambda: not self._is_asking, wait_s)
            return self._answer if time.monotonic() - self._came_s < OLD_S else None

    def _run(self) -> None:
        answer: T | None = None
        try:
            answer = self._ask()
        except (PerdureError, TimeoutError, OSError) as error:
            logger.debug("the console does not get %s: %s", self._what, error)
        except Exception:
            logger.exception("the console failed to ask for %s", self._what)
        with self._changed:
            self._is_asking = False
            if answer is not None:
                self._answer, self._came_s = answer, time.monotonic()
            self._changed.notify_all()
