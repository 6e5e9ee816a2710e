"""What a store has promised to whoever wrote to it, and whether a store opened afterwards keeps that.

The oracle of all tools that break the store. How it is broken is in `crash`, `syscalls`, `lines` and `power`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from perdure.events.errors import StoreLocked
from perdure.store import verify

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.store import SegmentStore
    from perdure.store.values import Frame, Recovered

__all__ = ["Contract", "Lost", "hold", "snapshot_body"]


class Lost(AssertionError):
    """A store did not come back as it had promised."""


@attrs.define
class Contract:
    """What a workload has been promised so far."""

    sent: list[bytes] = attrs.field(factory=list)
    """Bodies of the frames that were appended, in order; one event each."""
    acknowledged: int = 0
    """So many of them were synced."""
    dropped: int = 0
    """Up to this sequence number segments may be gone, where a snapshot holds what was in them."""


def snapshot_body(seq: int) -> bytes:
    """Give the body that workloads save as the snapshot at a sequence number."""
    return f"state at {seq}".encode() * 20


def hold(open_store: Callable[[], SegmentStore], contract: Contract) -> Recovered:
    """Open a store: all that was acknowledged, nothing invented, the order kept, and it goes on. Gives what the opening found.

    Raises:
        Lost: a promise was broken.
        PerdureError: it could not be opened.
    """
    store, again = open_store(), open_store()
    try:
        recovered = store.open()
        _check_lock(open_store())
        frames = list(store.frames())
        _check_frames(frames, recovered.last_seq, contract)
        _check_snapshots(store, frames[0].first_seq if frames else recovered.last_seq + 1, recovered.last_seq)
        found = [frame.body for frame in frames]
        store.append(b"next", 1, expected_seq=recovered.last_seq + 1)
        store.close()
        if again.open().last_seq != recovered.last_seq + 1 or [frame.body for frame in again.frames()] != [*found, b"next"]:
            raise Lost("what was written after the recovery is not there at the next")
        again.close()
    finally:
        store.abandon()
        again.abandon()
    if findings := verify(store).findings:
        raise Lost(f"after the recovery the folder is not whole: {findings[0]}")
    if left := [name for name in store.disk.names(store.path) if name.endswith(".tmp")]:
        raise Lost(f"left behind: {left}")
    return recovered


def _check_lock(other: SegmentStore) -> None:
    try:
        other.open()
    except StoreLocked:
        return
    other.abandon()
    raise Lost("two stores opened one folder")


def _check_frames(frames: list[Frame], last_seq: int, contract: Contract) -> None:
    """Hold each frame that is still in the log against what was sent under its number."""
    expected = first_seq = frames[0].first_seq if frames else last_seq + 1
    for frame in frames:
        if frame.first_seq != expected or frame.count != 1:
            raise Lost(f"sequence {frame.first_seq} where {expected} should be")
        if expected > len(contract.sent) or frame.body != contract.sent[expected - 1]:
            raise Lost(f"sequence {expected} is not what was sent as that ({len(contract.sent)} were sent)")
        expected += 1
    if expected != last_seq + 1 or last_seq < contract.acknowledged:
        raise Lost(f"the log ends with {expected - 1} (said {last_seq}) of {contract.acknowledged} acknowledged")
    if first_seq > contract.dropped + 1:
        raise Lost(f"the log begins with {first_seq}; only up to {contract.dropped} anything was to be dropped")


def _check_snapshots(store: SegmentStore, first_seq: int, last_seq: int) -> None:
    """No snapshot may be one that nobody made, and as many as are kept must hold what the log no longer does."""
    hold_all_before = 0
    for snapshot in store.snapshots():
        if snapshot.seq > last_seq or snapshot.body != snapshot_body(snapshot.seq):
            raise Lost(f"a snapshot at {snapshot.seq} that nobody can have made")
        hold_all_before += snapshot.seq >= first_seq - 1
    if first_seq > 1 and hold_all_before < store.snapshots_kept:
        raise Lost(f"the log begins with {first_seq}, and only {hold_all_before} snapshots hold what was before")
