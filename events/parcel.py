"""Plain messages of one type, kept together: `Parcel`; and those of them that were handed out together: `Flight`.

Nearly all messages have no key, group, time or priority of their own and end at their first attempt. In parcels they cost a
few bytes each, and are folded many at a time. As soon as one of them is special it is singled out (`singling`) and lives on as
a `Message`. Only data lives here; folding changes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import attrs

from perdure.events import vocabulary as ev
from perdure.events.id_index import IdRun

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["PARCEL_BYTES", "PARCEL_MESSAGES", "Flight", "Parcel", "Payloads", "Shelf"]

Payloads: TypeAlias = "list[bytes] | Sequence[bytes]"


class Shelf(Protocol):
    """Where payloads wait that would take too much memory; reading them again is its business."""

    def put(self, payloads: list[bytes]) -> Sequence[bytes]:
        """Take payloads, and give what stands for them. Raises OSError where it cannot."""


PARCEL_MESSAGES = 1000
"""A parcel takes no more messages than this ..."""
PARCEL_BYTES = 1 << 20
"""... and none once its payloads have this size. Both depend on the facts alone, not on how many are folded at a time."""


@attrs.define(eq=False, slots=True)
class Parcel:
    """Plain messages with numbers in a row, from `first` on. Message i of it is number `first + i`."""

    first: int
    type: str
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

    @property
    def end(self) -> int:
        """The number after its last."""
        return self.first + self.n

    @property
    def rank(self) -> int:
        """The number of the first that is still in line."""
        return self.first + self.head

    @property
    def full(self) -> bool:
        """Whether it can take no more."""
        return self.n >= PARCEL_MESSAGES or self.size >= PARCEL_BYTES

    def room(self, payloads: list[bytes]) -> int:
        """Give how many of these fit in."""
        most = min(PARCEL_MESSAGES - self.n, len(payloads))
        size = self.size + sum(map(len, payloads[:most]))
        while most > 1 and size - len(payloads[most - 1]) >= PARCEL_BYTES:
            most -= 1
            size -= len(payloads[most])
        return most

    def add(self, ids: Sequence[str], payloads: list[bytes]) -> None:
        """Put messages at the end."""
        offset, last = self.chunks[-1] if self.chunks else (0, ())
        if isinstance(last, IdRun) and last.goes_on_with(ids):
            self.chunks[-1] = (offset, IdRun(last.prefix, last.start, last.n + len(ids)))
        elif isinstance(ids, IdRun):
            self.chunks.append((self.n, ids))
        elif isinstance(last, list):
            last.extend(ids)
        else:
            self.chunks.append((self.n, list(ids)))
        own: Any = self.payloads  # a list, for as long as it takes more
        own.extend(payloads)
        self.n += len(payloads)
        self.live += len(payloads)
        self.size += sum(map(len, payloads))

    def id_of(self, i: int) -> str:
        """Give a message's id."""
        for offset, ids in reversed(self.chunks):
            if i >= offset:
                return ids[i - offset]
        raise IndexError(i)

    @property
    def is_shelved(self) -> bool:
        """Whether its payloads are not in memory."""
        return not isinstance(self.payloads, list)

    def bytes_of(self, places: Iterable[int]) -> int:
        """Give how many bytes the payloads at these places have together."""
        payloads: Any = self.payloads
        if isinstance(payloads, list):
            return sum([len(payloads[i]) for i in places])
        return sum(map(payloads.length, places))

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

    def in_line(self, count: int, before: int) -> list[range]:
        """Give the first `count` numbers in line that are below `before`, as ranges, leaving them where they are."""
        start, stop = self.head, min(self.n, before - self.first)
        if not self.gone:
            return [range(self.first + start, self.first + min(stop, start + count))] if start < stop else []
        found: list[range] = []
        for hole in (*sorted(self.gone), stop):
            to = min(hole, stop, start + count)
            if start < to:
                found.append(range(self.first + start, self.first + to))
                count -= to - start
            start = hole + 1
            if count <= 0 or start >= stop:
                break
        return found

    def published(self, number: int) -> ev.Published:
        """Give the fact that a message of it was published."""
        i = number - self.first
        return ev.Published(number, self.id_of(i), self.type, self.payloads[i])


@attrs.define(eq=False, slots=True)
class Flight:
    """Plain messages that were handed out together, at their first attempt: what their leases have in common."""

    parcel: Parcel
    until_us: int
    retries: int
    ahead: bool

    attempt = 1
    holder = ""

    def id_of(self, number: int) -> str:
        """Give a message's id."""
        return self.parcel.id_of(number - self.parcel.first)

    def leased(self, number: int) -> ev.Leased:
        """Give the fact that a message of it was handed out."""
        return ev.Leased(number, 1, self.until_us, self.retries, "", self.ahead)
