"""Folds of plain messages, many at a time: they enter, are leased, and end.

A plain message that becomes special is promoted to a `Message` here; from then on it is handled in `placement`.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from perdure.events.queue.folding.retention import close_block
from perdure.events.queue.folding.spilling import release_payloads, spill_block
from perdure.events.structures.id_index import RUN_PART, IdRun
from perdure.events.structures.message import Message, QueuePart, Status
from perdure.events.structures.message_block import LeaseBatch, MessageBlock
from perdure.events.structures.ready_queue import ReadyQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from perdure.events.queue.state import QueueState

__all__ = ["complete", "enter_plain", "hand_out", "lease", "promote", "ready_queue_of"]

LEASED = Status.LEASED


def ready_queue_of(state: QueueState, type_name: str) -> ReadyQueue:
    """Return the ready queue of a type, created at first use."""
    ready_queue = state.ready_queues.get(type_name)
    if ready_queue is None:
        ready_queue = state.ready_queues[type_name] = ReadyQueue()
    return ready_queue


def enter_plain(state: QueueState, first: int, type_name: str, ids: Sequence[str], payloads: list[bytes], size: int = -1) -> None:
    """Add plain messages at the end of their ready queue. `size`: bytes of all payloads; below 0: not added up yet."""
    if size < 0:
        size = sum(map(len, payloads))
    n = len(payloads)
    counts = state.counts(type_name)
    counts.published += n
    counts.ready += n
    state.next_number = first + n
    past = state.past
    if type(ids) is IdRun and n > 1:
        past.note_ids(ids)
    elif n == 1 and ids[0][RUN_PART] in past.own:
        past.last = ids[0]  # as `see` does
    else:
        for ident in ids:
            past.note_id(ident)
    state.plain += n
    state.payload_bytes += size
    level = ready_queue_of(state, type_name).level(0)
    done = 0
    while done < n:
        block = state.open_blocks.get(type_name)
        if block is None:
            block = _begin_block(state, type_name, first + done)
        rest = payloads[done:] if done else payloads
        took = 1 if n == 1 else block.count_that_fits(rest)  # one that is open has room for one
        if took < n:
            rest = rest[:took]
            size = sum(map(len, rest))
        # A run of one id is stored as a plain id, so that it does not matter how the log was read.
        piece = [ids[done]] if took == 1 else ids if took == n else ids[done : done + took]
        state.ids.put_all(piece, first + done)
        block.add(first + done, piece, rest, size)
        state.block_index.add(first + done, block)
        level.add_block(block)
        done += took
        if block.full:
            _seal(state, block)


def _begin_block(state: QueueState, type_name: str, first: int) -> MessageBlock:
    block = state.open_blocks[type_name] = state.blocks[first] = MessageBlock(first, type_name)
    return block


def _seal(state: QueueState, block: MessageBlock) -> None:
    """Close a block for new messages; if nothing in it is live, it is over."""
    del state.open_blocks[block.type]
    block.sealed = True
    if not block.live:
        close_block(state, block)
    elif state.spill is not None and state.payload_bytes - state.spilled_bytes > state.resident_max:
        spill_block(state, block)


def promote(state: QueueState, number: int) -> Message:
    """Return a live message to be changed. A plain one becomes a `Message`, and leaves the ready queue if it was ready."""
    message = state.messages.get(number)
    if message is not None:
        return message
    message = state.look(number)
    block = state.block_of(number)
    if message is None or block is None:
        raise KeyError(number)
    i = block.position(number)
    release_payloads(state, block, (i,))  # its payload is in memory now
    state.messages[number] = message
    state.ids.put(message.published.id, number)
    if message.status is LEASED:
        _take_from_batch(state, state.leased[number], 1)
        state.leased[number] = message
        if message.until_us:
            state.lease_ends.add((message.until_us, number))
    else:
        message.queue_part = QueuePart.NONE
        block.leave(i)
        state.ready_queues[block.type].trim(block)
    block.blank((i,))
    state.plain -= 1
    block.live -= 1
    if block.sealed and not block.live:
        close_block(state, block)
    return message


def lease(state: QueueState, numbers: range, until_us: int, retries: int, prefetched: bool) -> None:  # noqa: FBT001 - hot
    """Lease plain messages that are ready."""
    while numbers:
        block = state.block_of(numbers[0])
        if block is None:
            raise KeyError(numbers[0])
        i = block.position(numbers[0])
        n = block.row(i, len(numbers))
        here, numbers = numbers[:n], numbers[n:]
        if i == block.head:
            block.advance(n)
        else:
            for k in range(i, i + n):
                block.leave(k)
        hand_out(state, LeaseBatch(block, until_us, retries, prefetched, here, n))
        counts = state.by_type[block.type]
        counts.ready -= len(here)
        counts.in_flight += len(here)
        counts.out += len(here)
        state.ready_queues[block.type].trim(block)


def hand_out(state: QueueState, lease_batch: LeaseBatch) -> None:
    """Enter a lease batch as out."""
    state.leased.update(dict.fromkeys(lease_batch.numbers, lease_batch))
    if lease_batch.until_us:
        first = lease_batch.numbers[0]
        state.lease_batches[first] = lease_batch
        state.lease_ends.add((lease_batch.until_us, -first))


def _take_from_batch(state: QueueState, lease_batch: Any, n: int) -> None:
    """Take `n` messages out of a lease batch; the last one ends its deadline."""
    lease_batch.out -= n
    if not lease_batch.out and lease_batch.until_us:
        first = lease_batch.numbers[0]
        del state.lease_batches[first]
        state.lease_ends.discard((lease_batch.until_us, -first))


def complete(state: QueueState, numbers: Iterable[int]) -> None:
    """End plain messages that are out."""
    take: Callable[[int], Any] = state.leased.pop
    for lease_batch, group in groupby(numbers, take):
        here = list(group)
        block, n = lease_batch.block, len(here)
        counts = state.by_type[block.type]
        counts.completed += n
        counts.in_flight -= n
        counts.out -= n
        positions = block.positions(here)
        payloads = block.payloads
        if type(payloads) is list:  # as `release_payloads` and `MessageBlock.blank`, in one go
            first, last = positions[0], positions[-1] + 1
            if positions == [*range(first, last)]:  # in a row, as they were handed out
                size = sum(map(len, payloads[first:last]))
                payloads[first:last] = [b""] * n
            else:
                size = 0
                for i in positions:
                    size += len(payloads[i])
                    payloads[i] = b""
        else:
            size = release_payloads(state, block, positions)
        state.payload_bytes -= size
        state.plain -= n
        block.live -= n
        _take_from_batch(state, lease_batch, n)
        if block.sealed and not block.live:
            close_block(state, block)
