"""What an expression selects, as it was counted: of dead letters, or of messages that wait or run.

Not here: the counting itself (`acts_where`, `cancels_where`).
"""

from __future__ import annotations

import attrs

from perdure.events.public_names import public

__all__ = ["Counted", "CountedLetters", "CountedMessages"]


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
