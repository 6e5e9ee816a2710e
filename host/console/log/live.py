"""`Live`: the newest states of a log, followed a little at a time, for as long as a page is open.

One thread folds what is new and passes once over the history before it, and rests most of the time: an open console must
cost its host next to nothing. A page reads the states under `lock`, and shows how far behind they are. See also `past`.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

import attrs

from perdure.actors.journal.log_fold import fold_log
from perdure.console.begun_anew import begins_anew
from perdure.console.log.groups import Groups
from perdure.console.log.index import Index
from perdure.console.log.pace import Pace, StillReading
from perdure.events.codec.snapshot import fold
from perdure.events.codec.wire import decode_runs
from perdure.events.errors import PerdureError
from perdure.events.loggers import GuardedLogger
from perdure.events.queue.folding.spilling import compact
from perdure.events.runs import Run
from perdure.store.disk.background_thread import BackgroundThread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from perdure.events.codec.snapshot import States
    from perdure.store import LogReader

__all__ = ["Live", "TypeSample"]

logger = GuardedLogger("perdure")

RECENT_EVENTS = 200_000
"""Events before the newest whose seconds are counted first, so that the charts of the last minutes are there at once."""
PAGE_S, ALONE_PAGE_S = 0.01, 0.05
OPENING_S = 0.3
OPENING = "The log is being read"
OPEN_WAIT_S = 0.12
"""How many seconds a page waits for the first reading before it shows the progress."""
SLICE_S = 0.02
"""How long the lock is held at most, about."""
REST = 100
"""In the owner's process the thread rests so many times as long as it worked: it takes a hundredth of a processor."""
ALONE_REST = 4
AWAITED_REST = 3
"""While a page waits for more of the history."""
AWAITED_S = 10.0
HANDOVER_S = 0.005
"""A page that waits for the lock gets it meanwhile."""
REST_MIN_S = 0.5
REST_MAX_S = 5.0
IDLE_S = 60.0
"""After so long without a page, nothing is followed any more."""
SAMPLES_MAX = 300
SAMPLE_EVERY_S = 2.0


@attrs.frozen
class TypeSample:
    """Totals of each type at one moment: published, completed, failed attempts, and how many are live."""

    at_us: int
    by_type: dict[str, tuple[int, int, int, int]]


