"""Where a message is: what `System.state` gives, in one look and without waiting.

What the queue knows of an id is a rule (`events/queue/lookup`); the whole story of a message is `audit.timeline`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from perdure.arguments.moments import moment
from perdure.events.public_names import public
from perdure.publishing.message_ids import made_us

if TYPE_CHECKING:
    import datetime as dt

    from perdure.events.queue.lookup import Lookup

__all__ = ["MessageState"]

LIVE = ("ready", "delayed", "held", "leased")


@public
@attrs.frozen(kw_only=True)
class MessageState:
    """Where one message is."""

    id: str
    status: str
    """Of a live one: `ready`, `delayed` (until `due`), `held` (by its key or group), `leased` (a handler or consumer has it).

    Of one that has ended: `completed`, `dead` (a dead letter), `cancelled`, `expired`, `superseded`, `purged`, or `ended` where how
    is not remembered. `forgotten`: perdure made the id, and does not remember it: its message ended long ago, or never was.
    `unknown`: no message of that id is remembered, since none was published here, or it ended long ago."""
    type: str = ""
    """Its type's name; empty where that is not remembered."""
    key: str | None = None
    group: str | None = None
    priority: int = 0
    attempts: int = 0
    """How many have begun."""
    due: dt.datetime | None = None
    """Of a delayed one: until when."""
    expires: dt.datetime | None = None
    """Of a live one that has a time to live: when that ends."""
    lease_until: dt.datetime | None = None
    """Of a leased one whose lease runs out: when."""
    percent: float | None = None
    """Its last heartbeat's."""
    note: str = ""
    has_result: bool = False
    """`result` gives what became of it, at once."""

    @property
    def live(self) -> bool:
        """Whether it is still to be handled to its end."""
        return self.status in LIVE

    @property
    def known(self) -> bool:
        """Whether it is remembered."""
        return self.status not in ("unknown", "forgotten")

    @classmethod
    def of(cls, ident: str, standing: Lookup) -> MessageState:
        """Make it of what the queue knows."""
        message = standing.message
        if message is None:
            status = standing.status
            if status == "unknown" and standing.forgets and made_us(ident):
                status = "forgotten"
            return cls(id=ident, status=status, type=standing.type, attempts=standing.attempts, has_result=standing.has_result)
        published = message.published
        return cls(
            id=ident,
            status=standing.status,
            type=published.type,
            key=published.key,
            group=published.group,
            priority=published.priority,
            attempts=standing.attempts,
            due=moment(message.due_us) if standing.status == "delayed" else None,
            expires=moment(published.expires_us) if published.expires_us else None,
            lease_until=moment(message.until_us) if message.until_us else None,
            percent=message.percent,
            note=message.note,
        )
