"""Ready messages of one type in the order of delivery: by priority, then by rank.

Which of them are delivered, and when, is decided in `queue/leasing`.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, TypeAlias

from perdure.events.structures.heap_set import HeapSet
from perdure.events.structures.message import Message, QueuePart

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perdure.events.structures.message_block import MessageBlock

__all__ = ["PriorityLevel", "ReadyQueue", "Turn"]

Turn: TypeAlias = "Message | range"
"""What is delivered next: one message, or consecutive numbers of plain messages in one block."""

IN_ORDER, LATE = QueuePart.IN_ORDER, QueuePart.LATE


class PriorityLevel:
    """Ready messages of one type and one priority.

    Nearly all arrive in order and are added at the end, plain ones in blocks. The few that come back (retries, replays), or come
    between two of a block, go to a heap. A message can leave from anywhere.
    """

    __slots__ = ("_in_late", "_late", "_orderly")

    def __init__(self) -> None:
        self._orderly: OrderedDict[int, Message | MessageBlock] = OrderedDict()
        """By number; blocks by their negative first number, as that number may also stand for a promoted message."""
        self._late: HeapSet[tuple[int, int]] = HeapSet()
        """(rank, number)."""
        self._in_late: dict[int, Message] = {}

    def __bool__(self) -> bool:
        """Tell whether there is any message."""
        return bool(self._orderly) or bool(self._in_late)

    def add(self, message: Message) -> None:
        """Add a message that has become ready."""
        last = self._last()
        if last is None or _is_past(last, message):
            message.queue_part = IN_ORDER
            self._orderly[message.number] = message
            return
        message.queue_part = LATE
        self._in_late[message.number] = message
        self._late.add((message.rank, message.number))

    def _last(self) -> Message | MessageBlock | None:
        return next(reversed(self._orderly.values())) if self._orderly else None

    def add_block(self, block: MessageBlock) -> None:
        """Add a block at the end, unless it is there: its new messages were published last."""
        self._orderly[-block.first] = block

    def remove(self, message: Message) -> None:
        """Remove a message of this level."""
        if message.queue_part is IN_ORDER:
            del self._orderly[message.number]
        else:
            del self._in_late[message.number]
            self._late.discard((message.rank, message.number))
        message.queue_part = QueuePart.NONE

    def trim(self, block: MessageBlock) -> None:
        """Remove a block without ready messages."""
        if block.head >= block.n:
            self._orderly.pop(-block.first, None)

    def first(self, n: int) -> list[Turn]:
        """Return the first `n` in order; nothing is changed."""
        found: list[Turn] = []
        late: Iterator[Message] = iter(())
        if self._in_late:
            late = (self._in_late[number] for _, number in self._late.ascending())
        comes = next(late, None)
        for item in self._orderly.values():
            while n > 0 and comes is not None and comes.rank < item.rank:
                found.append(comes)
                n -= 1
                comes = next(late, None)
            if isinstance(item, Message):
                if n > 0:
                    found.append(item)
                    n -= 1
            else:
                n, comes = _from_block(item, n, comes, late, found)
            if n <= 0:
                return found
        while n > 0 and comes is not None:
            found.append(comes)
            n -= 1
            comes = next(late, None)
        return found


def _from_block(
    block: MessageBlock, n: int, comes: Message | None, late: Iterator[Message], found: list[Turn]
) -> tuple[int, Message | None]:
    """Add up to `n` messages of a block to `found`, with late ones among them; return the rest of `n` and the next late one."""
    for numbers in block.in_line(n):
        rest = numbers
        while comes is not None and rest and comes.rank < rest[-1] and n > 0:
            before = rest[: max(0, comes.rank - rest[0])][:n]
            if before:
                found.append(before)
                n -= len(before)
                rest = rest[len(before) :]
            if n > 0:
                found.append(comes)
                n -= 1
                comes = next(late, None)
        if rest and n > 0:
            found.append(rest[:n])
            n -= len(rest[:n])
        if n <= 0:
            break
    return n, comes


class ReadyQueue:
    """Ready messages of one type: a level for each priority in use, highest first."""

    __slots__ = ("levels", "priorities")

    def __init__(self) -> None:
        self.levels: dict[int, PriorityLevel] = {}
        self.priorities: list[int] = []

    def add(self, message: Message) -> None:
        """Add a message that has become ready."""
        self.level(message.published.priority).add(message)

    def level(self, priority: int) -> PriorityLevel:
        """Return the level of a priority, created at first use."""
        level = self.levels.get(priority)
        if level is None:
            level = self.levels[priority] = PriorityLevel()
            self.priorities = sorted(self.levels, reverse=True)
        return level

    def remove(self, message: Message) -> None:
        """Remove a message, if it is in the queue."""
        if message.queue_part:
            priority = message.published.priority
            self.levels[priority].remove(message)
            self._tidy(priority)

    def trim(self, block: MessageBlock) -> None:
        """Remove a block without ready messages."""
        level = self.levels.get(0)
        if level is not None:
            level.trim(block)
            if len(self.priorities) > 1:
                self._tidy(0)

    def _tidy(self, priority: int) -> None:
        if not self.levels[priority] and len(self.priorities) > 1:
            del self.levels[priority]
            self.priorities.remove(priority)

    def first(self, n: int) -> list[Turn]:
        """Return the first `n` in order; nothing is changed."""
        found: list[Turn] = []
        for priority in self.priorities:
            turns = self.levels[priority].first(n)
            found += turns
            n -= sum(1 if isinstance(turn, Message) else len(turn) for turn in turns)
            if n <= 0:
                break
        return found


def _is_past(last: Message | MessageBlock, message: Message) -> bool:
    """Tell whether a message comes after `last` and everything that it will ever hold."""
    if isinstance(last, Message):
        return last.rank < message.rank
    return last.sealed and last.end <= message.rank
