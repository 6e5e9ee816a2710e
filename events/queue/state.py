"""What the queue knows: `QueueState`, and how to look something up in it.

How facts change it is in `queue_folds` (and, for where a message stands, in `placing`); decisions are in `queue_rules`.
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
    """The messages of one key whose type limits how many of a key may be out: who has a slot, and who waits for one."""

    taken: set[int] = attrs.field(factory=set)
    waiting: HeapSet[tuple[int, int, int]] = attrs.field(factory=HeapSet)
    """(-priority, rank, number)."""


class Dead(NamedTuple):
    """What the queue knows of a dead letter."""

    id: str
    type: str
    death: Death | None = None
    """Which of its deaths that was; None only while a snapshot is loaded, as its letter tells that."""
    bytes: int = 0
    """What it takes on record; its letter tells that too."""


@attrs.define
class TypeCounts:
    """How many live messages of one type stand where, and what became of all there ever were."""

    ready: int = 0
    delayed: int = 0
    held: int = 0
    in_flight: int = 0
    out: int = 0
    """Of those in flight, the ones with the handler's own workers."""
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
    """The queue as the fold of its facts. Everything but what bounds its memory follows from the events alone."""

    finished_max: int = 65_536
    """How many ended messages are remembered with how they ended, so that a repeated report of one is recognised."""
    past: PastIds = attrs.field(factory=PastIds)
    """The ids of those that ended before them, so that a repeated publish is."""

    spill: PayloadSpill | None = None
    resident_max: int = 0
    """With a shelf: bytes of payload that are kept in memory. What is beyond waits on the shelf, which changes no meaning."""
    spilled_bytes: int = 0
    """Bytes of live payloads that wait there ..."""
    has_spilled: bool = False
    """Some were put there."""
    moving: deque[MessageBlock] = attrs.field(factory=deque)
    """... and the parcels whose payloads are to be moved on, so that little else is kept there (see `spilling`)."""

    next_number: int = 1
    messages: dict[int, Message] = attrs.field(factory=dict)
    """Live messages that are not plain, or not any more."""
    blocks: dict[int, MessageBlock] = attrs.field(factory=dict)
    """All others, and those of them that ended of late: by the first number of each parcel, in that order."""
    block_index: BlockIndex = attrs.field(factory=BlockIndex)
    open_blocks: dict[str, MessageBlock] = attrs.field(factory=dict)
    """By type: the parcel that takes what is published next."""
    plain: int = 0
    """How many live messages are in parcels."""
    ids: IdIndex = attrs.field(factory=IdIndex)
    finished: dict[int, tuple[str, int]] = attrs.field(factory=dict)
    finished_order: deque[int | MessageBlock] = attrs.field(factory=deque)
    """What has ended, in order: the numbers of single messages, and parcels of which all have."""
    fates: dict[int, str] = attrs.field(factory=dict)
    """How those of `finished` ended that neither completed nor died."""
    finished_count: int = 0
    """How many messages that are."""
    ready_queues: dict[str, ReadyQueue] = attrs.field(factory=dict)
    leased: dict[int, Message | LeaseBatch] = attrs.field(factory=dict)
    holders: dict[str, int] = attrs.field(factory=dict)
    """Manual consumers' requests, and which message each has."""
    reporting: set[int] = attrs.field(factory=set)
    """Messages that are out and have told how far they are."""
    lease_batches: dict[int, LeaseBatch] = attrs.field(factory=dict)
    """By first number: those with leases that end."""
    lease_ends: HeapSet[tuple[int, int]] = attrs.field(factory=HeapSet)
    """(until_us, number) of each single message whose lease ends, (until_us, -first number) of each flight."""
    delayed: HeapSet[tuple[int, int]] = attrs.field(factory=HeapSet)
    """(due_us, number)."""
    expiring: HeapSet[tuple[int, int]] = attrs.field(factory=HeapSet)
    """(expires_us, number) of those that are not out."""
    keys: dict[tuple[str, str], KeyHolder] = attrs.field(factory=dict)
    groups: dict[str, Group] = attrs.field(factory=dict)
    slots: dict[tuple[str, str], KeySlots] = attrs.field(factory=dict)
    quarantined: set[int] = attrs.field(factory=set)
    isolated: dict[str, HeapSet[int]] = attrs.field(factory=dict)
    """By type: the suspects that are ready or out."""
    held_keys: OrderedDict[tuple[str, str], tuple[str, int]] = attrs.field(factory=OrderedDict)
    """Keys held by a window after completion: the id of who had it, and until when."""
    results: OrderedDict[str, ev.ResultKept] = attrs.field(factory=OrderedDict)
    results_bytes: int = 0
    """Of their values and texts."""
    retained: HeapSet[tuple[int, str, str]] = attrs.field(factory=HeapSet)
    """(until_us, id, "") for results and (until_us, type, key) for held keys."""
    paces: dict[str, int] = attrs.field(factory=dict)
    """Type to the time at which its rate allows the next delivery."""
    ticks: dict[str, int] = attrs.field(factory=dict)
    """Schedule to its last tick that is dealt with."""
    dead: OrderedDict[int, Dead] = attrs.field(factory=OrderedDict)
    """By number, the oldest first; the letters themselves are with `dead_letters`. What gives up its oldest at a bound is an
    OrderedDict: a dict finds its first only by passing all that were removed before it."""
    dead_bytes: int = 0
    by_type: dict[str, TypeCounts] = attrs.field(factory=dict)
    late_results: int = 0
    payload_bytes: int = 0

    @property
    def live(self) -> int:
        """Messages that have not ended."""
        return len(self.messages) + self.plain

    @property
    def waiting(self) -> int:
        """Live messages that are not out with a holder."""
        return len(self.messages) + self.plain - len(self.leased)

    def counts(self, type_name: str) -> TypeCounts:
        """Give the counts of a type, made at first use."""
        counts = self.by_type.get(type_name)
        if counts is None:
            counts = self.by_type[type_name] = TypeCounts()
        return counts

    def block_of(self, number: int) -> MessageBlock | None:
        """Give the parcel in which a message is, or was."""
        return self.block_index.get(number)

    def look(self, number: int) -> Message | None:
        """Give a live message; of a plain one a copy, made up for who looks."""
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
        """Give the live message of an id, as `look` does."""
        number = self.ids.get(ident)
        return self.look(number) if number else None

    def out(self) -> Iterator[Message]:
        """Give all messages that are out, as `look` does, in the order they went."""
        for number, held in self.leased.items():
            if isinstance(held, Message):
                yield held
            elif (message := self.look(number)) is not None:
                yield message

    def living(self) -> Iterator[Message]:
        """Give all live messages, as `look` does, in no particular order."""
        yield from self.messages.values()
        for block in self.blocks.values():
            for number in block.numbers:
                if number not in self.messages and (message := self.look(number)) is not None:
                    yield message

    def has_ended(self, number: int, ident: str, attempt: int) -> bool:
        """Tell whether it is remembered that exactly this attempt ended a message."""
        ended = self.finished.get(number)
        if ended is not None:
            return ended == (ident, attempt)
        block = self.block_of(number)
        if block is None or attempt != 1 or number in self.leased or number in self.messages or number in self.dead:
            return False
        i = block.position(number)
        return block.has_left(i) and block.id_of(i) == ident


def is_quarantined(message: Message) -> bool:
    """Tell whether a message may be what kills the process, so that it must run with nothing beside it."""
    return message.crashes >= 2  # noqa: PLR2004 - one crash can be chance; who was there twice is watched
