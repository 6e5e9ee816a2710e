"""The commands that act on messages that wait or run, and on dead letters: one by one, or in bulk.

Each carries an `Act` where an operator asked for it. Commands that act on handlers are in `handlers/registry`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import attrs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perdure.events.acts import Act
    from perdure.events.commands.publish_commands import Draft
    from perdure.events.vocabulary import FailureNote, Published

__all__ = [
    "AdvanceBulk",
    "BeginBulk",
    "Cancel",
    "Death",
    "EndBulk",
    "Purge",
    "Replay",
    "ReplayItem",
    "RunNow",
]


@attrs.define
class Cancel:
    """Cancel a message, waiting or running. One that has ended or is unknown is no error."""

    id: str
    reason: str
    act: Act | None = None
    """Set where an operator asked for it, not the application itself."""


@attrs.define
class RunNow:
    """Make a delayed message ready now, or publish a tick of a schedule now beside its others. Anything else changes nothing."""

    id: str = ""
    schedule: str = ""
    due_us: int = 0
    """The time that the tick is given. It identifies the tick, so that a command that is sent again counts once."""
    act: Act | None = None
    draft: Draft | None = None
    """The message of that tick, which the scheduler makes."""


class Death(NamedTuple):
    """The identity of one death of a message, which may have been replayed and died again since."""

    number: int
    at_us: int
    attempts: int


class ReplayItem(NamedTuple):
    """One dead letter to replay."""

    death: Death
    published: Published
    attempts: int
    failures: list[FailureNote]
    edited: bool = False


@attrs.define
class Replay:
    """Replay dead letters, all or none. `again`: the command was sent before, so one that is back already is no error."""

    items: list[ReplayItem]
    again: bool = False
    skips: bool = False
    """Pass over what is no longer the dead letter that was meant."""
    act: Act | None = None


@attrs.define
class Purge:
    """Remove dead letters for good."""

    deaths: list[Death]
    reason: str
    act: Act | None = None


@attrs.define
class BeginBulk:
    """Begin a bulk act on everything up to `seq` that an expression selects. `bulk` is its id, so that it begins once.

    `seq` is a sequence number; to cancel, it is the number of a message.
    """

    bulk: str
    action: str
    where: str
    seq: int
    count: int
    reset_retries: bool
    changes: dict[str, Any]
    act: Act | None = None


@attrs.define
class AdvanceBulk:
    """Act on the next letters or messages of a bulk act, all in one commit."""

    bulk: str
    upto: int
    """What this command deals with, or finds dealt with: all that died up to this sequence number; or all up to this message."""
    items: list[ReplayItem]
    deaths: list[Death]
    passed_over: int = 0
    cancels: Sequence[int] = ()
    """Numbers of messages to cancel."""


@attrs.define
class EndBulk:
    """End a bulk act; `outcome` says why, where something is left."""

    bulk: str
    outcome: str = ""
