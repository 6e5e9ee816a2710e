"""A small language that selects messages by what they are and what happened to them: `type=Order key=7 error~timeout`.

Pure: a text becomes a `Search`. A search decides from the publication of a message and its later events whether the message is
selected; for a dead letter, from that alone. `perdure search`, bulk acts and the console use this one language. The log is read
in `perdure.operations.reading.search`.

    EXPR      words, all of which must hold
    word      FIELD OP VALUE
    FIELD     id, type, key, group, subject, correlation, causation, priority, error, reason, event, header.NAME, payload.PATH
    OP        =  equals       !=  differs       ~  contains, in any case       >  <  greater, smaller (numbers)
    VALUE     a word, or "several words" in quotes

Conditions on what happened to a message (error, reason, event) use = or ~.

`event=DeadLettered` selects messages with such an event, `error~timeout` those of which an attempt failed with such an error.
`payload.customer.id=7` follows names (and numbers, in lists) into the payload as plain data.
"""

from __future__ import annotations

import math
import re
import shlex
from typing import TYPE_CHECKING, Any

import attrs

from perdure.events.errors import InvalidMessage
from perdure.events.public_names import with_public_names
from perdure.events.seconds import shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.events import vocabulary as ev

__all__ = ["ENDS", "FIELDS", "Search", "Word", "is_expression", "search_of", "type_meant"]

WORD = re.compile(r"(?P<field>[a-z]+)(?P<path>\.[^=!~<>]+)?(?P<op>!=|=|~|>|<)(?P<value>.*)", re.DOTALL)
IN_QUOTES = re.compile(r"""[^"'=!~<>]+(?:!=|=|~|>|<)("[^"]*"|'[^']*')""", re.DOTALL)
"""A condition whose whole value is in quotes."""
PUBLISHED: dict[str, Callable[[ev.Published], object]] = {
    "id": lambda p: p.id,
    "type": lambda p: p.type,
    "key": lambda p: p.key,
    "group": lambda p: p.group,
    "subject": lambda p: p.subject,
    "correlation": lambda p: p.correlation_id or p.id,
    "causation": lambda p: p.causation_id,
    "priority": lambda p: p.priority,
}
LATER = ("error", "reason", "event")
"""Fields of what happened to a message after its publication."""
PATHS = ("payload", "header")
ENDS = ("Completed", "Superseded", "Purged", "Expired", "Cancelled")
"""Events after which a message has no others, but for those about its result."""
FIELDS = (*PUBLISHED, *LATER, *PATHS)
EXPRESSION_CHARS_MAX = 4_000
"""Of an expression. The log holds the whole expression of a bulk act: one that was cut would select other messages."""
INDEX_DIGITS_MAX = 9
"""Of a place in a list."""


@attrs.frozen
class Word:
    """One condition."""

    field: str
    path: tuple[str, ...]
    op: str
    value: str

    def holds(self, found: object) -> bool:
        """Return whether a value that was found meets the condition."""
        if found is None:
            return self.op == "!="
        if self.op in "><":
            try:
                number = float(str(found))
            except ValueError:
                return False
            return number > float(self.value) if self.op == ">" else number < float(self.value)
        text = str(found).lower() if isinstance(found, bool) else str(found)
        if self.op == "~":
            return self.value.casefold() in text.casefold()
        return (text == self.value) == (self.op == "=")


@attrs.frozen
class Search:
    """The conditions of one expression."""

    of_publication: tuple[Word, ...]
    of_events: tuple[Word, ...]

    @property
    def reads_payloads(self) -> bool:
        """Whether payloads have to be decoded."""
        return any(word.field == "payload" for word in self.of_publication)

    def takes(self, published: ev.Published, decode: Callable[[bytes], Any]) -> bool:
        """Return whether a publication meets the conditions on it. `decode` returns a payload as plain data, or raises."""
        return all(word.holds(_found(word, published, decode)) for word in self.of_publication)

    def means(self, letter: ev.DeadLettered, decode: Callable[[bytes], Any]) -> bool:
        """Return whether a dead letter meets all conditions, those on its publication and those on what ended it."""
        if not self.takes(letter.published, decode):
            return False
        return all(any(map(word.holds, _of_letter(word.field, letter))) for word in self.of_events)

    def met(self, event: ev.Event) -> set[Word]:
        """Return the conditions about events that one event of a message meets."""
        return {word for word in self.of_events if word.holds(_of_event(word.field, event))}


