"""How long the queue remembers ended messages: the last `finished_max` with how they ended, many more by their ids alone.

So a repeated publish or report is recognised. Called only while an event is folded. A block is remembered and forgotten as a whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.events.structures.id_index import IdRun
from perdure.events.structures.message_block import MessageBlock

if TYPE_CHECKING:
    from perdure.events.queue.state import QueueState

__all__ = ["close_block", "remember"]


def remember(state: QueueState, number: int, ident: str, attempt: int) -> None:
    """Remember an ended message; the oldest one makes room."""
    state.finished[number] = (ident, attempt)
    state.finished_order.append(number)
    state.finished_count += 1
    _make_room(state)


def close_block(state: QueueState, block: MessageBlock) -> None:
    """Drop the payloads of a block whose messages have all ended; its ids are remembered."""
    block.payloads = []
    state.finished_order.append(block)
    state.finished_count += block.n
    _make_room(state)


def _make_room(state: QueueState) -> None:
    order = state.finished_order
    while order:
        oldest = order[0]
        weight = oldest.n if isinstance(oldest, MessageBlock) else 1
        if state.finished_count - weight < state.finished_max:
            return
        order.popleft()
        state.finished_count -= weight
        if isinstance(oldest, MessageBlock):
            _forget_block(state, oldest)
        else:
            _forget(state, oldest)


def _forget(state: QueueState, number: int) -> None:
    ended = state.finished.pop(number, None)
    state.fates.pop(number, None)
    state.uncounted.pop(number, None)
    if ended is not None and number not in state.dead:
        state.ids.drop(ended[0], number)
        state.past.add(([ended[0]],), 1)


def _forget_block(state: QueueState, block: MessageBlock) -> None:
    del state.blocks[block.first]
    state.block_index.drop(block)
    # Promoted messages are remembered one by one.
    known = (state.messages, state.finished, state.dead)
    apart = {number for number in block.numbers if any(number in those for those in known)}
    state.past.add([ids for _, ids in block.chunks], block.n - len(apart))
    for offset, ids in block.chunks:
        first = block.numbers[offset]
        if isinstance(ids, IdRun):
            state.ids.drop_run(ids, first)
            continue
        for number, ident in zip(block.numbers[offset : offset + len(ids)], ids, strict=True):
            if number not in apart:
                state.ids.drop(ident, number)
