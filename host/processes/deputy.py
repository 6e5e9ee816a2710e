"""`Deputy`: a member's thread that keeps a fold of the log warm, so that this process can take over within a few milliseconds.

What is folded and how it is checked is in `perdure.actors.journal.warm_fold`; when it begins and ends is in `roles`.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from perdure.actors.core.threads.thread_start import begin_thread
from perdure.actors.journal.warm_fold import WarmFold
from perdure.events.errors import PerdureError
from perdure.events.loggers import GuardedLogger
from perdure.store.disk.enduring_thread import EnduringThread

if TYPE_CHECKING:
    from perdure.options import Options
    from perdure.store import FolderReader, SegmentStore

__all__ = ["Deputy", "warm_fold_of"]

logger = GuardedLogger("perdure")

LOOK_S = 0.05
"""Seconds between two looks for new events: as much of the log may be left to fold at a takeover."""
FAILED_S = 5.0
"""Seconds before the next look after one that failed for another reason than the log, such as a lack of memory."""


def warm_fold_of(store: SegmentStore, options: Options) -> WarmFold:
    """Return a fold of a folder's log, as a start with these options would make it."""

    def open_reader() -> FolderReader:
        reader = store.separate_reader()
        reader.remember_places()  # so that a look does not read the newest segment from its beginning
        return reader

    return WarmFold(
        open_reader,
        finished_max=options.finished_max,
        resident_max=options.resident_payload_bytes,
        spill=store.spill,
    )


class Deputy:
    """Follows the log from `follow` to `end`, as often as needed. Used by the thread of the role."""

    def __init__(self, fold: WarmFold) -> None:
        self._fold = fold
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def seq(self) -> int:
        """Up to which event it has folded the log; 0: nothing is. In any thread."""
        return self._fold.seq

    def follow(self) -> None:
        """Begin to follow the log, unless it does so already."""
        if self._thread is None:
            self._over.clear()
            self._fold.drop()
            thread = EnduringThread(self._run, "perdure-deputy")
            try:
                begin_thread(thread)
            except RuntimeError as error:
                logger.warning("this process is no deputy until it becomes a member anew, a takeover reads the log: %s", error)
                return
            self._thread = thread

    def end(self) -> WarmFold:
        """Follow the log no more; return what is folded."""
        thread, self._thread = self._thread, None
        self._over.set()
        self._fold.interrupt()
        if thread is not None:
            thread.join()
        return self._fold

    def _run(self) -> None:
        while not self._over.is_set():
            began_s = time.monotonic()
            pause_s = LOOK_S
            try:
                self._fold.follow()
            except PerdureError as error:
                logger.info("a deputy folds the log anew: %s", error)
            except Exception:
                pause_s = FAILED_S
                logger.exception("a deputy could not fold the log; it tries again, and a takeover reads the log meanwhile")
            self._over.wait(max(pause_s, time.monotonic() - began_s))
