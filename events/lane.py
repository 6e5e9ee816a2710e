"""Ready messages of one type in the order they are due to leave: by priority, then by rank.

A data structure only: which message may leave when is a rule (`queue_rules`).
"""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from typing import TYPE_CHECKING, TypeAlias

from perdure.events.message import Message, Status, Where

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perdure.events.parcel import Parcel

__all__ = ["Lane", "Line", "Turn"]

Turn: TypeAlias = "Message | range"
"""Who is next: one message, or the numbers of plain messages that follow each other in one parcel."""

READY, ORDERLY, LATE = Status.READY, Where.ORDERLY, Where.LATE
LAST = 1 << 62


class Lane:
    """Ready messages of one type and one priority.

    Nearly all arrive in order and go to the end of a deque, plain ones in parcels; the few that come back (retries, replays) go
    to a heap. What leaves from the middle stays behind as a husk and is dropped when it reaches the front.
    """

    __slots__ = ("in_late", "late", "orderly", "put")

    def __init__(self) -> None:
        self.orderly: deque[Message | Parcel] = deque()
        self.late: list[tuple[int, int, int, Message]] = []
        """Rank, number, and the count of what was ever put here, so that no two messages are compared."""
        self.in_late: dict[int, Message] = {}
        self.put = 0

    def add(self, message: Message) -> None:
        """Put a message that has become ready in its place."""
        orderly = self.orderly
        if not orderly or _last_rank(orderly[-1]) < message.rank:
            message.where = ORDERLY
            orderly.append(message)
            return
        message.where = LATE
        # Its husk may still lie in the heap: then that entry counts again, and a second one would count twice. Not so the husk
        # that a dead letter left, which comes back from its burial as another object.
        if self.in_late.get(message.number) is not message:
            self.in_late[message.number] = message
            self.put += 1
            heappush(self.late, (message.rank, message.number, self.put, message))

    def add_parcel(self, parcel: Parcel) -> None:
        """Let a parcel stand at the end, where it does not yet: what is new in it was published last."""
        if not self.orderly or self.orderly[-1] is not parcel:
            self.orderly.append(parcel)

    def trim(self) -> None:
        """Drop husks from the front."""
        orderly, late = self.orderly, self.late
        while orderly and not _stands(orderly[0]):
            orderly.popleft()
        while late and not _is_late(late[0][3]):
            husk = heappop(late)[3]
            if self.in_late.get(husk.number) is husk:
                del self.in_late[husk.number]

    def first(self, n: int) -> list[Turn]:
        """Give the first `n` in order, leaving them where they are."""
        found: list[Turn] = []
        late = filter(_is_late, _ascending(self.late)) if self.late else iter(())
        comes = next(late, None)
        for item in self.orderly:
            if not _stands(item):
                continue
            while n > 0 and comes is not None and comes.rank < item.rank:
                found.append(comes)
                n -= 1
                comes = next(late, None)
            if isinstance(item, Message):
                if n > 0:
                    found.append(item)
                    n -= 1
            else:
                n, comes = _from_parcel(item, n, comes, late, found)
            if n <= 0:
                return found
        while n > 0 and comes is not None:
            found.append(comes)
            n -= 1
            comes = next(late, None)
        return found


def _from_parcel(
    parcel: Parcel, n: int, comes: Message | None, late: Iterator[Message], found: list[Turn]
) -> tuple[int, Message | None]:
    """Take up to `n` from a parcel, and those that come late and whose place is among them."""
    for numbers in parcel.in_line(n, LAST):
        rest = numbers
        while comes is not None and rest and comes.rank < rest[-1] and n > 0:
            ahead = rest[: max(0, comes.rank - rest[0])][:n]
            if ahead:
                found.append(ahead)
                n -= len(ahead)
                rest = rest[len(ahead) :]
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


class Line:
    """Ready messages of one type: a lane for each priority in use, highest first."""

    __slots__ = ("lanes", "priorities")

    def __init__(self) -> None:
        self.lanes: dict[int, Lane] = {}
        self.priorities: list[int] = []

    def add(self, message: Message) -> None:
        """Put a message that has become ready in its place."""
        self.lane(message.published.priority).add(message)

    def lane(self, priority: int) -> Lane:
        """Give the lane of a priority, made at first use."""
        lane = self.lanes.get(priority)
        if lane is None:
            lane = self.lanes[priority] = Lane()
            self.priorities = sorted(self.lanes, reverse=True)
        return lane

    def leave(self, message: Message) -> None:
        """Tidy up after `message` left the line."""
        message.where = Where.NOWHERE
        self.trim(message.published.priority)

    def trim(self, priority: int) -> None:
        """Tidy up after something left the lane of a priority."""
        lane = self.lanes.get(priority)
        if lane is None:
            return  # another that left with it was the last of its priority
        lane.trim()
        if not lane.orderly and not lane.late and len(self.priorities) > 1:
            del self.lanes[priority]
            self.priorities.remove(priority)

    def first(self, n: int) -> list[Turn]:
        """Give the first `n` in order, leaving them where they are."""
        found: list[Turn] = []
        for priority in self.priorities:
            turns = self.lanes[priority].first(n)
            found += turns
            n -= sum(1 if isinstance(turn, Message) else len(turn) for turn in turns)
            if n <= 0:
                break
        return found


def _ascending(heap: list[tuple[int, int, int, Message]]) -> Iterator[Message]:
    """Walk a heap in order without changing it; the first n cost O(n log n), however large it is."""
    frontier = [(heap[0][:2], 0)] if heap else []
    while frontier:
        _, i = heappop(frontier)
        yield heap[i][3]
        for child in (2 * i + 1, 2 * i + 2):
            if child < len(heap):
                heappush(frontier, (heap[child][:2], child))


def _last_rank(item: Message | Parcel) -> int:
    return item.rank if isinstance(item, Message) else item.end - 1


def _stands(item: Message | Parcel) -> bool:
    if isinstance(item, Message):
        return item.status is READY and item.where is ORDERLY
    return item.head < item.n


def _is_late(message: Message) -> bool:
    return message.status is READY and message.where is LATE
