"""`Asked`: an answer of another process or a database, fetched in the background, so that a page waits for it only briefly.

Not here: which answers these are (`console`).
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
"""An answer of another process is not fetched again before it is this old."""
OLD_S = 15.0
"""An answer of this age is no longer shown."""


class Asked(Generic[T]):
    """The newest answer. A background thread fetches it, one request at a time. Safe in any thread.

    Args:
        ask: fetches the answer; called in the background thread.
        what: what is fetched, in words, for the name of the thread and for log records.
        kept_s: the age in seconds that an answer reaches before it is fetched again.
    """

    def __init__(self, ask: Callable[[], T], what: str, *, kept_s: float = KEPT_S) -> None:
        self._ask = ask
        self._kept_s = kept_s
        self._what = what
        self._came_s = -OLD_S
        self._answer: T | None = None
        begins_anew(self)

    def begin_anew(self) -> None:
        """Reset the lock and the flag of a running request; see `begins_anew`."""
        self._changed = threading.Condition()
        self._is_asking = False

    def newest(self, wait_s: float = WAIT_S) -> T | None:
        """Return the newest answer, after up to `wait_s` seconds; None where there is none younger than `OLD_S`."""
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
