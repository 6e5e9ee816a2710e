"""What a store has promised to its writer, and the check that a store opened afterwards keeps it.

All tools that break a store use this check. The faults are in `crash_states`, `kernel_power_cuts` and `processes`.
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

__all__ = ["Contract", "Lost", "check_recovery", "snapshot_body"]


class Lost(AssertionError):
    """A store did not keep its contract."""


@attrs.define
class Contract:
    """What a store has promised to a workload so far."""

    sent: list[bytes] = attrs.field(factory=list)
    """Bodies of the appended frames, in order; one event each."""
    acknowledged: int = 0
    """How many of them were synced."""
    dropped: int = 0
    """Segments up to this sequence number may be gone, if a snapshot contains what was in them."""


def snapshot_body(seq: int) -> bytes:
    """Return the body that workloads save as the snapshot at a sequence number."""
    return f"state at {seq}".encode() * 20


def check_recovery(open_store: Callable[[], SegmentStore], contract: Contract) -> Recovered:
    """Open a store and check its contract. Return what the opening found.

    Everything acknowledged must be there, nothing else but what was sent, in order; and the store must accept another frame.

    Raises:
        Lost: the contract is broken.
        PerdureError: the store could not be opened.
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
            raise Lost("a frame written after the recovery is not found by the next one")
        again.close()
    finally:
        store.abandon()
        again.abandon()
    if findings := verify(store).findings:
        raise Lost(f"after the recovery verify finds: {findings[0]}")
    if left := [name for name in store.disk.names(store.path) if name.endswith(".tmp")]:
        raise Lost(f"temporary files are left: {left}")
    return recovered


def _check_lock(other: SegmentStore) -> None:
    try:
        other.open()
    except StoreLocked:
        return
    other.abandon()
    raise Lost("two stores opened one folder at the same time")


def _check_frames(frames: list[Frame], last_seq: int, contract: Contract) -> None:
    """Compare each frame in the log with what was sent under its number."""
    expected = first_seq = frames[0].first_seq if frames else last_seq + 1
    for frame in frames:
        if frame.first_seq != expected or frame.count != 1:
            raise Lost(f"sequence {frame.first_seq} where {expected} should be")
        if expected > len(contract.sent) or frame.body != contract.sent[expected - 1]:
            raise Lost(f"sequence {expected} is not what was sent under that number ({len(contract.sent)} were sent)")
        expected += 1
    if expected != last_seq + 1 or last_seq < contract.acknowledged:
        raise Lost(f"the log ends with {expected - 1} (reported as {last_seq}) of {contract.acknowledged} acknowledged")
    if first_seq > contract.dropped + 1:
        raise Lost(f"the log begins with {first_seq}, and only events up to {contract.dropped} could be dropped")


def _check_snapshots(store: SegmentStore, first_seq: int, last_seq: int) -> None:
    """Require that each snapshot is one that the workload saved, and that enough of them contain what was dropped from the log."""
    containing_dropped = 0
    for snapshot in store.snapshots():
        if snapshot.seq > last_seq or snapshot.body != snapshot_body(snapshot.seq):
            raise Lost(f"the snapshot at {snapshot.seq} was never saved")
        containing_dropped += snapshot.seq >= first_seq - 1
    if first_seq > 1 and containing_dropped < store.snapshots_kept:
        raise Lost(f"the log begins with {first_seq}, and only {containing_dropped} snapshots contain what was before")
