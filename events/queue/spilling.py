"""Payloads of plain messages that wait on the disk: which go there, which come back, and that little else is kept there.

It changes no meaning: a state is the same wherever its payloads are. Files are the shelf's (`perdure.store.files.payload_spill`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perdure.events.queue.state import QueueState
    from perdure.events.structures.message_block import MessageBlock

__all__ = ["compact", "release_payloads", "spill_block", "spill_excess", "spill_payloads"]

SLACK_BYTES = 1 << 20
"""The shelf may take up this much, and twice what is needed of it, before what is needed is moved together."""
STEP_BYTES = 4 << 20
"""So much is moved at a time."""


def spill_block(state: QueueState, block: MessageBlock) -> None:
    """Put a parcel's payloads where they take no memory; where there is no room they stay."""
    payloads = block.payloads
    if isinstance(payloads, list):  # in which there is nothing any more of what has ended
        spill_payloads(state, block, payloads, sum(map(len, payloads)))


def spill_payloads(state: QueueState, block: MessageBlock, payloads: list[bytes], live_bytes: int) -> None:
    """Put payloads of a parcel on the disk, so many bytes of which are live; where there is no room they stay."""
    if state.spill is None:
        return
    try:
        block.payloads = state.spill.put(payloads)
    except OSError:
        return
    block.spilled_bytes = live_bytes
    state.spilled_bytes += live_bytes
    state.has_spilled = True


def spill_excess(state: QueueState) -> None:
    """Put on the shelf what is over the bound, those that come last first."""
    for block in reversed(state.blocks.values()):
        if state.payload_bytes - state.spilled_bytes <= state.resident_max:
            return
        if block.sealed and block.live:
            spill_block(state, block)


def release_payloads(state: QueueState, block: MessageBlock, positions: Sequence[int]) -> int:
    """Take note that messages of a parcel have ended, or left it; gives how many bytes of payload that were."""
    size = block.bytes_of(positions)
    if block.is_spilled:
        block.spilled_bytes -= size
        state.spilled_bytes -= size
    return size


def compact(state: QueueState) -> bool:
    """Where most of what is on the disk has ended, move on what has not, in a bounded step; tells whether there is more to move.

    What fits into memory comes back there, up to half of what may be there, so that it need not go at once. Each byte is moved at
    most once for a byte that has ended.
    """
    spill, moving = state.spill, state.moving
    if spill is None or spill.size <= 2 * state.spilled_bytes + SLACK_BYTES:
        if moving:
            moving.clear()
        return False
    if not moving:
        blocks = [block for block in state.blocks.values() if block.is_spilled]
        sparse = spill.sparse([(block.payloads, block.spilled_bytes) for block in blocks])
        moving.extend(block for block, is_sparse in zip(blocks, sparse, strict=True) if is_sparse)
    left = STEP_BYTES
    while moving and left > 0:
        block = moving.popleft()
        if block.is_spilled:
            left -= block.spilled_bytes
            try:
                _move(state, block)
            except OSError:
                moving.clear()  # no room for it now: it stays where it is, and is tried again
                return False
    return bool(moving)


def _move(state: QueueState, block: MessageBlock) -> None:
    if state.spill is None:
        return
    live = _live(state, block)
    resident_bytes = state.payload_bytes - state.spilled_bytes
    if resident_bytes + block.spilled_bytes <= state.resident_max // 2:
        block.payloads = live
        state.spilled_bytes -= block.spilled_bytes
        block.spilled_bytes = 0
    else:
        block.payloads = state.spill.put(live)


def _live(state: QueueState, block: MessageBlock) -> list[bytes]:
    """Give a parcel's payloads, in place of those that are not needed any more nothing."""
    if not block.head and not block.gone:
        return list(block.payloads[:])
    head, gone, leased, messages = block.head, block.gone, state.leased, state.messages
    return [
        payload if (i >= head and i not in gone) or (number in leased and number not in messages) else b""
        for i, (number, payload) in enumerate(zip(block.numbers, block.payloads[:], strict=True))
    ]
