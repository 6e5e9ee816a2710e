"""The search in the dead letters: which are selected, how many, the next of them, and their counts.

What a dead letter is, and the fold that keeps them, is in `dead_letters`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import attrs

from perdure.events.errors import UnknownMessage
from perdure.events.public_names import with_public_names
from perdure.events.queue.dead_letters import DeadLettersState, Letter, full_reason, letter_bytes
from perdure.events.queue.searching.expression import search_of
from perdure.events.queue.searching.plain_payloads import plain_payload
from perdure.events.structures.pieces import in_pieces, whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perdure.events.structures.pieces import Look

__all__ = [
    "CountLetters",
    "Counted",
    "LettersOf",
    "NextLetters",
    "Portion",
    "Selection",
    "Stats",
    "count",
    "counting",
    "letters_of",
    "next_letters",
    "select",
    "selecting",
    "stats",
]


@attrs.frozen
class Selection:
    """Which dead letters are meant: those for which all given conditions hold."""

    id: str | None = None
    type: str | None = None
    reason: str | None = None
    """Text found anywhere in the reason or the exception's type or message; upper and lower case are equal."""
    before_us: int | None = None
    older_than: int | None = None
    """Only dead letters older than the one of this number."""
    limit: int | None = None
    where: str | None = None
    """An expression; see `expression`."""


@attrs.frozen
class LettersOf:
    """Which dead letters are meant: those of these numbers."""

    numbers: list[int]


def letters_of(state: DeadLettersState, asked: LettersOf) -> list[Letter | None]:
    """Return the dead letter of each number; None where it is gone."""
    return [state.letters.get(number) for number in asked.numbers]


def select(state: DeadLettersState, selection: Selection) -> list[Letter]:
    """Return the selected dead letters, newest first; see `selecting`."""
    return whole(selecting(state, selection))


def selecting(state: DeadLettersState, selection: Selection) -> Look[list[Letter]]:
    """Select dead letters in pieces, newest first, of those that exist from its beginning to its end.

    One that is added meanwhile is left out; one that is removed meanwhile may be among them.

    Raises:
        UnknownMessage: the dead letter `older_than` no longer exists; without this error, a pager would get the first page again.
    """
    if selection.older_than is not None and selection.older_than not in state.letters:
        msg = f"dead letter {selection.older_than} is no longer there, it was replayed or purged; begin again with the first page."
        raise UnknownMessage(msg)
    found: list[Letter] = []
    search = None if selection.where is None else search_of(selection.where)
    for letter in in_pieces(_candidates(state, selection)):
        if letter is None:
            yield
            continue
        if selection.limit is not None and len(found) >= selection.limit:
            break
        if _is_meant(letter, selection) and (search is None or search.means(letter.event, plain_payload)):
            found.append(letter)
    return found


def _candidates(state: DeadLettersState, selection: Selection) -> Iterator[Letter]:
    if selection.id is not None:
        number = state.by_id.get(selection.id)
        return iter(() if number is None else (state.letters[number],))
    among = state.in_order if selection.type is None else state.by_type.get(selection.type)
    if among is None:
        return iter(())
    below = state.deaths + 1 if selection.older_than is None else state.letters[selection.older_than].place
    return among.newest_first(below=below, before_us=selection.before_us)


def _is_meant(letter: Letter, selection: Selection) -> bool:
    event = letter.event
    if selection.type is not None and event.published.type != selection.type:
        return False
    if selection.before_us is not None and letter.failed_us >= selection.before_us:
        return False
    if selection.reason is None:
        return True
    recorded = f"{full_reason(event)}\n{event.reason}\n{event.exception}\n{event.message}"
    wanted = selection.reason.casefold()
    return wanted in recorded.casefold() or wanted in with_public_names(recorded).casefold()


@attrs.frozen
class CountLetters:
    """How many dead letters an expression selects; of those up to a sequence number, if one is given."""

    where: str
    upto: int | None = None


@attrs.frozen
class Counted:
    """How many dead letters an expression selects, by type, and up to which sequence number they were counted."""

    where: str
    seq: int
    by_type: dict[str, int]


def count(state: DeadLettersState, asked: CountLetters, seq: int) -> Counted:
    """Count the dead letters that an expression selects; see `counting`."""
    return whole(counting(state, asked, seq))


def counting(state: DeadLettersState, asked: CountLetters, seq: int) -> Look[Counted]:
    """Count in pieces the dead letters that an expression selects. `seq`: up to which event the state is folded when it begins.

    Raises:
        InvalidMessage: the expression cannot be read.
    """
    search, by_type = search_of(asked.where), dict[str, int]()
    for letter in in_pieces(list(state.letters.values())):
        if letter is None:
            yield
            continue
        if asked.upto is not None and letter.seq > asked.upto:
            break
        if search.means(letter.event, plain_payload):
            name = letter.event.published.type
            by_type[name] = by_type.get(name, 0) + 1
    return Counted(asked.where, seq if asked.upto is None else min(seq, asked.upto), by_type)


@attrs.frozen
class NextLetters:
    """The next dead letters that an expression selects, of those that died after `after` and up to `upto`."""

    where: str
    after: int
    upto: int
    most: int
    bytes_max: int
    looks_max: int


class Portion(NamedTuple):
    """Letters, the oldest first."""

    letters: list[Letter]
    upto: int
    """The sequence number up to which letters were looked at."""
    is_last: bool


def next_letters(state: DeadLettersState, asked: NextLetters) -> Portion:
    """Return the next letters, within the bounds on their number, their bytes (unless it is one) and the letters looked at."""
    search = search_of(asked.where, is_on_record=True)
    found: list[Letter] = []
    at, size = asked.after, 0
    for looks, letter in enumerate(state.in_order.oldest_first(after_seq=asked.after), 1):
        if letter.seq > asked.upto:
            break
        if search.means(letter.event, plain_payload):
            more = letter_bytes(letter.event)
            if found and (len(found) >= asked.most or size + more > asked.bytes_max):
                return Portion(found, at, is_last=False)
            found.append(letter)
            size += more
        at = letter.seq
        if looks >= asked.looks_max:
            return Portion(found, at, is_last=False)
    return Portion(found, asked.upto, is_last=True)


@attrs.frozen
class Stats:
    """How many dead letters there are, by type and reason, and since when."""

    total: int
    by_type: dict[str, int]
    by_reason: dict[str, int]
    oldest_us: int | None
    newest_us: int | None


def stats(state: DeadLettersState) -> Stats:
    """Return the counts by type and by reason, which the state keeps."""
    by_reason: dict[str, int] = {}
    for recorded, times in state.by_reason.items():
        reason = with_public_names(recorded)
        by_reason[reason] = by_reason.get(reason, 0) + times
    by_type = {name: len(of_type) for name, of_type in state.by_type.items()}
    return Stats(len(state.letters), by_type, by_reason, state.in_order.oldest_us, state.in_order.newest_us)
