"""Message blocks and lease batches as plain values for a snapshot, and back. All else of a snapshot is in `snapshot`."""

from __future__ import annotations

from array import array
from itertools import accumulate, groupby, pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from perdure.events.queue.folding.plain_messages import hand_out, ready_queue_of
from perdure.events.queue.folding.spilling import spill_payloads
from perdure.events.structures.block_index import stretches
from perdure.events.structures.id_index import IdRun
from perdure.events.structures.message_block import LeaseBatch, MessageBlock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from perdure.events.queue.state import QueueState

OPEN_MAX = 1 << 16
"""The most messages that a block without live ones may claim; more are refused before memory is taken."""

__all__ = ["dump_blocks", "dump_lease_batches", "load_blocks", "load_lease_batches"]


def dump_blocks(state: QueueState) -> Iterator[list[Any]]:
    """Return all blocks one after the other, with payloads only of messages that have not ended."""
    return (_dump(state, block) for block in state.blocks.values())


def _dump(state: QueueState, block: MessageBlock) -> list[Any]:
    ids = [[ids.prefix, ids.start, ids.n] if isinstance(ids, IdRun) else list(ids) for _, ids in block.chunks]
    payloads: list[bytes | None] = []
    if block.live:
        payloads = [*block.payloads[:]]  # reads spilled ones all together
        for i in {*range(block.head), *block.gone}:
            number = block.numbers[i]
            if number not in state.leased or number in state.messages:
                payloads[i] = None
    row = [block.first, block.type, ids, payloads, block.size, block.head, sorted(block.gone), block.live, block.sealed]
    return row if isinstance(block.numbers, range) else [*row, _gaps(block.numbers)]


def _gaps(numbers: Sequence[int]) -> list[int]:
    """Return the distance of each number from the one before it."""
    return [number - before for before, number in pairwise(numbers)]


def _numbers(first: int, n: int, gaps: list[int]) -> range | array[int]:
    if not gaps:
        return range(first, first + n)
    numbers = array("q", accumulate(gaps, initial=first))
    if len(numbers) != n or min(gaps) < 1:
        msg = f"a message block of {n} messages with {len(numbers)} numbers, which must count up"
        raise ValueError(msg)
    return numbers


def load_blocks(state: QueueState, rows: Iterable[list[Any]]) -> dict[int, MessageBlock]:
    """Add blocks to a state that has only counts yet, and return them by first number; their ready messages are in ready queues.

    Payloads beyond the bound of the memory are spilled as they come.
    """
    for first, type_name, ids, payloads, size, head, gone, live, sealed, *gaps in rows:
        block = MessageBlock(first, type_name, size=size, head=head, gone=set(gone), live=live, sealed=sealed)
        for chunk in ids:
            is_run = len(chunk) == 3 and isinstance(chunk[1], int)  # noqa: PLR2004 - prefix, start, count
            piece = IdRun(*chunk) if is_run else list(chunk)
            block.chunks.append((block.n, piece))
            block.n += len(piece)
        block.numbers = _numbers(first, block.n, *gaps) if gaps else range(first, first + block.n)
        for offset, own in block.chunks:
            if isinstance(own, IdRun):
                state.ids.put_all(own, block.numbers[offset])
            else:
                for number, ident in zip(block.numbers[offset:], own, strict=False):
                    state.ids.put(ident, number)
        if len(payloads) != block.n and (live or block.n > OPEN_MAX):
            msg = f"a message block of {block.n} messages with {len(payloads)} payloads"
            raise ValueError(msg)
        if not (sealed and not live):  # a block that is over has no payloads; in others each keeps its position
            block.payloads = [payload or b"" for payload in payloads] or [b""] * block.n
        state.blocks[first] = block
        state.plain += live
        counts = state.counts(type_name)
        ready = block.n - head - len(block.gone)
        counts.ready += ready
        waits = block.bytes_of([i for i in range(head, block.n) if i not in block.gone])
        if ready:
            ready_queue_of(state, type_name).level(0).add_block(block)
            state.payload_bytes += waits
        if not sealed:
            state.open_blocks[type_name] = block
        elif live and state.spill is not None and state.payload_bytes - state.spilled_bytes > state.resident_max:
            spill_payloads(state, block, [*block.payloads], waits)  # payloads that are out are counted with the leases
    firsts = {start: block for block in state.blocks.values() for start in stretches(block)}
    for start, block in sorted(firsts.items(), key=itemgetter(0)):
        state.block_index.add(start, block)
    return state.blocks


def dump_lease_batches(state: QueueState) -> list[list[Any]]:
    """Return the plain messages that are out, in columns: number, until_us, retries, prefetched."""
    rows = [(n, f.until_us, f.retries, f.prefetched) for n, f in sorted(state.leased.items()) if isinstance(f, LeaseBatch)]
    return [list(column) for column in zip(*rows, strict=True)]


def load_lease_batches(state: QueueState, columns: list[list[Any]]) -> None:
    """Restore the leases of plain messages."""
    rows = zip(*columns, strict=True)
    for (block, until_us, retries, prefetched), group in groupby(rows, lambda row: (state.block_of(row[0]), *row[1:])):
        numbers = [row[0] for row in group]
        if block is None:
            raise KeyError(numbers[0])
        hand_out(state, LeaseBatch(block, until_us, retries, prefetched, numbers, len(numbers)))
        counts = state.counts(block.type)
        counts.in_flight += len(numbers)
        counts.out += len(numbers)
        size = block.bytes_of(block.positions(numbers))
        state.payload_bytes += size
        if block.is_spilled:
            block.spilled_bytes += size
            state.spilled_bytes += size
