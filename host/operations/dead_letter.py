"""What an operator sees of a dead letter, and of all of them together. Acts on them are in `dead_letters`."""

from __future__ import annotations

import datetime as dt  # noqa: TC003 - `public` reads the annotations at run time
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import attrs

from perdure.arguments.moments import moment
from perdure.events.errors import InvalidMessage
from perdure.events.public_names import public, with_public_names
from perdure.events.queue.dead_letters import Letter, failures_of, full_reason

if TYPE_CHECKING:
    from perdure.publishing.drafts import Drafts

__all__ = ["DeadLetter", "DeadLetterStats", "Failure", "entry_of"]

M = TypeVar("M")


@attrs.frozen
class Failure:
    """One failed attempt."""

    at: dt.datetime
    attempt: int
    exception: str
    message: str


@public
@attrs.frozen
class DeadLetter(Generic[M]):
    """One dead letter. `message` is the decoded object, or the raw payload bytes where they can no longer be decoded."""

    id: str
    type: str
    message: M
    key: str | None
    reason: str
    """Why no attempt followed, in one line, with the beginning of the last exception's message."""
    exception: str
    """The qualified type name of the last exception, for example `perdure.Reject`."""
    error: str
    """The last exception's message."""
    traceback: str
    attempts: int
    failed_at: dt.datetime
    failures: tuple[Failure, ...]
    """Every failed attempt, oldest first (the last 32)."""
    correlation_id: str
    causation_id: str | None
    headers: dict[str, str]
    subject: str | None = None


@attrs.frozen
class DeadLetterStats:
    """Counts of the dead letters, with the times of the oldest and the newest."""

    total: int
    by_type: dict[str, int]
    by_reason: dict[str, int]
    """Counted by reason, without the exception's message, which may differ in each letter. `list(reason=...)` finds the letters."""
    oldest: dt.datetime | None
    newest: dt.datetime | None


def entry_of(letter: Letter, drafts: Drafts) -> DeadLetter[Any]:
    """Return what an operator sees of a dead letter; its message decoded, if it can be."""
    event = letter.event
    published = event.published
    try:
        message = drafts.load(published)
    except InvalidMessage:
        message = published.payload
    return DeadLetter(
        id=published.id,
        type=published.type,
        message=message,
        key=published.key,
        reason=with_public_names(full_reason(event)),
        exception=with_public_names(event.exception),
        error=event.message,
        traceback=event.traceback,
        attempts=event.attempts,
        failed_at=moment(letter.failed_us),
        failures=tuple(
            Failure(moment(f.at_us), attempt, with_public_names(f.exception), f.message) for attempt, f in failures_of(event)
        ),
        correlation_id=published.correlation_id or published.id,
        causation_id=published.causation_id,
        headers=dict(published.headers or {}),
        subject=published.subject,
    )
