"""The state of the queue: `QueueState`, and how to find a message in it.

Only folds change it: see `folds`, `placement` and `plain_messages`. Decisions are in `decisions`.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING, NamedTuple

import attrs

from perdure.events.structures.block_index import BlockIndex
from perdure.events.structures.heap_set import HeapSet
from perdure.events.structures.id_index import IdIndex
from perdure.events.structures.message import Message, QueuePart, Status
from perdure.events.structures.message_block import LeaseBatch, MessageBlock
from perdure.events.structures.past_ids import PastIds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perdure.events import vocabulary as ev
    from perdure.events.commands import Death
    from perdure.events.structures.bulk import Bulk
    from perdure.events.structures.group import Group
    from perdure.events.structures.message_block import PayloadSpill
    from perdure.events.structures.ready_queue import ReadyQueue

__all__ = ["FOREVER", "Dead", "KeyHolder", "KeySlots", "QueueState", "TypeCounts", "is_quarantined"]

FOREVER = 1 << 62


@attrs.define(eq=False)
class KeyHolder:
    """The live messages of one deduplication key: at most one waits, at most one is out. 0: none."""

    waiting: int = 0
    running: int = 0


@attrs.define(eq=False)
class KeySlots:
    """The messages of one key of which a limited number may be out: those that have a slot, and those that wait for one."""

    taken: set[int] = attrs.field(factory=set)
    waiting: HeapSet[tuple[int, int, int]] = attrs.field(factory=HeapSet)
    """(-priority, rank, number)."""


class Dead(NamedTuple):
    """What the queue keeps of a dead letter; the letter itself is in `dead_letters`."""

    id: str
    type: str
    death: Death | None = None
    """Which of its deaths this is; None only while a snapshot is loaded."""
    bytes: int = 0
    """The bytes that it takes on record."""
    last: int = 0
    """The number of its last attempt. The numbers go on from there after a replay, even where attempts count from zero again."""


@attrs.define
class TypeCounts:
    """How many live messages of one type have each status, and how many messages have ever ended in each way."""

    ready: int = 0
    delayed: int = 0
    held: int = 0
    in_flight: int = 0
    out: int = 0
    """Messages in flight with the handler's own workers; the others are with manual consumers."""
    published: int = 0
    completed: int = 0
    failed: int = 0
    retried: int = 0
    lease_expired: int = 0
    superseded: int = 0
    expired: int = 0
    dead_lettered: int = 0
    replayed: int = 0
    purged: int = 0
    cancelled: int = 0


