"""`Past`: the states of a log at earlier moments. A few folds are kept, so that the next moment is folded on from the one before.

A fold has a thread of its own, and ends early where no page asks for it any more: a page waits for it a moment, then shows how
far it is. Not here: the moment that a text names (`perdure.console.console`), and the counts that `Audit.state_at` gives of one.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

import attrs

from perdure.actors.journal.log_fold import advance, fold_log
from perdure.console.begun_anew import begins_anew
from perdure.console.log.groups import Groups
from perdure.console.log.pace import Abandoned, Pace
from perdure.events.errors import PerdureError
from perdure.events.loggers import GuardedLogger
from perdure.store.disk.background_thread import BackgroundThread

if TYPE_CHECKING:
    from perdure.events.codec.snapshot import States
    from perdure.store import LogReader

__all__ = ["WAIT_S", "Past", "PastFold"]

logger = GuardedLogger("perdure")

FOLDS_MAX = 8
LIVE_MAX = 2_000_000
"""Messages and dead letters in all folds together that are kept; the one that is looked at is kept in any case."""
STEP_EVENTS = 100_000
"""A fold is moved on to a later moment that is so near, rather than kept beside another."""
WAIT_S = 0.12
"""How many seconds a page waits for a fold before it shows the progress."""
WANTED_S = 10.0
"""So long after a page has asked for it last, a fold is given up. A page that waits asks about twice a second."""
WANTED_MAX = 16


@attrs.define(eq=False)
class PastFold:
    """The states at one past moment."""

    states: States
    groups: Groups


class Past:
    """Folds of past moments. Safe in any thread; what it returns is not changed while `lock` is held.

    Args:
        reader: the log.
        rests: the log's owner is in this process, and must not be held up.
    """

    def __init__(self, reader: LogReader, *, rests: bool = False) -> None:
        self._reader = reader
        self._rests = rests
        self._folds: OrderedDict[int, PastFold] = OrderedDict()
        """By the sequence number that was asked for, the one that was used last at the end."""
        self._wanted: OrderedDict[int, float] = OrderedDict()
        """When each was asked for last, the newest at the end."""
        self._failed: dict[int, Exception] = {}
        begins_anew(self)

    def begin_anew(self) -> None:
        """See `begins_anew`. What is folded stays: no thread changes that."""
        self.lock = threading.RLock()
        self._changed = threading.Condition(self.lock)
        self._paces: dict[int, Pace] = {}
        self._thread: threading.Thread | None = None

    def at(self, seq: int, wait_s: float = WAIT_S) -> PastFold:
        """Return the states behind event `seq`; they are to be used under `lock`.

        Raises:
            StillReading: they are being folded, for longer than `wait_s`.
            HistoryDropped: they are not known any more.
            StoreCorrupt, StoreUnavailable: the log cannot be read.
        """
        until_s = time.monotonic() + wait_s
        with self.lock:
            if seq not in self._folds:
                self._want(seq)
            while seq not in self._folds:
                if (failed := self._failed.pop(seq, None)) is not None:
                    self._wanted.pop(seq, None)
                    raise failed
                if not self._changed.wait(max(0.0, until_s - time.monotonic())):
                    raise self._pace_of(seq).so_far
            self._wanted.pop(seq, None)
            self._folds.move_to_end(seq)
            self._trim()
            return self._folds[seq]

    def close(self) -> None:
        """Give up what is being folded."""
        with self.lock:
            self._wanted.clear()

    def _want(self, seq: int) -> None:
        self._wanted[seq] = time.monotonic()
        self._wanted.move_to_end(seq)
        while len(self._wanted) > WANTED_MAX:
            self._wanted.popitem(last=False)
        if self._thread is None:
            thread = BackgroundThread(self._work, "perdure console past")
            thread.start()  # behind the lock that its work begins with
            self._thread = thread

    # --- the thread --------------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while True:
            with self.lock:
                seq = self._next()
                if seq is None:
                    self._thread = None
                    return
                pace = self._paces[seq] = self._pace_of(seq)
            fold: PastFold | None = None
            failed: Exception | None = None
            try:
                fold = self._folded(pace, seq)
            except Abandoned:
                logger.debug("the console gives up the fold of event %d: no page waits for it", seq)
            except PerdureError as error:
                failed = error
            except Exception as error:  # the page shows it; the thread goes on with what others wait for
                logger.exception("the console could not fold the log up to event %d", seq)
                failed = PerdureError(f"the log could not be folded up to event {seq:,}: {error!r}")
            with self.lock:
                del self._paces[seq]
                if fold is not None:
                    self._wanted.pop(seq, None)
                    self._folds[seq] = fold
                    self._trim()
                elif failed is not None:
                    self._failed[seq] = failed
                self._changed.notify_all()

    def _next(self) -> int | None:
        """Return what was asked for last, unless that is long ago; forget what was."""
        for seq in [seq for seq in self._wanted if not self._is_wanted(seq)]:
            del self._wanted[seq]
        self._failed = {seq: error for seq, error in self._failed.items() if seq in self._wanted}
        return next((seq for seq in reversed(self._wanted) if seq not in self._failed), None)

    def _is_wanted(self, seq: int) -> bool:
        return time.monotonic() - self._wanted.get(seq, -WANTED_S) < WANTED_S

    def _pace_of(self, seq: int) -> Pace:
        known = self._paces.get(seq)
        what = f"What was true at event {seq:,} is being read"
        return known or Pace(self._reader, what, target=seq, rests=self._rests, is_wanted=lambda: self._is_wanted(seq))

    def _folded(self, pace: Pace, seq: int) -> PastFold:
        states = self._taken_on(seq)
        if states is None:
            states, _ = fold_log(pace, seq)
        else:
            advance(self._reader, states, seq)
        return PastFold(states, Groups.of(states.dead_letters))

    def _taken_on(self, seq: int) -> States | None:
        """Take out a kept fold of an earlier moment, where that is nearer than any snapshot."""
        nearest = max((at for at in self._reader.snapshot_seqs() if at <= seq), default=0)
        with self.lock:
            before = max((known for known in self._folds if known < seq), default=0)
            if before <= nearest or seq - before > STEP_EVENTS:
                return None
            return self._folds.pop(before).states

    def _trim(self) -> None:
        def weight() -> int:
            return sum(fold.states.queue.live + len(fold.states.dead_letters.letters) for fold in self._folds.values())

        while len(self._folds) > FOLDS_MAX or (len(self._folds) > 1 and weight() > LIVE_MAX):
            self._folds.popitem(last=False)
