"""What an expression selects, as it was counted: of dead letters, or of messages that wait or run.

Not here: the counting itself (`perdure.events.queue.searching`), which the actors do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from perdure.arguments.choices import check_whole
from perdure.arguments.labels import plain
from perdure.events.public_names import public

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.events.queue.searching.letter_search import Counted as CountedNow
    from perdure.operations.running_system import RunningSystem

__all__ = ["Counted", "CountedLetters", "CountedMessages", "asked_count", "checked_expression"]


class Counted:
    """What the two have in common: what a bulk act with it will hit, and no other."""

    __slots__ = ()

    where: str
    by_type: dict[str, int]
    gone: int

    @property
    def count(self) -> int:
        """How many there were when they were counted."""
        return sum(self.by_type.values()) + self.gone


@public
@attrs.frozen
class CountedLetters(Counted):
    """The dead letters that an expression selects, as they were counted: what a bulk act with it will hit, and no other."""

    where: str
    seq: int
    """Up to which sequence number they were counted: what dies later is not meant."""
    by_type: dict[str, int]
    gone: int = 0
    """How many more were counted before, and have been replayed or purged since."""

    @property
    def upto(self) -> int:
        """The same as `seq`: what `count_where(upto=...)` takes."""
        return self.seq


@public
@attrs.frozen
class CountedMessages(Counted):
    """The messages that an expression selects, of those that waited or ran when they were counted."""

    where: str
    upto: int
    """The number of the newest message then: what is published later is not meant."""
    by_type: dict[str, int]
    gone: int = 0
    """How many more were counted before, and have ended since."""


def asked_count(
    system: RunningSystem,
    actor: str,
    question: Callable[[str, int | None], object],
    search_of: Callable[[str], object],
    where: str,
    upto: int | None,
) -> CountedNow:
    """Have an actor count what an expression selects; takes the right `look`, also for each type that it finds.

    Raises:
        InvalidMessage: the expression cannot be read; names the word. Or `upto` is no whole number.
        NotAllowed: the system's `authorize` refuses it.
    """
    if upto is not None:
        check_whole("upto", upto, 0)
    where = checked_expression(where, search_of)
    system.permit("look")
    counted: CountedNow = system.ask(actor, question(where, upto))
    system.permit("look", lambda: counted.by_type)
    return counted


def checked_expression(where: str, search_of: Callable[[str], object]) -> str:
    """Return an expression as a plain text.

    Raises:
        InvalidMessage: it cannot be read; names the word.
    """
    text = plain(where) if isinstance(where, str) else where
    search_of(text)
    return text