class Live:
    """The newest states of a log, and the index of all before. Safe in any thread; what it holds is read under `lock`.

    Args:
        reader: the log.
        is_alone: the log's owner is in another process, so that less rest is needed.
        newest: returns the last event of the log, 0 where that is not known; for the progress of the first reading.
    """

    def __init__(self, reader: LogReader, *, is_alone: bool = True, newest: Callable[[], int] = lambda: 0) -> None:
        self.reader = reader
        self._newest = newest
        self._rest = ALONE_REST if is_alone else REST
        self.states: States
        self.groups: Groups
        self.index: Index
        self.samples: deque[TypeSample] = deque(maxlen=SAMPLES_MAX)
        self.error: str = ""
        """Why nothing new can be read; empty where all is well."""
        self._used_s = 0.0
        self._awaited_s = -AWAITED_S
        self._closed = False
        begins_anew(self)

    def begin_anew(self) -> None:
        """See `begins_anew`. The log is read again: a thread may have been in the middle of a fold."""
        self.lock = threading.RLock()
        self._opened = threading.Event()
        self._failed: PerdureError | None = None
        self._pace = Pace(self.reader, OPENING, rests=self._rest > ALONE_REST)
        self._lost: Exception | None = None
        """Why the states have to be folded anew: history was dropped meanwhile, or cut back."""
        self._woken = threading.Event()
        self._thread: threading.Thread | None = None

    # --- pages -------------------------------------------------------------------------------------------------------------

    @contextmanager
    def looked_at(self, budget_s: float | None = None) -> Iterator[States]:
        """Follow the log for a moment, and keep the states as they are within this block.

        Args:
            budget_s: for how long; 0.0: not at all. Unless given, longer where the owner is in another process.

        Raises:
            StillReading: the log is being read for the first time.
            StoreCorrupt, StoreUnavailable, HistoryDropped: the log cannot be read, at the first look.
        """
        self.begin()
        if not self._opened.wait(OPEN_WAIT_S):
            raise self._pace.so_far
        if self._failed is not None:
            failed, self._failed = self._failed, None
            self._opened.clear()  # the next page tries again
            raise failed
        if budget_s is None:
            budget_s = PAGE_S if self._rest > ALONE_REST else ALONE_PAGE_S
        with self.lock:
            if budget_s:
                self._catch_up(budget_s)
            yield self.states

    def begin(self) -> None:
        """Begin to read the log, without waiting for it."""
        self._used_s = time.monotonic()
        self._start()

    @property
    def opening(self) -> StillReading:
        """The progress of the first reading, for a page that does not wait for it."""
        return self._pace.so_far

    @property
    def is_open(self) -> bool:
        """Whether the log was read once, so that there are states to look at."""
        return self._opened.is_set() and self._failed is None

    def history_known(self) -> float:
        """Return which part of the history the index has read, from 0.0 to 1.0."""
        first = self.reader.first_seq - 1
        whole = self.states.seq - first
        return 1.0 if whole <= 0 else max(0.0, min(1.0, (self.index.seq - first) / whole))

    def more_awaited(self) -> StillReading:
        """Read the history faster for a page that needs more of it; return the progress for that page."""
        self._awaited_s = time.monotonic()
        return StillReading("The history is being read", self.index.seq, self.states.seq, self.reader.first_seq - 1)

    def close(self) -> None:
        """End the thread."""
        self._closed = True
        self._woken.set()
        if self._thread is not None:
            self._thread.join(5.0)

    # --- following ---------------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        """Read the log for the first time. It runs in the thread, so that pages can show the progress."""
        self._pace.target = self._newest()
        self.states, _ = fold_log(self._pace)
        self.groups = Groups.of(self.states.dead_letters)
        self.index = Index(self.reader.first_seq - 1)
        self.index.recent_seq = max(self.index.seq, self.states.seq - RECENT_EVENTS)
        for frame in self.reader.frames(self.index.recent_seq, self.states.seq):
            self.index.take_recent(decode_runs(frame.body, frame.count), frame.first_seq)
        self._sample()
        self._index_more(OPENING_S)

    def _catch_up(self, budget_s: float) -> bool:
        """Fold what is new, for about so long; return whether all of it was."""
        until_s = time.thread_time() + budget_s
        if self._lost is not None:
            return True
        try:
            for frame in self.reader.frames(self.states.seq):
                batches = decode_runs(frame.body, frame.count)
                for at_us, events in batches:
                    for event in events:
                        if not isinstance(event, Run):
                            self.groups.see(event, at_us)
                fold(self.states, batches, frame.first_seq)
                compact(self.states.queue)
                if self.index.seq >= frame.first_seq - 1:
                    self.index.take(batches, frame.first_seq)
                self.index.take_recent(batches, frame.first_seq)
                if time.thread_time() > until_s:
                    return False
        except (PerdureError, OSError) as error:
            # The thread does so: a page must not wait for that.
            self._lost, self.error = error, f"it is being read anew: {error}"
        else:
            self.error = ""
        if not self.samples or time.time() * 1e6 - self.samples[-1].at_us > SAMPLE_EVERY_S * 1e6:
            self._sample()
        return True

    def _begin_anew(self, lost: Exception) -> None:
        """Fold the log again, in the thread. Where that fails too, each page shows the reason until the next attempt."""
        try:
            states, _ = fold_log(Pace(self.reader, OPENING, rests=self._rest > ALONE_REST))
            groups, error = Groups.of(states.dead_letters), ""
        except (PerdureError, OSError) as again:
            states, groups, error = self.states, self.groups, str(again)
            logger.warning("the console cannot read on: %s (%s)", again, lost)
        with self.lock:
            self.states, self.groups, self.error, self._lost = states, groups, error, None

    def _index_more(self, budget_s: float) -> bool:
        """Go on with the pass over all history, for about so long; return whether it is done."""
        until_s = time.thread_time() + budget_s
        if self.index.seq >= self.states.seq:
            return True
        try:
            for frame in self.reader.frames(self.index.seq, self.states.seq):
                self.index.take(decode_runs(frame.body, frame.count), frame.first_seq)
                if time.thread_time() > until_s:
                    return self.index.seq >= self.states.seq
        except (PerdureError, OSError) as error:
            logger.warning("the console cannot read all history: %s", error)
        self.index.seq = max(self.index.seq, self.states.seq)
        return True

    def _sample(self) -> None:
        rows = {
            name: (c.published, c.completed, c.failed, c.ready + c.delayed + c.held + c.in_flight)
            for name, c in self.states.queue.by_type.items()
        }
        self.samples.append(TypeSample(round(time.time() * 1e6), rows))

    # --- the thread --------------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        thread = self._thread
        if thread is None or not thread.is_alive():
            with self.lock:
                if (self._thread is None or not self._thread.is_alive()) and not self._closed:
                    self._thread = BackgroundThread(self._run, "perdure console")
                    self._thread.start()

    def _open_or_fail(self) -> bool:
        try:
            self._open()
        except PerdureError as error:
            self._failed = error
        self._opened.set()
        return self._failed is None

    def _run(self) -> None:
        while not self._closed and time.monotonic() - self._used_s < IDLE_S:
            began_s = time.thread_time()
            try:
                if not self._opened.is_set() and not self._open_or_fail():
                    return
                if self._lost is not None:
                    self._begin_anew(self._lost)
                with self.lock:
                    self._catch_up(SLICE_S)
                with self.lock:
                    done = self._index_more(SLICE_S)
            except Exception:  # a page must not go dark for a fault of the log: the next look shows what is wrong
                logger.exception("the console's look at the log has failed")
                done = True
            worked_s = time.thread_time() - began_s
            rest_s = min(REST_MAX_S, max(REST_MIN_S if done else 0.02, self._rest * worked_s))
            if not done and time.monotonic() - self._awaited_s < AWAITED_S:
                rest_s = AWAITED_REST * worked_s if self._rest > ALONE_REST else HANDOVER_S
            self._woken.wait(rest_s)
