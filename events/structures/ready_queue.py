"""Ready messages of one type in the order of delivery: by priority, then by rank. Those of newer versions of their type lie apart.

Which of them are delivered, and when, is decided in `queue/leasing`.
"""

from __future__ import annotations

from collections import OrderedDict
from operator import attrgetter
from typing import TYPE_CHECKING, TypeAlias

from perdure.events.structures.heap_set import HeapSet
from perdure.events.structures.message import Message, QueuePart

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perdure.events.structures.message_block import MessageBlock
    from perdure.events.vocabulary import Published

__all__ = ["PriorityLevel", "ReadyQueue", "Turn", "version_of"]

Turn: TypeAlias = "Message | range"
"""What is delivered next: one message, or consecutive numbers of plain messages in one block."""

IN_ORDER, LATE = QueuePart.IN_ORDER, QueuePart.LATE
_rank = attrgetter("rank")


def version_of(published: Published) -> int:
    """Return the version of a message's type that its publisher knew."""
    return 1 if published.extras is None else published.extras.version


class _OneVersion:
    """Ready messages of one type, one priority and one version.

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
        """Return whether there is any message."""
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
        """Remove a message of these."""
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


class PriorityLevel(_OneVersion):
    """Ready messages of one type and one priority.

    Those of a version above 1 lie apart: none of the others has to be searched for behind messages whose version no process knows.
    """

    __slots__ = ("_newer",)

    def __init__(self) -> None:
        super().__init__()
        self._newer: dict[int, _OneVersion] = {}
        """By version."""

    def __bool__(self) -> bool:
        """Return whether there is any message."""
        return bool(self._newer) or super().__bool__()

    def add(self, message: Message) -> None:
        """Add a message that has become ready."""
        if message.published.extras is not None and (version := version_of(message.published)) > 1:
            self._newer.setdefault(version, _OneVersion()).add(message)
        else:
            _OneVersion.add(self, message)  # `super()` takes longer, and each message comes here

    def remove(self, message: Message) -> None:
        """Remove a message of this level."""
        if message.published.extras is not None and (version := version_of(message.published)) > 1:
            self._newer[version].remove(message)
            if not self._newer[version]:
                del self._newer[version]
        else:
            _OneVersion.remove(self, message)  # as in `add`

    def first(self, n: int, version: int = 0) -> list[Turn]:
        """Return the first `n` in order, of up to this version unless it is 0; nothing is changed."""
        found = super().first(n)
        if not self._newer:
            return found
        newer = [level for of, level in self._newer.items() if not version or of <= version]
        return _merged(found, [message for level in newer for message in level.first(n)], n) if newer else found


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


def _merged(turns: list[Turn], others: list[Turn], n: int) -> list[Turn]:
    """Return the first `n` of both; `others` are single messages, in any order."""
    coming = iter(sorted(others, key=_rank))
    comes = next(coming, None)
    found: list[Turn] = []
    for turn in turns:
        rest: Turn = turn
        while isinstance(comes, Message) and comes.rank < (rest.rank if isinstance(rest, Message) else rest[-1]):
            if isinstance(rest, range) and (before := rest[: max(0, comes.rank - rest[0])]):
                found.append(before)
                rest = rest[len(before) :]
            found.append(comes)
            comes = next(coming, None)
        found.append(rest)
    found += [] if comes is None else [comes, *coming]
    return _up_to(found, n)


def _up_to(turns: list[Turn], n: int) -> list[Turn]:
    found: list[Turn] = []
    for turn in turns:
        if n <= 0:
            break
        found.append(turn[:n] if isinstance(turn, range) else turn)
        n -= len(turn) if isinstance(turn, range) else 1
    return found


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

    def first(self, n: int, version: int = 0) -> list[Turn]:
        """Return the first `n` in order, of up to this version unless it is 0; nothing is changed."""
        found: list[Turn] = []
        for priority in self.priorities:
            turns = self.levels[priority].first(n, version)
            found += turns
            n -= sum(1 if isinstance(turn, Message) else len(turn) for turn in turns)
            if n <= 0:
                break
        return found


def _is_past(last: Message | MessageBlock, message: Message) -> bool:
    """Return whether a message comes after `last` and everything that it will ever hold."""
    if isinstance(last, Message):
        return last.rank < message.rank
    return last.sealed and last.end <= message.rank
