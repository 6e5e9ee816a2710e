"""How a state comes back from the log: the newest whole snapshot, and the fold of what came after.

Used by every actor that holds state, by audit and by the snapshotter. No actor is here.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Protocol

from perdure.events.codec.snapshot import ALL_PARTS, States, fold
from perdure.events.codec.wire import decode_runs
from perdure.events.errors import HistoryDropped, StoreCorrupt, StoreUnavailable
from perdure.events.loggers import GuardedLogger
from perdure.events.queue.folding.spilling import compact, spill_excess
from perdure.events.runs import count, first_events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from perdure.events.codec.wire import Batch
    from perdure.events.structures.message_block import PayloadSpill
    from perdure.store import Frame, Snapshot

__all__ = ["advance", "fold_log"]

logger = GuardedLogger("perdure")

FINISHED_MAX = 1_000_000
"""Ended messages that are remembered, unless the caller or a snapshot says otherwise."""
KNOWN_WHOLE_MAX = 65_536
"""How many ended messages are remembered with how they ended; all others are remembered by their ids alone."""


class FoldableLog(Protocol):
    """What a fold needs of a `LogReader`."""

    @property
    def first_seq(self) -> int:
        """See `LogReader.first_seq`."""

    def frames(self, after: int = 0, until: int | None = None) -> Iterator[Frame]:
        """See `LogReader.frames`."""

    def snapshots(self, at_most: int | None = None) -> Iterator[Snapshot]:
        """See `LogReader.snapshots`."""


def fold_log(
    store: FoldableLog,
    until: int | None = None,
    *,
    finished_max: int | None = None,
    parts: frozenset[str] = ALL_PARTS,
    spill: PayloadSpill | None = None,
    resident_max: int = 0,
    progress: Callable[[int], None] | None = None,
    warm: States | None = None,
) -> tuple[States, int]:
    """Fold the log up to sequence number `until`; return the states, and the sequence number it began from (0: the first event).

    It begins from a snapshot, or from `warm`, the fold of the log up to some point; then that object is returned.

    The last `finished_max` ended messages are remembered. With a `spill`, payloads beyond `resident_max` bytes wait there.
    `progress` is called with the sequence number reached; for each piece of a snapshot that is read, with 0.

    Raises:
        HistoryDropped: the state at `until` is not known any more.
        StoreCorrupt: the log is damaged, or does not reach back to the newest snapshot that can be read.
    """
    if warm is not None:
        base = warm.seq
        with contextlib.suppress(StoreCorrupt, StoreUnavailable):  # raised below, unless a newer snapshot holds what is damaged
            advance(store, warm, until, progress)
            return warm, base
    while True:
        states = States()
        states.queue.past.kept_max = FINISHED_MAX - KNOWN_WHOLE_MAX
        base = 0
        for snapshot in store.snapshots(until):
            loaded = _load(snapshot, parts, spill, resident_max, progress)
            if loaded is not None:
                states, base = loaded, snapshot.seq
                break
        if finished_max is not None:
            states.queue.finished_max = min(finished_max, KNOWN_WHOLE_MAX)
            states.queue.past.kept_max = finished_max - states.queue.finished_max
        states.parts = parts
        states.queue.spill, states.queue.resident_max = spill, resident_max
        spill_excess(states.queue)
        try:
            advance(store, states, until, progress)
        except (StoreCorrupt, StoreUnavailable):
            newest = next(store.snapshots(until), None)
            if newest is None or newest.seq <= base or _load(newest, parts, spill, resident_max) is None:
                raise
            continue  # what was being read has been dropped meanwhile, as a newer snapshot holds it
        return states, base


def _load(
    snapshot: Snapshot,
    parts: frozenset[str],
    spill: PayloadSpill | None,
    resident_max: int,
    progress: Callable[[int], None] | None = None,
) -> States | None:
    """Build the states of a snapshot; None where that cannot be done, or where it went while it was read."""

    def chunks() -> Iterator[bytes]:
        for chunk in snapshot.chunks():
            if progress is not None:
                progress(0)
            yield chunk

    try:
        return States.decode(chunks(), parts=parts, spill=spill, resident_max=resident_max)
    except (StoreCorrupt, StoreUnavailable) as error:
        logger.warning("the snapshot at %d is passed over, an older one is used: %s", snapshot.seq, error)
        return None


def advance(store: FoldableLog, states: States, until: int | None = None, progress: Callable[[int], None] | None = None) -> None:
    """Fold what came after `states.seq`, up to `until`.

    Raises:
        HistoryDropped: the log begins later, on purpose.
        StoreCorrupt: the log is damaged or has a gap.
    """
    if until is not None and 0 < until <= states.seq:
        return  # nothing is left to fold, so nothing is read
    if store.first_seq > states.seq + 1:
        raise _begins_later(store, states.seq)
    for frame in store.frames(states.seq, until):
        if frame.first_seq > states.seq + 1:
            msg = (
                f"the log goes on at {frame.first_seq}, but the state before it is only known up to {states.seq}. "
                "Run `perdure verify` on the folder, and restore what is missing from a backup."
            )
            raise StoreCorrupt(msg, seq=states.seq + 1)
        batches = decode_runs(frame.body, frame.count)
        if until is not None and frame.first_seq + frame.count - 1 > until:
            batches = list(_up_to(batches, until - frame.first_seq + 1))
        fold(states, batches, frame.first_seq)
        compact(states.queue)
        if progress is not None:
            progress(states.seq)


def _begins_later(store: FoldableLog, seq: int) -> HistoryDropped | StoreCorrupt:
    """Make the error for a state that the log does not reach back to; a snapshot of all before it shows that this is on purpose."""
    first_seq = store.first_seq
    known = [snapshot.seq for snapshot in store.snapshots() if snapshot.seq >= first_seq - 1]
    if known:
        msg = (
            f"history before sequence {first_seq} was dropped or archived; states are known from {known[-1]} on. With "
            '`history = "archive"`, put the archived segments beside the others in a copy of the folder, and ask that.'
        )
        return HistoryDropped(msg)
    msg = (
        f"the log begins with {first_seq}, but the state before it is only known up to {seq}. Run `perdure verify` on the folder, "
        "and restore what is missing from a backup."
    )
    return StoreCorrupt(msg, seq=seq + 1)


def _up_to(batches: list[Batch], n: int) -> Iterator[Batch]:
    """Return the first `n` events of a frame, in their batches."""
    for at_us, events in batches:
        if n <= 0:
            return
        yield at_us, first_events(events, n)
        n -= count(events)
