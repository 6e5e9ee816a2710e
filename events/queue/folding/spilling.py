"""Payloads of plain messages on disk: which are spilled, which come back, and how the files stay small.

Two states are equal wherever their payloads are. The files are in `store/files/payload_spill`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perdure.events.queue.state import QueueState
    from perdure.events.structures.message_block import MessageBlock

__all__ = ["compact", "release_payloads", "spill_block", "spill_excess", "spill_payloads"]

SLACK_BYTES = 1 << 20
"""The files may take this much and twice the live bytes before the live payloads are moved together."""
STEP_BYTES = 4 << 20
"""Bytes that are moved in one step."""


def spill_block(state: QueueState, block: MessageBlock) -> None:
    """Spill a block's payloads; where the disk has no room they stay in memory."""
    payloads = block.payloads
    if isinstance(payloads, list):  # the payloads of ended messages are gone from it already
        spill_payloads(state, block, payloads, sum(map(len, payloads)))


def spill_payloads(state: QueueState, block: MessageBlock, payloads: list[bytes], live_bytes: int) -> None:
    """Spill payloads of a block, of which `live_bytes` are live; where the disk has no room they stay in memory."""
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
    """Spill payloads until those in memory are within the bound; the messages that are due last go first."""
    for block in reversed(state.blocks.values()):
        if state.payload_bytes - state.spilled_bytes <= state.resident_max:
            return
        if block.sealed and block.live:
            spill_block(state, block)


def release_payloads(state: QueueState, block: MessageBlock, positions: Sequence[int]) -> int:
    """Return the payload bytes of messages that end or leave a block, and take them off the count of spilled bytes."""
    size = block.bytes_of(positions)
    if block.is_spilled:
        block.spilled_bytes -= size
        state.spilled_bytes -= size
    return size


def compact(state: QueueState) -> bool:
    """Move live payloads together where most of the spilled ones have ended, one bounded step; return whether more is to be moved.

    Payloads come back to memory up to half of its bound, so that they are not spilled again at once. Each byte is moved at most
    once for each byte that has ended.
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
                moving.clear()  # the disk has no room now: the block stays where it is, and a later step tries again
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
    """Return a block's payloads, with empty bytes for those that are no longer needed."""
    if not block.head and not block.gone:
        return list(block.payloads[:])
    head, gone, leased, messages = block.head, block.gone, state.leased, state.messages
    return [
        payload if (i >= head and i not in gone) or (number in leased and number not in messages) else b""
        for i, (number, payload) in enumerate(zip(block.numbers, block.payloads[:], strict=True))
    ]
