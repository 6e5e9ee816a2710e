"""Messages by where they are: those that wait, run, are held or delayed, page by page from the folded state.

A page never passes over more than a bounded number of messages; it says where the next one goes on. Ended ones are in `search`.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from perdure.events.structures.message import Message, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from perdure.events.queue.state import QueueState

__all__ = ["PLACES", "by_place"]

PLACES = ("ready", "in flight", "delayed", "held")
LOOKED_MAX = 20_000
"""Messages that one page looks at."""


def by_place(
    queue: QueueState, place: str, *, type_name: str, skip: int, most: int, wanted: Callable[[Message], bool]
) -> tuple[list[Message], int]:
    """Return messages in one place, in the order in which they are handled (or due), and how many to skip for the next page.

    That is 0 where there are no more.
    """
    found: list[Message] = []
    looked = skip
    for message in islice(_all(queue, place, type_name, skip + LOOKED_MAX), skip, None):
        looked += 1
        if (not type_name or message.published.type == type_name) and wanted(message):
            found.append(message)
            if len(found) >= most:
                return found, looked
    return found, looked if looked - skip >= LOOKED_MAX else 0


def _all(queue: QueueState, place: str, type_name: str, most: int) -> Iterator[Message]:
    match place:
        case "in flight":
            yield from queue.out()
        case "delayed":
            for _, number in queue.delayed.ascending():
                yield from _look(queue, number)
        case "held":
            for message in queue.messages.values():
                if message.status is Status.HELD:
                    yield message
        case _:
            names = [type_name] if type_name else sorted(queue.ready_queues)
            for name in names:
                ready = queue.ready_queues.get(name)
                for turn in ready.first(most) if ready is not None else ():
                    if isinstance(turn, Message):
                        yield turn
                    else:
                        for number in turn:
                            yield from _look(queue, number)


def _look(queue: QueueState, number: int) -> Iterator[Message]:
    message = queue.look(number)
    if message is not None:
        yield message