def search_of(text: str, *, is_on_record: bool = False) -> Search:
    """Return the search for an expression.

    Args:
        text: the expression.
        is_on_record: it is the expression of a bulk act in the log. One of an older version may compare with a number that JSON
            does not have. Such a condition selects nothing; in a new expression it is refused.

    Raises:
        InvalidMessage: it cannot be read; names the word that is wrong, and the fields.
    """
    if not isinstance(text, str):
        msg = f'where: an expression such as "type=Order error~timeout", not {shown(text)}'
        raise InvalidMessage(msg)
    text = str.__str__(text)  # of a subclass, whose own methods are foreign code
    if len(text) > EXPRESSION_CHARS_MAX:
        msg = f"where: an expression of at most {EXPRESSION_CHARS_MAX:,} characters, not {len(text):,}"
        raise InvalidMessage(msg)
    try:
        text.encode()
        texts = shlex.split(text)
    except ValueError as error:
        msg = f"where: {shown(text)} cannot be read: {error}"
        raise InvalidMessage(msg) from error
    words = [_word(one, is_on_record=is_on_record) for one in texts]
    if not words:
        msg = (
            f'where: nothing to search for; write FIELD=VALUE, for example type=Order error~"no stock". Fields: {", ".join(FIELDS)}'
        )
        raise InvalidMessage(msg)
    return Search(tuple(w for w in words if w.field not in LATER), tuple(w for w in words if w.field in LATER))


def is_expression(text: str) -> bool:
    """Return whether an argument of a shell is an expression: several conditions, or one whose value is in quotes.

    `error~"no stock"` is one; `error~no stock` is a single condition, to be taken as it stands.
    """
    if len(text) > EXPRESSION_CHARS_MAX:
        return False
    try:
        words = shlex.split(text)
    except ValueError:
        return False
    return (len(words) > 1 or IN_QUOTES.fullmatch(text) is not None) and all(_match(word) is not None for word in words)


def _match(text: str) -> re.Match[str] | None:
    """Return the parts of one condition; None where it is none."""
    match = WORD.fullmatch(text)
    if match is None or match["field"] not in FIELDS or (match["path"] is not None) != (match["field"] in PATHS):
        return None
    return match


def _word(text: str, *, is_on_record: bool) -> Word:
    match = _match(text)
    if match is None:
        known = ", ".join([*PUBLISHED, *LATER, "header.NAME", "payload.PATH"])
        one_of = f"where FIELD is one of {known}; a text without a field can be id~TEXT"
        msg = f"{shown(text)}: write FIELD=VALUE (or != ~ > <), {one_of}"
        raise InvalidMessage(msg)
    if match["op"] in "><" and not _is_number(match["value"]):
        msg = f"{shown(text)}: {match['op']} compares numbers"
        raise InvalidMessage(msg)
    if match["op"] in "><" and not is_on_record and not math.isfinite(float(match["value"])):
        msg = (
            f"{shown(text)}: {match['value']} is infinite or too large for a number, so that this would find nothing, or everything"
        )
        raise InvalidMessage(msg)
    if match["op"] == "!=" and match["field"] in LATER:  # nearly every message has some other event, too
        msg = f"{shown(text)}: conditions on what happened to a message use = or ~"
        raise InvalidMessage(msg)
    path = match["path"][1:] if match["path"] else ""
    steps = (path,) if match["field"] == "header" else tuple(path.split(".")) if path else ()
    return Word(match["field"], steps, match["op"], match["value"])


def _is_number(text: str) -> bool:
    try:
        return not math.isnan(float(text))
    except ValueError:
        return False


def _found(word: Word, published: ev.Published, decode: Callable[[bytes], Any]) -> object:
    if word.field == "header":
        return (published.headers or {}).get(word.path[0])
    if word.field != "payload":
        return PUBLISHED[word.field](published)
    try:
        value = decode(published.payload)
    except ValueError:  # another codec's, which only the application reads
        return None
    for step in word.path:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdecimal() and len(step) <= INDEX_DIGITS_MAX and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def _of_letter(field: str, letter: ev.DeadLettered) -> list[object]:
    """Return the values of a field in the events that a dead letter stands for."""
    if field == "event":
        return ["Published", "DeadLettered", *(["AttemptFailed"] if letter.failures else [])]
    if field == "reason":
        return [letter.reason]
    failures = [with_public_names(f"{failure.exception}: {failure.message}") for failure in letter.failures]
    return [_of_event(field, letter), *failures]


def _of_event(field: str, event: ev.Event) -> object:
    if field == "event":
        return type(event).__name__
    if field == "reason":
        return getattr(event, "reason", None)
    exception = getattr(event, "exception", None)
    return None if exception is None else with_public_names(f"{exception}: {getattr(event, 'message', '')}")


def type_meant(where: str) -> str | None:
    """Return the one type whose messages an expression can mean; None where it may mean others, or cannot be read."""
    try:
        words = search_of(where).of_publication
    except InvalidMessage:
        return None
    return next((word.value for word in words if word.field == "type" and word.op == "="), None)
