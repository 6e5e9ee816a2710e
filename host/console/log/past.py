"""`Past`: what a log said at earlier moments. A few folds are kept, so that the next moment is folded on from the one before.

Not here: which moment is meant (`perdure.console.pages.moments`), and the counts that `Audit.state_at` gives of one.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

import attrs

from perdure.actors.journal.log_fold import advance, fold_log
from perdure.console.log.groups import Groups

if TYPE_CHECKING:
    from perdure.events.codec.snapshot import States
    from perdure.store import LogReader

__all__ = ["Past", "PastFold"]

FOLDS_MAX = 8
LIVE_MAX = 2_000_000
"""Messages and dead letters in all folds together that are kept; the one that is looked at is kept in any case."""
STEP_EVENTS = 100_000
"""A fold is moved on to a later moment that is so near, rather than kept beside another."""


@attrs.define(eq=False)
class PastFold:
    """The states at one past moment."""

    states: States
    groups: Groups


class Past:
    """Folds of past moments. Safe in any thread, one at a time; what it returns is not changed while `lock` is held."""

    def __init__(self, reader: LogReader) -> None:
        self._reader = reader
        self.lock = threading.RLock()
        self._folds: OrderedDict[int, PastFold] = OrderedDict()
        """By the sequence number that was asked for, the one that was used last at the end."""

    def at(self, seq: int) -> PastFold:
        """Return the states behind event `seq`. Called, and its result used, under `lock`.

        Raises:
            HistoryDropped: they are not known any more.
            StoreCorrupt, StoreUnavailable: the log cannot be read.
        """
        found = self._folds.get(seq)
        if found is None:
            found = self._moved_on(seq) or self._folded(seq)
            self._folds[seq] = found
        self._folds.move_to_end(seq)
        self._trim()
        return found

    def _moved_on(self, seq: int) -> PastFold | None:
        """Return a kept fold of an earlier moment, moved on, where that is nearer than any snapshot."""
        before = max((known for known in self._folds if known < seq), default=0)
        nearest = max((at for at in self._reader.snapshot_seqs() if at <= seq), default=0)
        if before <= nearest or seq - before > STEP_EVENTS:
            return None
        moved = self._folds.pop(before)
        advance(self._reader, moved.states, seq)
        return PastFold(moved.states, Groups.of(moved.states.dead_letters))

    def _folded(self, seq: int) -> PastFold:
        states, _ = fold_log(self._reader, seq)
        return PastFold(states, Groups.of(states.dead_letters))

    def _trim(self) -> None:
        def weight() -> int:
            return sum(fold.states.queue.live + len(fold.states.dead_letters.letters) for fold in self._folds.values())

        while len(self._folds) > FOLDS_MAX or (len(self._folds) > 1 and weight() > LIVE_MAX):
            self._folds.popitem(last=False)