@attrs.define(eq=False)
class QueueState:
    """The queue as the fold of its events. Everything but the bounds of its memory follows from the events alone."""

    finished_max: int = 65_536
    """How many ended messages are remembered with how they ended, so that a repeated report is recognised."""
    past: PastIds = attrs.field(factory=PastIds)
    """The ids of messages that ended before those, so that a repeated publish is recognised."""

    spill: PayloadSpill | None = None
    resident_max: int = 0
    """With a spill: bytes of payload that are kept in memory. The others are on disk, which does not change the state."""
    spilled_bytes: int = 0
    """Bytes of live payloads on disk."""
    has_spilled: bool = False
    """Some payloads were put on disk."""
    moving: deque[MessageBlock] = attrs.field(factory=deque)
    """Blocks on disk whose payloads are to be moved, so that the files hold little that is unneeded (see `spilling`)."""

    next_number: int = 1
    messages: dict[int, Message] = attrs.field(factory=dict)
    """Live messages that are not plain, or no longer."""
    blocks: dict[int, MessageBlock] = attrs.field(factory=dict)
    """All other live messages, and plain ones that ended lately: by the first number of each block, in that order."""
    block_index: BlockIndex = attrs.field(factory=BlockIndex)
    open_blocks: dict[str, MessageBlock] = attrs.field(factory=dict)
    """By type: the block that takes the next plain message."""
    plain: int = 0
    """How many live messages are in blocks."""
    ids: IdIndex = attrs.field(factory=IdIndex)
    finished: dict[int, tuple[str, int]] = attrs.field(factory=dict)
    """By number, the id and the last attempt of messages that ended; below 0: no report of that attempt was accepted."""
    finished_order: deque[int | MessageBlock] = attrs.field(factory=deque)
    """What has ended, in order: numbers of messages, and blocks of which all messages have ended."""
    fates: dict[int, str] = attrs.field(factory=dict)
    """How messages of `finished` ended that neither completed nor became dead letters."""
    uncounted: dict[int, int] = attrs.field(factory=dict)
    """Of those messages of `finished` that have any: how many of their attempts do not count, see `Message.forgiven`."""
    finished_count: int = 0
    """How many messages `finished_order` stands for."""
    ready_queues: dict[str, ReadyQueue] = attrs.field(factory=dict)
    leased: dict[int, Message | LeaseBatch] = attrs.field(factory=dict)
    holders: dict[str, int] = attrs.field(factory=dict)
    """Request of a manual consumer to the number of its message."""
    reporting: set[int] = attrs.field(factory=set)
    """Numbers of messages that are out and have reported progress."""
    lease_batches: dict[int, LeaseBatch] = attrs.field(factory=dict)
    """By first number: the lease batches whose leases end."""
    lease_ends: HeapSet[tuple[int, int]] = attrs.field(factory=HeapSet)
    """(until_us, number) of each `Message` whose lease ends, (until_us, -first number) of each lease batch."""
    delayed: HeapSet[tuple[int, int]] = attrs.field(factory=HeapSet)
    """(due_us, number)."""
    expiring: HeapSet[tuple[int, int]] = attrs.field(factory=HeapSet)
    """(expires_us, number) of messages that are not out."""
    keys: dict[tuple[str, str], KeyHolder] = attrs.field(factory=dict)
    groups: dict[str, Group] = attrs.field(factory=dict)
    slots: dict[tuple[str, str], KeySlots] = attrs.field(factory=dict)
    quarantined: set[int] = attrs.field(factory=set)
    isolated: dict[str, HeapSet[int]] = attrs.field(factory=dict)
    """By type: the quarantined messages that are ready or out."""
    held_keys: OrderedDict[tuple[str, str], tuple[str, int]] = attrs.field(factory=OrderedDict)
    """Keys held by a window after completion: (id of the completed message, until_us)."""
    results: OrderedDict[str, ev.ResultKept] = attrs.field(factory=OrderedDict)
    results_bytes: int = 0
    """Bytes of the values and texts of all results."""
    retained: HeapSet[tuple[int, str, str]] = attrs.field(factory=HeapSet)
    """(until_us, id, "") for results and (until_us, type, key) for held keys."""
    paces: dict[str, int] = attrs.field(factory=dict)
    """Type to the time up to which its rate is used up."""
    ticks: dict[str, int] = attrs.field(factory=dict)
    """Schedule to the due time of its last tick that is done."""
    dead: OrderedDict[int, Dead] = attrs.field(factory=OrderedDict)
    """By number, the oldest first. An OrderedDict, as the oldest is dropped at a bound: a dict finds its first entry only by
    stepping over all that were removed before it."""
    dead_bytes: int = 0
    bulks: dict[str, Bulk] = attrs.field(factory=dict)
    """Bulk acts of operators by id, the oldest first: those under way, and the last that have ended."""
    by_type: dict[str, TypeCounts] = attrs.field(factory=dict)
    late_results: int = 0
    payload_bytes: int = 0

    @property
    def live(self) -> int:
        """How many messages have not ended."""
        return len(self.messages) + self.plain

    @property
    def waiting(self) -> int:
        """How many live messages are not out."""
        return len(self.messages) + self.plain - len(self.leased)

    def counts(self, type_name: str) -> TypeCounts:
        """Return the counts of a type, created at first use."""
        counts = self.by_type.get(type_name)
        if counts is None:
            counts = self.by_type[type_name] = TypeCounts()
        return counts

    def block_of(self, number: int) -> MessageBlock | None:
        """Return the block that holds, or held, a message; None where there is none."""
        return self.block_index.get(number)

    def look(self, number: int) -> Message | None:
        """Return a live message, or None; of a plain one, a `Message` made for this call, which must not be changed."""
        message = self.messages.get(number)
        if message is not None:
            return message
        lease_batch = self.leased.get(number)
        if isinstance(lease_batch, LeaseBatch):
            lease = lease_batch.leased(number)
            published = lease_batch.block.published(number)
            return Message(published, number, number, status=Status.LEASED, lease=lease, until_us=lease_batch.until_us)
        block = self.block_of(number)
        if block is None or block.has_left(block.position(number)):
            return None
        return Message(block.published(number), number, number, queue_part=QueuePart.IN_ORDER)

    def by_id(self, ident: str) -> Message | None:
        """Return the live message of an id, or None, as `look` does."""
        number = self.ids.get(ident)
        return self.look(number) if number else None

    def all_out(self) -> Iterator[Message]:
        """Return all messages that are out, as `look` does, in the order they were leased."""
        for number, held in self.leased.items():
            if isinstance(held, Message):
                yield held
            elif (message := self.look(number)) is not None:
                yield message

    def living(self) -> Iterator[Message]:
        """Return all live messages, as `look` does, in no particular order."""
        yield from self.messages.values()
        for block in self.blocks.values():
            for number in block.numbers:
                if number not in self.messages and (message := self.look(number)) is not None:
                    yield message

    def has_ended(self, number: int, ident: str, attempt: int) -> bool:
        """Return whether a message has ended and the report of exactly this attempt was the last one accepted."""
        ended = self.finished.get(number)
        if ended is not None:
            return ended == (ident, attempt)
        block = self.block_of(number)
        if block is None or attempt != 1 or number in self.leased or number in self.messages or number in self.dead:
            return False
        i = block.position(number)
        return block.has_left(i) and block.id_of(i) == ident


def is_quarantined(message: Message) -> bool:
    """Return whether a message may be what kills its process, so that it must run alone."""
    return message.crashes > 1  # a single one may be a coincidence
