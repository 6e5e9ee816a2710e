"""Plain messages of one type, kept together: `MessageBlock`; and those that were leased together: `LeaseBatch`.

Nearly all messages have no key, group, time or priority of their own and end at their first attempt. In blocks they take a
few bytes each, and are folded many at a time. A plain message that becomes special is promoted to a `Message`
(`queue/folding/plain_messages`). Only folds change these classes.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import attrs

from perdure.events import vocabulary as ev
from perdure.events.structures.id_index import IdRun

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["BLOCK_BYTES", "BLOCK_MESSAGES", "LeaseBatch", "MessageBlock", "PayloadSpill", "Payloads"]

Payloads: TypeAlias = "list[bytes] | Sequence[bytes]"


class PayloadSpill(Protocol):
    """Where payloads are put that would take too much memory."""

    @property
    def size(self) -> int:
        """Bytes that it takes on disk, with payloads that are no longer needed."""

    def put(self, payloads: list[bytes]) -> Sequence[bytes]:
        """Store payloads, and return a sequence that reads them. Raises OSError where the disk has no room."""

    def sparse(self, live: Sequence[tuple[Payloads, int]]) -> list[bool]:
        """Return, for each of the stored sequences, whether it lies in a file of which most is no longer needed.

        `live` has all stored sequences, each with the bytes of it that are still needed. Later ones go to other files.
        """


BLOCK_MESSAGES = 1000
"""How many messages a block takes at most."""
BLOCK_BYTES = 1 << 20
"""A block takes no more once its payloads have this size. Where it ends depends on the events alone, not on how they are folded."""


@attrs.define(eq=False, slots=True)
class MessageBlock:
    """Plain messages in the order of their numbers. Messages of other types, or special ones, may have numbers in between."""

    first: int
    type: str
    numbers: range | array[int] = range(0)
    """A range for as long as they are consecutive."""
    payloads: Payloads = attrs.field(factory=list)
    chunks: list[tuple[int, Sequence[str]]] = attrs.field(factory=list)
    """The ids in pieces, each with the position of its first."""
    size: int = 0
    """Bytes of all payloads that were ever added."""
    head: int = 0
    """All messages before this position have left the ready queue."""
    gone: set[int] = attrs.field(factory=set)
    """The positions from `head` on whose messages have left it."""
    live: int = 0
    """How many have not ended and were not promoted."""
    n: int = 0
    sealed: bool = False
    """It takes no more messages."""
    spilled_bytes: int = 0
    """Bytes of live payloads that are on disk."""

    @property
    def end(self) -> int:
        """The number after its last."""
        return self.numbers[-1] + 1 if self.n else self.first

    @property
    def rank(self) -> int:
        """The number of the first message that is still in the ready queue."""
        return self.numbers[self.head]

    @property
    def full(self) -> bool:
        """Whether it can take no more messages."""
        return self.n >= BLOCK_MESSAGES or self.size >= BLOCK_BYTES

    def count_that_fits(self, payloads: list[bytes]) -> int:
        """Return how many of these payloads fit in."""
        most = min(BLOCK_MESSAGES - self.n, len(payloads))
        size = self.size + sum(map(len, payloads[:most]))
        while most > 1 and size - len(payloads[most - 1]) >= BLOCK_BYTES:
            most -= 1
            size -= len(payloads[most])
        return most

    def position(self, number: int) -> int:
        """Return the position of a number; -1 where the number is not in this block."""
        numbers = self.numbers
        if isinstance(numbers, range):
            i = number - self.first
            return i if 0 <= i < self.n else -1
        i = bisect_left(numbers, number)
        return i if i < self.n and numbers[i] == number else -1

    def positions(self, numbers: Iterable[int]) -> list[int]:
        """Return the positions of numbers, all of which are in this block."""
        if isinstance(self.numbers, range):
            first = self.first
            return [number - first for number in numbers]
        return list(map(self.position, numbers))

    def row(self, i: int, most: int) -> int:
        """Return how many numbers from position `i` on are consecutive, up to `most`."""
        numbers = self.numbers
        most = min(most, self.n - i)
        if isinstance(numbers, range) or numbers[i + most - 1] - numbers[i] == most - 1:
            return most
        first = numbers[i]
        return next(k for k in range(1, most) if numbers[i + k] != first + k)

    def add(self, first: int, ids: Sequence[str], payloads: list[bytes], size: int) -> None:
        """Add messages at the end: their numbers count up from `first`, and their payloads have `size` bytes together."""
        offset, last = self.chunks[-1] if self.chunks else (0, ())
        numbers, n = self.numbers, len(payloads)
        in_a_row = not self.n or first == numbers[-1] + 1
        if in_a_row and type(numbers) is range:
            self.numbers = range(self.first, first + n)
        else:
            self._scatter(range(first, first + n))
        if in_a_row and type(last) is IdRun and last.goes_on_with(ids):
            self.chunks[-1] = (offset, IdRun(last.prefix, last.start, last.n + len(ids)))
        elif type(ids) is IdRun:
            self.chunks.append((self.n, ids))
        elif type(last) is list:
            last.extend(ids)
        else:
            self.chunks.append((self.n, list(ids)))
        own: Any = self.payloads  # a list, for as long as it takes more
        own.extend(payloads)
        self.n += n
        self.live += n
        self.size += size

    def _scatter(self, more: range) -> None:
        if isinstance(self.numbers, range):
            self.numbers = array("q", self.numbers)
        self.numbers.extend(more)

    def blank(self, positions: Iterable[int]) -> None:
        """Drop the payloads of messages that have ended or were promoted."""
        payloads = self.payloads
        if isinstance(payloads, list):
            for i in positions:
                payloads[i] = b""

    def id_of(self, i: int) -> str:
        """Return the id of a message."""
        for offset, ids in reversed(self.chunks):
            if i >= offset:
                return ids[i - offset]
        raise IndexError(i)

    @property
    def is_spilled(self) -> bool:
        """Whether its payloads are not in memory."""
        return not isinstance(self.payloads, list)

    def bytes_of(self, positions: Iterable[int]) -> int:
        """Return the bytes of the payloads at these positions."""
        payloads: Any = self.payloads
        if isinstance(payloads, list):
            return sum([len(payloads[i]) for i in positions])
        return sum(map(payloads.length, positions))

    def has_left(self, i: int) -> bool:
        """Return whether a message has left the ready queue."""
        return i < self.head or i in self.gone

    def leave(self, i: int) -> None:
        """Let a message leave the ready queue."""
        if i == self.head:
            self.advance(1)
        else:
            self.gone.add(i)

    def advance(self, count: int) -> None:
        """Let the first `count` messages leave the ready queue, none of which has left, and skip those that left before."""
        head = self.head + count
        while head in self.gone:
            self.gone.discard(head)
            head += 1
        self.head = head

    def in_line(self, count: int) -> Iterable[range]:
        """Return the first `count` numbers in the ready queue as ranges; nothing is changed."""
        if not self.gone and type(self.numbers) is range:
            return (self.numbers[self.head : self.head + count],)
        return self._pieces(count)

    def _pieces(self, count: int) -> Iterator[range]:
        i, gone, numbers = self.head, self.gone, self.numbers
        while count > 0 and i < self.n:
            n = self.row(i, count)
            if gone:
                n = next((k for k in range(n) if i + k in gone), n)
            if n:
                yield range(numbers[i], numbers[i] + n)
                count -= n
            i += n or 1

    def published(self, number: int) -> ev.Published:
        """Return the event by which a message was published."""
        i = self.position(number)
        return ev.Published(number, self.id_of(i), self.type, self.payloads[i])


@attrs.define(eq=False, slots=True)
class LeaseBatch:
    """Plain messages that were leased together for their first attempt, and what their leases have in common."""

    block: MessageBlock
    until_us: int
    retries: int
    prefetched: bool
    numbers: Sequence[int] = ()
    """All that were leased together; some may have ended or been promoted."""
    out: int = 0
    """How many are still out under this batch."""

    attempt = 1
    uncounted = 0
    holder = ""

    def id_of(self, number: int) -> str:
        """Return the id of a message."""
        return self.block.id_of(self.block.position(number))

    def leased(self, number: int) -> ev.Leased:
        """Return the event by which a message was leased."""
        return ev.Leased(number, 1, self.until_us, self.retries, "", self.prefetched)
