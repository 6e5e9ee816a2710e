"""Ready messages of one type in the order they are due to leave: by priority, then by rank.

A data structure only: which message may leave when is a rule (`queue_rules`).
"""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush, merge
from typing import TYPE_CHECKING

from perdure.events.message import Message, Status, Where

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Lane", "Line"]


READY, ORDERLY = Status.READY, Where.ORDERLY


class Lane:
    """Ready messages of one type and one priority.

    Nearly all arrive in order and go to the end of a deque; the few that come back (retries, replays) go to a heap. What
    leaves from the middle stays behind as a husk and is dropped when it reaches the front.
    """

    __slots__ = ("in_late", "late", "orderly")

    def __init__(self) -> None:
        self.orderly: deque[Message] = deque()
        self.late: list[tuple[int, int, Message]] = []
        self.in_late: set[int] = set()

    def add(self, message: Message) -> None:
        """Put a message that has become ready in its place."""
        orderly = self.orderly
        if not orderly or orderly[-1].rank < message.rank:
            message.where = Where.ORDERLY
            orderly.append(message)
            return
        message.where = Where.LATE
        # Its husk may still lie in the heap: then that entry counts again, and a second one would count twice.
        if message.number not in self.in_late:
            self.in_late.add(message.number)
            heappush(self.late, (message.rank, message.number, message))

    def trim(self) -> None:
        """Drop husks from the front."""
        orderly, late = self.orderly, self.late
        while orderly and not _is_orderly(orderly[0]):
            orderly.popleft()
        while late and not _is_late(late[0][2]):
            self.in_late.discard(heappop(late)[1])

    def first(self, n: int) -> list[Message]:
        """Give the first `n` in order, leaving them where they are."""
        if not self.late:
            found: list[Message] = []
            for message in self.orderly:  # husks and all: written out, as this is where all deliveries come by
                if message.status is READY and message.where is ORDERLY:
                    found.append(message)
                    if len(found) >= n:
                        break
            return found if n > 0 else []
        late = filter(_is_late, _ascending(self.late))
        return list(_take(merge(filter(_is_orderly, self.orderly), late, key=_rank), n))


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

    def trim(self, message: Message) -> None:
        """Tidy up after `message` left the line."""
        message.where = Where.NOWHERE
        lane = self.lanes.get(message.published.priority)
        if lane is None:
            return  # another that left with it was the last of its priority
        lane.trim()
        if not lane.orderly and not lane.late and len(self.priorities) > 1:
            del self.lanes[message.published.priority]
            self.priorities.remove(message.published.priority)

    def first(self, n: int) -> list[Message]:
        """Give the first `n` in order, leaving them where they are."""
        found: list[Message] = []
        for priority in self.priorities:
            found += self.lanes[priority].first(n - len(found))
            if len(found) >= n:
                break
        return found


def _ascending(heap: list[tuple[int, int, Message]]) -> Iterator[Message]:
    """Walk a heap in order without changing it; the first n cost O(n log n), however large it is."""
    frontier = [(heap[0][:2], 0)] if heap else []
    while frontier:
        _, i = heappop(frontier)
        yield heap[i][2]
        for child in (2 * i + 1, 2 * i + 2):
            if child < len(heap):
                heappush(frontier, (heap[child][:2], child))


def _rank(message: Message) -> tuple[int, int]:
    return message.rank, message.number


def _is_orderly(message: Message) -> bool:
    return message.status is Status.READY and message.where is Where.ORDERLY


def _is_late(message: Message) -> bool:
    return message.status is Status.READY and message.where is Where.LATE


def _take(messages: Iterator[Message], n: int) -> Iterator[Message]:
    for _ in range(n):
        message = next(messages, None)
        if message is None:
            return
        yield message
