"""Plain messages of one type, kept together: `MessageBlock`; and those of them that were handed out together: `LeaseBatch`.

Nearly all messages have no key, group, time or priority of their own and end at their first attempt. In parcels they cost a
few bytes each, and are folded many at a time. As soon as one of them is special it is singled out (`singling`) and lives on as
a `Message`. Only data lives here; folding changes it.
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
    """Where payloads wait that would take too much memory; reading them again is its business."""

    @property
    def size(self) -> int:
        """Bytes that it takes up on the disk, with what is no longer needed and lies beside what is."""

    def put(self, payloads: list[bytes]) -> Sequence[bytes]:
        """Take payloads, and give what stands for them. Raises OSError where it cannot."""

    def sparse(self, live: Sequence[tuple[Payloads, int]]) -> list[bool]:
        """Tell which of all that was put, each with the bytes of it still needed, lie where most is not.

        What is put later lies elsewhere.
        """


BLOCK_MESSAGES = 1000
"""A parcel takes no more messages than this ..."""
BLOCK_BYTES = 1 << 20
"""... and none once its payloads have this size. Both depend on the facts alone, not on how many are folded at a time."""


@attrs.define(eq=False, slots=True)
class MessageBlock:
    """Plain messages in the order of their numbers: those of other types, or that are not plain, may have numbers in between."""

    first: int
    type: str
    numbers: range | array[int] = range(0)
    """A range for as long as they are in a row."""
    payloads: Payloads = attrs.field(factory=list)
    chunks: list[tuple[int, Sequence[str]]] = attrs.field(factory=list)
    """The ids: pieces of the row, each with the place of its first."""
    size: int = 0
    """Bytes of all payloads that were ever in it."""
    head: int = 0
    """All before this place have left the line ..."""
    gone: set[int] = attrs.field(factory=set)
    """... and of those behind it, these."""
    live: int = 0
    """How many have not ended and were not singled out."""
    n: int = 0
    sealed: bool = False
    """It takes no more."""
    spilled_bytes: int = 0
    """Bytes of live payloads that are on the shelf."""

    @property
    def end(self) -> int:
        """The number after its last."""
        return self.numbers[-1] + 1 if self.n else self.first

    @property
    def rank(self) -> int:
        """The number of the first that is still in line."""
        return self.numbers[self.head]

    @property
    def full(self) -> bool:
        """Whether it can take no more."""
        return self.n >= BLOCK_MESSAGES or self.size >= BLOCK_BYTES

    def room(self, payloads: list[bytes]) -> int:
        """Give how many of these fit in."""
        most = min(BLOCK_MESSAGES - self.n, len(payloads))
        size = self.size + sum(map(len, payloads[:most]))
        while most > 1 and size - len(payloads[most - 1]) >= BLOCK_BYTES:
            most -= 1
            size -= len(payloads[most])
        return most

    def position(self, number: int) -> int:
        """Give the place of a number; -1 where it is none of this parcel's."""
        numbers = self.numbers
        if isinstance(numbers, range):
            i = number - self.first
            return i if 0 <= i < self.n else -1
        i = bisect_left(numbers, number)
        return i if i < self.n and numbers[i] == number else -1

    def positions(self, numbers: Iterable[int]) -> list[int]:
        """Give the places of numbers that are all of this parcel."""
        if isinstance(self.numbers, range):
            first = self.first
            return [number - first for number in numbers]
        return list(map(self.position, numbers))

    def row(self, i: int, most: int) -> int:
        """Give how many numbers from place `i` on are in a row, up to `most`."""
        numbers = self.numbers
        most = min(most, self.n - i)
        if isinstance(numbers, range) or numbers[i + most - 1] - numbers[i] == most - 1:
            return most
        first = numbers[i]
        return next(k for k in range(1, most) if numbers[i + k] != first + k)

    def add(self, first: int, ids: Sequence[str], payloads: list[bytes], size: int) -> None:
        """Put messages at the end, whose numbers are in a row from `first` on, and whose payloads have this size together."""
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
        """Let go the payloads of messages that have ended or are no longer this parcel's."""
        payloads = self.payloads
        if isinstance(payloads, list):
            for i in positions:
                payloads[i] = b""

    def id_of(self, i: int) -> str:
        """Give a message's id."""
        for offset, ids in reversed(self.chunks):
            if i >= offset:
                return ids[i - offset]
        raise IndexError(i)

    @property
    def is_spilled(self) -> bool:
        """Whether its payloads are not in memory."""
        return not isinstance(self.payloads, list)

    def bytes_of(self, positions: Iterable[int]) -> int:
        """Give how many bytes the payloads at these places have together."""
        payloads: Any = self.payloads
        if isinstance(payloads, list):
            return sum([len(payloads[i]) for i in positions])
        return sum(map(payloads.length, positions))

    def has_left(self, i: int) -> bool:
        """Tell whether a message is no longer in line."""
        return i < self.head or i in self.gone

    def leave(self, i: int) -> None:
        """Take a message out of line."""
        if i == self.head:
            self.advance(1)
        else:
            self.gone.add(i)

    def advance(self, count: int) -> None:
        """Take the first `count` out of line (none of which has left), and skip those that have left before."""
        head = self.head + count
        while head in self.gone:
            self.gone.discard(head)
            head += 1
        self.head = head

    def in_line(self, count: int) -> Iterable[range]:
        """Give the first `count` numbers in line as ranges, leaving them where they are."""
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
        """Give the fact that a message of it was published."""
        i = self.position(number)
        return ev.Published(number, self.id_of(i), self.type, self.payloads[i])


@attrs.define(eq=False, slots=True)
class LeaseBatch:
    """Plain messages that were handed out together, at their first attempt: what their leases have in common."""

    block: MessageBlock
    until_us: int
    retries: int
    prefetched: bool
    numbers: Sequence[int] = ()
    """All that were handed out; some may be back, or have ended."""
    out: int = 0
    """How many are still out as they went."""

    attempt = 1
    holder = ""

    def id_of(self, number: int) -> str:
        """Give a message's id."""
        return self.block.id_of(self.block.position(number))

    def leased(self, number: int) -> ev.Leased:
        """Give the fact that a message of it was handed out."""
        return ev.Leased(number, 1, self.until_us, self.retries, "", self.prefetched)
