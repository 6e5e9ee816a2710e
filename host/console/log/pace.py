"""`Pace`: a log that is folded while a page waits for it: how far that is, with rests where its owner runs in this process.

Not here: what is folded, and which thread does it (`live`, `past`).
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from perdure.events.errors import PerdureError
from perdure.store import Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from perdure.store import Frame, LogReader

__all__ = ["Abandoned", "Pace", "StillReading"]

REST = 3
"""In the owner's process a fold rests so many times as long as it worked."""
SLICE_S = 0.02


class StillReading(PerdureError):
    """Something is being read for a page. `reached` is the event it has come to, of `target`; 0 where that is not known."""

    def __init__(self, what: str, reached: int = 0, target: int = 0, began: int = 0) -> None:
        of = f" of {target:,}" if target else ""
        super().__init__(f"{what}, up to event {reached:,}{of} so far" if reached or target else what)
        self.what = what
        self.reached = reached
        self.target = target
        self.share = min(1.0, max(0.0, (reached - began) / (target - began))) if target > began else None
        """From 0.0 to 1.0; None where the end is not known."""


class Abandoned(Exception):
    """No page waits for this fold any more."""


class Pace:
    """A log to fold, as `fold_log` needs it, that notes how far it was read. Read by one thread; its numbers by any.

    Args:
        reader: the log.
        what: a sentence that names what is being read.
        target: the last event that is wanted; 0: not known.
        rests: the log's owner is in this process, and must not be held up.
        is_wanted: returns whether a page still waits; called now and then; otherwise the fold ends.
    """

    def __init__(
        self, reader: LogReader, what: str, *, target: int = 0, rests: bool = False, is_wanted: Callable[[], bool] = lambda: True
    ) -> None:
        self._reader = reader
        self._what = what
        self._rests = rests
        self._is_wanted = is_wanted
        self._rested_s = 0.0
        self._began = self._reached = 0
        self.target = target

    @property
    def so_far(self) -> StillReading:
        """The progress, for the page that waits."""
        return StillReading(self._what, self._reached, self.target, self._began)

    @property
    def first_seq(self) -> int:
        """See `LogReader.first_seq`."""
        return self._reader.first_seq

    def frames(self, after: int = 0, until: int | None = None) -> Iterator[Frame]:
        """See `LogReader.frames`.

        Raises:
            Abandoned: nothing waits for it any more.
        """
        self._began = self._reached = after
        self._rested_s = time.thread_time()
        for frame in self._reader.frames(after, until):
            yield frame
            self._reached = frame.last_seq
            self._step()

    def snapshots(self, at_most: int | None = None) -> Iterator[Snapshot]:
        """See `LogReader.snapshots`. Their pieces are paced too.

        Raises:
            Abandoned: nothing waits for it any more.
        """
        for snapshot in self._reader.snapshots(at_most):
            self._rested_s = time.thread_time()
            yield Snapshot(snapshot.seq, partial(self._paced, snapshot))

    def _paced(self, snapshot: Snapshot) -> Iterator[bytes]:
        for chunk in snapshot.chunks():
            yield chunk
            self._step()

    def _step(self) -> None:
        if not self._is_wanted():
            raise Abandoned
        worked_s = time.thread_time() - self._rested_s
        if self._rests and worked_s > SLICE_S:
            time.sleep(REST * worked_s)
            self._rested_s = time.thread_time()
