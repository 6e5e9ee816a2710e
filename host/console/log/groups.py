"""Dead letters grouped by what they died of: kept up to date event by event, so that a page of 100,000 letters counts none of them.

Pure. Not here: the letters themselves (`perdure.events.queue.dead_letters`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import attrs

from perdure.events import vocabulary as ev
from perdure.events.public_names import with_public_names

if TYPE_CHECKING:
    from perdure.events.queue.dead_letters import DeadLettersState, Letter

__all__ = ["Cause", "Group", "Groups"]

MESSAGE_CHARS = 140
GROUPS_MAX = 500
"""The most causes with a group of their own; letters of further causes are in one group of their type."""
NUMBER = re.compile(r"(?<![^\W_])(?=[a-f]*\d)[0-9a-f]{8}[0-9a-f-]*(?![^\W_])|\d+", re.IGNORECASE)
"""Numbers, and ids that are written in hexadecimal."""
FAILED_TIMES = re.compile(r"^(failed|lost) \d+ times: ")


class Cause(NamedTuple):
    """What letters of one group have in common."""

    type: str
    exception: str
    message: str
    """The beginning of the exception's message (or of the reason, where there was none), with # for numbers."""


@attrs.define(eq=False)
class Group:
    """Letters of one cause: their numbers, oldest first, and when the newest died."""

    cause: Cause
    numbers: dict[int, None] = attrs.field(factory=dict)
    newest_us: int = 0


class Groups:
    """All groups of a state of the dead letters. For one thread at a time."""

    def __init__(self) -> None:
        self.by_cause: dict[Cause, Group] = {}
        self._cause_of: dict[int, Cause] = {}
        self.by_type: dict[str, int] = {}

    @classmethod
    def of(cls, state: DeadLettersState) -> Groups:
        """Return the groups of all letters that there are."""
        groups = cls()
        for letter in state.letters.values():
            groups.add(letter.event, letter.failed_us)
        return groups

    def see(self, event: ev.Event, at_us: int) -> None:
        """Take in one event."""
        match event:
            case ev.DeadLettered():
                self.add(event, at_us)
            case ev.Replayed() | ev.Purged():
                self._remove(event.number)

    def add(self, event: ev.DeadLettered, at_us: int) -> None:
        """Take in a letter."""
        cause = cause_of(event)
        if cause not in self.by_cause and len(self.by_cause) >= GROUPS_MAX:
            cause = Cause(event.published.type, "", "other causes")
        group = self.by_cause.get(cause)
        if group is None:
            group = self.by_cause[cause] = Group(cause)
        group.numbers[event.number] = None
        group.newest_us = max(group.newest_us, at_us)
        self._cause_of[event.number] = cause
        self.by_type[cause.type] = self.by_type.get(cause.type, 0) + 1

    def _remove(self, number: int) -> None:
        cause = self._cause_of.pop(number, None)
        if cause is None:
            return
        group = self.by_cause[cause]
        del group.numbers[number]
        if not group.numbers:
            del self.by_cause[cause]
        self.by_type[cause.type] -= 1
        if not self.by_type[cause.type]:
            del self.by_type[cause.type]

    def biggest(self) -> list[Group]:
        """Return all groups, those with the most letters first."""
        return sorted(self.by_cause.values(), key=lambda group: (-len(group.numbers), group.cause))

    def of_letter(self, letter: Letter) -> Group | None:
        """Return the group of a letter, or None."""
        cause = self._cause_of.get(letter.event.number)
        return None if cause is None else self.by_cause.get(cause)


def cause_of(event: ev.DeadLettered) -> Cause:
    """Return what a letter died of, without what differs from one letter to the next."""
    text = event.message or FAILED_TIMES.sub("", event.reason)
    line = NUMBER.sub("#", text.strip().split("\n", 1)[0][:MESSAGE_CHARS])
    return Cause(event.published.type, with_public_names(event.exception), with_public_names(line))
