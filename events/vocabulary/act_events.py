"""The acts of operators: what was done, by whom, from where and why.

The events of what they changed are in `message_events` and `handler_events`. Acts on messages are decided by the queue, acts on
handlers by the dispatcher.
"""

from __future__ import annotations

from typing import Any

import attrs

from perdure.events.vocabulary.event import Event, event

__all__ = [
    "BulkAdvanced",
    "BulkBegun",
    "BulkEnded",
    "BulkPlan",
    "HandlersAdministered",
    "MessagesAdministered",
]


@event(23, "queue")
class MessagesAdministered(Event):
    """An operator acted on messages. The events of what it changed stand in the same frame."""

    action: str
    """`cancel`, `replay`, `replay all`, `edit` or `purge`."""
    subject: str
    """The id of a message, or the filter of a bulk act."""
    count: int
    """How many messages it changed."""
    principal: str
    origin: str
    reason: str


@attrs.frozen
class BulkPlan:
    """An operator's act on all that an expression selects: what it is to do."""

    bulk: str
    """Its id."""
    action: str
    """`replay`, `edit` or `purge`, of dead letters; `cancel`, of messages that wait or run."""
    where: str
    """The expression; see `perdure.events.queue.searching.expression`."""
    seq: int
    """The sequence number up to which they were counted: what died later is not meant. Of `cancel`: the number of a message."""
    count: int
    """How many there were."""
    reset_retries: bool
    changes: dict[str, Any]
    """What an edit sets: values by their paths in the payload."""
    principal: str
    origin: str
    reason: str


@event(24, "queue")
class BulkBegun(BulkPlan, Event):
    """A bulk act has begun: with its plan on record, it goes on after a crash."""


@event(25, "queue")
class BulkAdvanced(Event):
    """A commit of a bulk act; the events of what it changed stand in the same frame."""

    bulk: str
    upto: int
    """All that died up to this sequence number is dealt with; of `cancel`, all up to this message."""
    changed: int
    passed_over: int
    """Letters that are there and could not be changed: a newer message holds the key, or there is nothing to edit."""


@event(26, "queue")
class BulkEnded(Event):
    """A bulk act is over. Letters that were neither changed nor passed over were replayed or purged otherwise meanwhile."""

    bulk: str
    outcome: str
    """Empty, or why it was stopped."""


@event(40, "dispatcher")
class HandlersAdministered(Event):
    """An operator acted on handlers or on the system. The events of what it changed stand in the same frame."""

    action: str
    """`pause`, `resume`, `scale`, `configure`, `snapshot`..."""
    subject: str
    """The name of a type; empty for all."""
    count: int
    """1; 0 where nothing changed."""
    principal: str
    origin: str
    reason: str
