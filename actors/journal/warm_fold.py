"""`WarmFold`: the fold of a log that another process writes, kept up with it, so that its reader can take the log over quickly.

When it looks, and in which thread, is in `perdure.processes.deputy`; how a log is folded is in `log_fold`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.actors.journal.log_fold import advance, fold_log
from perdure.events.errors import PerdureError, StoreUnavailable
from perdure.events.loggers import GuardedLogger
from perdure.store.survey import WholeFrame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from perdure.events.codec.snapshot import States
    from perdure.events.structures.message_block import PayloadSpill
    from perdure.store import EventStore, Frame, LogReader, Snapshot

__all__ = ["WarmFold"]

logger = GuardedLogger("perdure")

BEHIND_MAX = 20_000
"""A fold that is so many events behind the newest snapshot is not used: loading that takes less time."""


class _Linked:
    """The frames of a log, as long as each continues the one that was folded last.

    A writer whose sync failed takes back what it has written since the last good one. A reader may have folded that already. So
    each look begins with the frame that was folded last, whose chain hash covers all before it.
    """

    def __init__(self, open_reader: Callable[[], LogReader]) -> None:
        self._open_reader = open_reader
        self.is_over = False
        """Set in another thread: no more frames are given."""
        self.forget()

    def forget(self) -> None:
        """Begin with no frame, and with a reader that remembers nothing of what was taken back."""
        self._reader = self._open_reader()
        self.seq = 0
        """The last event of the frame that was given last."""
        self.chain = b""
        """The chain hash of that frame."""

    @property
    def first_seq(self) -> int:
        """See `LogReader.first_seq`."""
        return self._reader.first_seq

    def snapshots(self, at_most: int | None = None) -> Iterator[Snapshot]:
        """See `LogReader.snapshots`."""
        return self._reader.snapshots(at_most)

    def frames(self, after: int = 0, until: int | None = None) -> Iterator[Frame]:  # noqa: ARG002 - the log is folded to its end
        """Yield the frames behind `after`.

        Raises:
            StoreUnavailable: the frame that was given last is not in the log any more. Otherwise as `LogReader.frames`.
        """
        known = self.chain if self.seq and self.seq == after else b""
        is_linked = not known  # nothing was given yet: `after` is a snapshot's
        for item in self._reader.whole_frames(after, synced=False):
            if not isinstance(item, WholeFrame) or not item.frame.count:
                continue
            if item.frame.last_seq == after:
                is_linked = known in (b"", item.chain)
                self.seq, self.chain = after, item.chain
                continue
            if not is_linked or self.is_over:
                break
            self.seq, self.chain = item.frame.last_seq, item.chain
            yield item.frame
        if not is_linked:
            msg = f"the log was cut back before {after}, after it was read up to there. It is read again from what is there now."
            raise StoreUnavailable(msg)


class WarmFold:
    """The states of all deciders, from a log that another process owns. For one thread, but for `interrupt` and `seq`.

    Args:
        open_reader: returns a reader of the log, which reads nothing yet.
        finished_max: as `fold_log`.
        resident_max: as `fold_log`.
        spill: returns a place for payloads beyond `resident_max` bytes.
    """

    def __init__(
        self,
        open_reader: Callable[[], LogReader],
        *,
        finished_max: int,
        resident_max: int,
        spill: Callable[[], PayloadSpill | None],
    ) -> None:
        self._linked = _Linked(open_reader)
        self._finished_max = finished_max
        self._resident_max = resident_max
        self._spill = spill
        self._states: States | None = None

    @property
    def seq(self) -> int:
        """Up to which event the log is folded; 0: nothing is."""
        states = self._states
        return 0 if states is None else states.seq

    def follow(self) -> None:
        """Fold what was written since the last call; at first, all of the log.

        Raises:
            StoreUnavailable: what was folded was taken back, or the log cannot be read. What is folded is dropped.
            StoreCorrupt, HistoryDropped: as `fold_log`. What is folded is dropped.
        """
        try:
            if self._states is None:
                self._states = self._begin()
            else:
                advance(self._linked, self._states)
        except BaseException:
            self.drop()
            raise

    def _begin(self) -> States:
        self._linked.forget()
        states, _ = fold_log(self._linked, finished_max=self._finished_max, spill=self._spill(), resident_max=self._resident_max)
        return states

    def interrupt(self) -> None:
        """Make `follow` return after the frame that it folds just now, until `drop`; what it has is of use still. In any thread."""
        self._linked.is_over = True

    def drop(self) -> None:
        """Free the memory that the fold takes; the next `follow` begins anew."""
        self._states = None
        self._linked.is_over = False
        self._linked.forget()

    def take(self, store: EventStore) -> States | None:
        """Return the states if the log of `store` begins with exactly what they are the fold of, else None; and keep nothing.

        Args:
            store: open, so that its end is repaired: what its last owner took back, or wrote half, is gone from it.
        """
        states, seq, chain = self._states, self._linked.seq, self._linked.chain
        self.drop()
        if states is None or not states.seq:
            return None
        try:
            newest = max(store.snapshot_seqs(), default=0)
            if newest > states.seq + BEHIND_MAX:
                logger.info("what this process has folded as deputy ends at %d, a snapshot at %d: it is read", states.seq, newest)
                return None
            if states.seq == seq and _chain_at(store, seq) == chain:
                return states
        except PerdureError as error:
            logger.warning("what this process has folded as deputy cannot be compared with the log, which is read anew: %s", error)
            return None
        logger.warning(
            "what this process has folded as deputy, up to %d, is not in the log any more, which is read anew", states.seq
        )
        return None


def _chain_at(store: EventStore, seq: int) -> bytes | None:
    """Return the chain hash of the frame whose last event is `seq`; None: there is none."""
    for item in store.whole_frames(seq, synced=False):
        if isinstance(item, WholeFrame) and item.frame.count:
            return item.chain if item.frame.last_seq == seq else None
    return None
