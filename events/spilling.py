"""Payloads of plain messages that wait on the disk: which go there, which come back, and that little else is kept there.

It changes no meaning: a state is the same wherever its payloads are. Files are the shelf's (`perdure.store.shelf`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perdure.events.parcel import Parcel
    from perdure.events.queue_state import QueueState

__all__ = ["compact", "put_away", "shelve", "shelve_excess", "take_out"]

SLACK_BYTES = 1 << 20
"""The shelf may take up this much, and twice what is needed of it, before what is needed is moved together."""
STEP_BYTES = 4 << 20
"""So much is moved at a time."""


def shelve(state: QueueState, parcel: Parcel) -> None:
    """Put a parcel's payloads where they take no memory; where there is no room they stay."""
    payloads = parcel.payloads
    if isinstance(payloads, list):  # in which there is nothing any more of what has ended
        put_away(state, parcel, payloads, sum(map(len, payloads)))


def put_away(state: QueueState, parcel: Parcel, payloads: list[bytes], live_bytes: int) -> None:
    """Put payloads of a parcel on the disk, so many bytes of which are live; where there is no room they stay."""
    if state.shelf is None:
        return
    try:
        parcel.payloads = state.shelf.put(payloads)
    except OSError:
        return
    parcel.shelved_bytes = live_bytes
    state.shelved_bytes += live_bytes


def shelve_excess(state: QueueState) -> None:
    """Put on the shelf what is over the bound, those that come last first."""
    for parcel in reversed(state.parcels.values()):
        if state.payload_bytes - state.shelved_bytes <= state.resident_max:
            return
        if parcel.sealed and parcel.live:
            shelve(state, parcel)


def take_out(state: QueueState, parcel: Parcel, places: Sequence[int]) -> int:
    """Take note that messages of a parcel have ended, or left it; gives how many bytes of payload that were."""
    size = parcel.bytes_of(places)
    if parcel.is_shelved:
        parcel.shelved_bytes -= size
        state.shelved_bytes -= size
    return size


def compact(state: QueueState) -> bool:
    """Where most of what is on the disk has ended, move on what has not, in a bounded step; tells whether there is more to move.

    What fits into memory comes back there, up to half of what may be there, so that it need not go at once. Each byte is moved at
    most once for a byte that has ended.
    """
    shelf, moving = state.shelf, state.moving
    if shelf is None or shelf.size <= 2 * state.shelved_bytes + SLACK_BYTES:
        if moving:
            moving.clear()
        return False
    if not moving:
        parcels = [parcel for parcel in state.parcels.values() if parcel.is_shelved]
        sparse = shelf.sparse([(parcel.payloads, parcel.shelved_bytes) for parcel in parcels])
        moving.extend(parcel for parcel, is_sparse in zip(parcels, sparse, strict=True) if is_sparse)
    left = STEP_BYTES
    while moving and left > 0:
        parcel = moving.popleft()
        if parcel.is_shelved:
            left -= parcel.shelved_bytes
            try:
                _move(state, parcel)
            except OSError:
                moving.clear()  # no room for it now: it stays where it is, and is tried again
                return False
    return bool(moving)


def _move(state: QueueState, parcel: Parcel) -> None:
    if state.shelf is None:
        return
    live = _live(state, parcel)
    resident_bytes = state.payload_bytes - state.shelved_bytes
    if resident_bytes + parcel.shelved_bytes <= state.resident_max // 2:
        parcel.payloads = live
        state.shelved_bytes -= parcel.shelved_bytes
        parcel.shelved_bytes = 0
    else:
        parcel.payloads = state.shelf.put(live)


def _live(state: QueueState, parcel: Parcel) -> list[bytes]:
    """Give a parcel's payloads, in place of those that are not needed any more nothing."""
    if not parcel.head and not parcel.gone:
        return list(parcel.payloads[:])
    head, gone, leased, messages = parcel.head, parcel.gone, state.leased, state.messages
    return [
        payload if (i >= head and i not in gone) or (number in leased and number not in messages) else b""
        for i, (number, payload) in enumerate(zip(parcel.numbers, parcel.payloads[:], strict=True))
    ]
