"""Messages by where they are: those that wait, run, are held or delayed, page by page from the folded state.

A page never passes over more than a bounded number of messages; it says where the next one goes on. Ended ones are in `search`.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from perdure.events.structures.message import Message, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from perdure.console.log.walk import Budget
    from perdure.events.queue.state import QueueState

__all__ = ["PLACES", "by_place"]

PLACES = ("ready", "in flight", "delayed", "held")
LOOKED_MAX = 20_000
"""Messages that one page looks at."""


def by_place(
    queue: QueueState, place: str, budget: Budget, *, type_name: str, skip: int, most: int, wanted: Callable[[Message], bool]
) -> tuple[list[Message], int]:
    """Return messages in one place, in the order in which they are handled (or due), and how many to skip for the next page.

    That is 0 where there are no more.
    """
    found: list[Message] = []
    looked = skip
    for message in _all(queue, place, type_name, skip, skip + LOOKED_MAX):
        looked += 1
        if message is not None and (not type_name or message.published.type == type_name) and wanted(message):
            found.append(message)
        if len(found) >= most or (not looked % 64 and budget.is_over):
            return found, looked
    return found, looked if looked - skip >= LOOKED_MAX else 0


def _all(queue: QueueState, place: str, type_name: str, skip: int, end: int) -> Iterator[Message | None]:
    """Yield what is in one place from `skip` to `end`; None for what has left it meanwhile."""
    match place:
        case "in flight":
            yield from islice(queue.out(), skip, end)
        case "delayed":
            for _, number in islice(queue.delayed.ascending(), skip, end):
                yield queue.look(number)
        case "held":
            # Held ones have no order of their own: each step counts one message, whatever its status is.
            for message in islice(queue.messages.values(), skip, end):
                yield message if message.status is Status.HELD else None
        case _:
            yield from _ready(queue, [type_name] if type_name else sorted(queue.ready_queues), skip, end)


def _ready(queue: QueueState, names: list[str], skip: int, end: int) -> Iterator[Message | None]:
    passed = 0
    for name in names:
        ready = queue.ready_queues.get(name)
        for turn in ready.first(end - passed) if ready is not None else ():
            numbers = (turn.number,) if isinstance(turn, Message) else turn
            if passed + len(numbers) > skip:
                for number in numbers[max(0, skip - passed) :]:
                    yield queue.look(number)
            passed += len(numbers)
        if passed >= end:
            return
