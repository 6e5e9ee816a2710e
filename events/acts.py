"""Acts of operators: who asked for a change, from where and why, and the event that puts it on record with its effect.

Pure. Which commands are acts is up to the front door (`perdure.operations.reading.acts`); what they change is decided by
the rules of the queue and of the handlers.
"""

from __future__ import annotations

from typing import NamedTuple

from perdure.events import vocabulary as ev

__all__ = ["TEXT_MAX", "Act", "on_handlers", "on_messages"]

TEXT_MAX = 1_000
"""Characters of each text of an act."""


class Act(NamedTuple):
    """An operator's act: the part of a command that names what was asked for, and the person or program that asked."""

    action: str
    """For example `pause`."""
    subject: str
    """The id of a message, the name of a type, or the filter of a bulk act; empty for all."""
    principal: str
    """The name of the person or program that asked."""
    origin: str
    """How it reached the owner: `own process`, or `socket, uid 1000, process 4712`."""
    reason: str = ""


def on_messages(act: Act, count: int) -> ev.MessagesAdministered:
    """Return the event of an act that changed `count` messages."""
    return ev.MessagesAdministered(act.action, act.subject, count, act.principal, act.origin, act.reason)


def on_handlers(act: Act, count: int) -> ev.HandlersAdministered:
    """Return the event of an act on handlers or on the system; `count` is 0 where it changed nothing."""
    return ev.HandlersAdministered(act.action, act.subject, count, act.principal, act.origin, act.reason)
