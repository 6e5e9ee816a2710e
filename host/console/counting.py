"""`Count`: what a bulk act would change, counted by the owner. A background thread waits for the answer, so that no page does.

A form carries the count, signed (`Session.with_count`), so that any worker process can act on it. Not here: the act itself
(`console_acts`).
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from perdure.console.log.pace import StillReading
from perdure.events.errors import PerdureError
from perdure.events.loggers import GuardedLogger
from perdure.operations.bulk.counted import CountedLetters, CountedMessages
from perdure.store.disk.background_thread import BackgroundThread
from perdure.store.disk.forked_locks import lock_of

if TYPE_CHECKING:
    from collections.abc import Callable

    Counted = CountedLetters | CountedMessages

__all__ = ["ALL", "LETTERS", "MESSAGES", "WAIT_S", "Count", "Counts", "as_plain", "from_plain"]

logger = GuardedLogger("perdure")

LETTERS, MESSAGES = "letters", "messages"
ALL = "all"
"""Marks the counts of all partitions in a form, in the place of the number of one partition."""
WAIT_S = 0.12
FRESH_S = 60.0
"""How many seconds a page shows the same count when it is loaded again, so that the owner does not count at each reload."""
COUNTS_MAX = 200


class Count:
    """One count. It begins at once; safe in any thread.

    Args:
        of: `LETTERS` or `MESSAGES`.
        where: the expression that selects them.
        ask: has the owner count; called in the background thread.
    """

    def __init__(self, of: str, where: str, ask: Callable[[], Counted]) -> None:
        self.of, self.where = of, where
        self.counted_us = 0
        self._ask = ask
        self._counted: Counted | None = None
        self._failed: Exception | None = None
        self._done = threading.Event()
        try:
            BackgroundThread(self._run, "perdure console count").start()
        except RuntimeError as error:
            self._failed = error
            self._done.set()

    def _run(self) -> None:
        try:
            self._counted = self._ask()
        except Exception as error:  # noqa: BLE001 - the page shows it
            logger.debug("the console's count for %r has failed: %s", self.where, error)
            self._failed = error
        self.counted_us = round(time.time() * 1e6)
        self._done.set()

    @property
    def is_fresh(self) -> bool:
        """Whether it may be shown again: it is still running, or ended without a failure less than `FRESH_S` ago."""
        if not self._done.is_set():
            return True
        return self._failed is None and time.time() - self.counted_us / 1e6 < FRESH_S

    def counted(self, wait_s: float = WAIT_S) -> Counted:
        """Return what was counted.

        Raises:
            StillReading: the owner has not finished after `wait_s` seconds.
            PerdureError: the owner could not count.
        """
        if not self._done.wait(wait_s):
            raise StillReading("What this selects is being counted")
        if self._counted is None:
            raise PerdureError(f"the owner could not count: {self._failed}") from self._failed
        return self._counted


class Counts:
    """The latest counts of this process, by browser. Safe in any thread."""

    def __init__(self) -> None:
        self._lock = lock_of(self, "_lock")
        self._known: OrderedDict[tuple[str, str, str], Count] = OrderedDict()

    def count(self, browser: str, of: str, where: str, ask: Callable[[], Counted]) -> Count:
        """Return a count for a browser: a known one that is fresh, or a new one made by `ask`."""
        name = (browser, of, where)
        with self._lock:
            known = self._known.get(name)
            if known is None or not known.is_fresh:
                known = self._known[name] = Count(of, where, ask)
            self._known.move_to_end(name)
            while len(self._known) > COUNTS_MAX:
                self._known.popitem(last=False)
        return known

    def forget(self, browser: str) -> None:
        """Remove the counts of a browser after it has acted on one of them."""
        with self._lock:
            for name in [name for name in self._known if name[0] == browser]:
                del self._known[name]


def as_plain(of: str, counted: Counted) -> list[Any]:
    """Return a count as plain data."""
    return [of, counted.where, counted.upto, counted.by_type, counted.gone]


def from_plain(plain: list[Any]) -> tuple[str, Counted]:
    """Return what was counted (`LETTERS` or `MESSAGES`) and the count, from the data of `as_plain`."""
    of, where, upto, by_type, gone = plain
    return of, (CountedMessages if of == MESSAGES else CountedLetters)(where, upto, by_type, gone)
