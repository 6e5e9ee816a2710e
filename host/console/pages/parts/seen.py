"""What a principal may see of the record without the right to look at all types: types, acts of operators, schedules. Pure.

The host decides on rights (`perdure.security`); a `Page` checks them. Not here: payloads, which are hidden until a reveal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.events.queue.lookup import look_up
from perdure.events.queue.searching.expression import type_meant

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.events.codec.snapshot import States

__all__ = ["SCHEDULED", "sees_schedule", "sees_subject", "types_of"]

SCHEDULED = "every:"
"""Before the name of a schedule, the type of its own messages."""


def types_of(states: States) -> set[str]:
    """Return the types that states know: of messages, of handlers, of pauses."""
    return {*states.queue.by_type, *states.handlers.handlers, *states.handlers.paused_types}


def sees_schedule(name: str, looks: Callable[[str], bool]) -> bool:
    """Return whether a schedule may be seen: by its name, and by the type of its messages where they are its own."""
    return looks(name) and looks(SCHEDULED + name)


def sees_subject(states: States, subject: str, looks: Callable[[str], bool]) -> bool:
    """Return whether an act on this may be seen without the right to look at all types.

    That is an act on everything, on a type or schedule that may be looked at, on messages that an expression takes of such a type
    alone, or on a message that is known to be of one. Of a message that has ended the type may not be known: then it is not.
    """
    if not subject:
        return True
    if subject in types_of(states):
        return looks(subject)
    if subject in states.queue.ticks:
        return sees_schedule(subject, looks)
    of = type_meant(subject) or look_up(states.queue, subject).type
    return bool(of) and looks(of)
