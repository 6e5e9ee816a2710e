"""The search in the messages that wait or run: how many an expression selects, and which.

It looks in pieces at the messages that were live when it began; one that ends meanwhile is passed over. What is done with those
that are found is in `bulk_acts`; the search in dead letters is in `letter_search`.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

import attrs

from perdure.events.errors import InvalidMessage
from perdure.events.public_names import with_public_names
from perdure.events.queue.searching.expression import search_of
from perdure.events.queue.searching.letter_search import Counted
from perdure.events.queue.searching.plain_payloads import plain_payload
from perdure.events.structures.pieces import in_pieces

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perdure.events.queue.searching.expression import Search
    from perdure.events.queue.state import QueueState
    from perdure.events.structures.message import Message
    from perdure.events.structures.pieces import Look

__all__ = ["CountLive", "FindLive", "counting", "finding", "live_search_of"]


@attrs.frozen
class CountLive:
    """How many messages that wait or run an expression selects; of those up to a number, if one is given."""

    where: str
    upto: int | None = None


@attrs.frozen
class FindLive:
    """Which messages that wait or run an expression selects, of those with numbers above `after` and up to `upto`."""

    where: str
    after: int
    upto: int


def live_search_of(where: str, *, is_on_record: bool = False) -> Search:
    """Return the search of an expression for messages that wait or run. `is_on_record`: see `search_of`.

    Raises:
        InvalidMessage: it cannot be read, or asks for what only the log knows; names the word.
    """
    search = search_of(where, is_on_record=is_on_record)
    for word in search.of_events:
        if word.field != "error":
            msg = (
                f"{word.field}{word.op}{word.value}: of a message that waits or runs, only the errors of its attempts are at hand; "
                "use error~TEXT, or a field of what was published"
            )
            raise InvalidMessage(msg)
    return search


def counting(state: QueueState, asked: CountLive) -> Look[Counted]:
    """Count by type. The `seq` of the answer is the number of the newest message: what is published later is not counted.

    Raises:
        InvalidMessage: see `live_search_of`.
    """
    newest = state.next_number - 1
    upto = newest if asked.upto is None else min(newest, asked.upto)
    by_type: dict[str, int] = {}
    for message in _meant(state, live_search_of(asked.where), 0, upto):
        if message is None:
            yield
        else:
            name = message.published.type
            by_type[name] = by_type.get(name, 0) + 1
    return Counted(asked.where, upto, by_type)


def finding(state: QueueState, asked: FindLive) -> Look[array[int]]:
    """Return the numbers, in ascending order.

    Raises:
        InvalidMessage: see `live_search_of`.
    """
    found = array("q")
    for message in _meant(state, live_search_of(asked.where, is_on_record=True), asked.after, asked.upto):
        if message is None:
            yield
        else:
            found.append(message.number)
    return array("q", sorted(found))


def _meant(state: QueueState, search: Search, after: int, upto: int) -> Iterator[Message | None]:
    """Yield the selected messages, and None where the search pauses."""
    for number in in_pieces(_numbers(state)):
        if number is None:
            yield None
        elif after < number <= upto and (message := state.look(number)) is not None and _is_meant(message, search):
            yield message


def _numbers(state: QueueState) -> Iterator[int]:
    """Yield the numbers of all live messages, each once, and those of ended messages of a block too."""
    alone = state.messages.copy()  # a message that is promoted meanwhile is found in its block
    for block in list(state.blocks.values()):
        yield from (number for number in block.numbers if number not in alone)
    yield from alone


def _is_meant(message: Message, search: Search) -> bool:
    if not search.takes(message.published, plain_payload):
        return False
    errors = [with_public_names(f"{failure.exception}: {failure.message}") for failure in message.failures or ()]
    return all(any(map(word.holds, errors)) for word in search.of_events)
