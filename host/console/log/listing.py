"""Messages by where they are: those that wait, run, are held or delayed, page by page from the folded state.

A page never steps over more than a bounded number of messages; it says where the next one goes on. Ended ones are in `search`.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from perdure.events.structures.message import Message, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from perdure.console.log.walk import Budget
    from perdure.events.queue.state import QueueState

__all__ = ["ORDERED", "PLACES", "SKIPPED_MAX", "by_place"]

PLACES = ("ready", "in flight", "delayed", "held")
ORDERED = ("ready", "delayed")
LOOKED_MAX = 20_000
"""Messages that one page looks at."""
SKIPPED_MAX = 50_000
"""Ready and delayed ones behind so many are not listed: their order is not kept as a list, so a page steps over all before it."""
FIRST_ASKED = 128


def by_place(
    queue: QueueState, place: str, budget: Budget, *, type_name: str, skip: int, most: int, wanted: Callable[[Message], bool]
) -> tuple[list[Message], int]:
    """Return messages in one place, in the order in which they are handled (or due), and how many to skip for the next page.

    That is 0 where there are no more.
    """
    found: list[Message] = []
    looked, end = skip, skip + LOOKED_MAX
    if place in ORDERED:
        end = min(end, SKIPPED_MAX)
    for message in _all(queue, place, type_name, skip, end):
        looked += 1
        if message is not None and (not type_name or message.published.type == type_name) and wanted(message):
            found.append(message)
        if len(found) >= most or (not looked % 64 and budget.is_over):
            return found, looked
    return found, looked if looked - skip >= LOOKED_MAX and (place not in ORDERED or looked < SKIPPED_MAX) else 0


def _all(queue: QueueState, place: str, type_name: str, skip: int, end: int) -> Iterator[Message | None]:
    """Yield what is in one place from `skip` to `end`; None for what has left it meanwhile."""
    match place:
        case "in flight":
            yield from islice(queue.all_out(), skip, end)
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
    """Yield ready messages. Few are asked for at first: most pages need no more, and what is asked for is listed as a whole."""
    passed = 0
    for name in names:
        ready, begin = queue.ready_queues.get(name), passed
        some = max(0, skip - begin) + FIRST_ASKED
        while ready is not None:
            some = min(some, end - begin)
            place = begin
            for turn in ready.first(some):
                numbers = (turn.number,) if isinstance(turn, Message) else turn
                if place + len(numbers) > max(skip, passed):
                    for number in numbers[max(0, skip - place, passed - place) :]:
                        yield queue.look(number)
                place += len(numbers)
            passed = max(passed, place)
            if place - begin < some or place >= end:
                break
            some *= 2
        if passed >= end:
            return
