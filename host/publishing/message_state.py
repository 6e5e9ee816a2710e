"""`MessageState`: where a message is now, as `System.state` returns it.

What the queue knows of an id is a rule in `perdure.events.queue.lookup`. All events of a message are in `Audit.timeline`.
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
    """Of a live message: `ready`, `delayed` (until `due`), `held` (by its key or group), `leased` (a handler or consumer has it).

    Of a message that has ended: `completed`, `dead` (a dead letter), `cancelled`, `expired`, `superseded`, `purged`, or `ended`
    where it is not remembered how. `forgotten`: perdure made the id and does not remember it; its message ended long ago, or never
    existed. `unknown`: no message with that id is remembered; none was published here, or it ended long ago."""
    type: str = ""
    """The name of its type; empty where that is not remembered."""
    key: str | None = None
    group: str | None = None
    priority: int = 0
    attempts: int = 0
    """Attempts that have begun."""
    due: dt.datetime | None = None
    """The end of its delay, where it is delayed."""
    expires: dt.datetime | None = None
    """The end of its time to live, where it is live and has one."""
    lease_until: dt.datetime | None = None
    """The end of its lease, where it is leased and the lease has an end."""
    percent: float | None = None
    """From its last heartbeat, as `note`."""
    note: str = ""
    has_result: bool = False
    """Whether `System.result` answers at once."""
    subject: str | None = None
    """The person or thing that it is about, where it is live and its publisher named one."""

    @property
    def live(self) -> bool:
        """Whether it has not ended yet."""
        return self.status in LIVE

    @property
    def known(self) -> bool:
        """Whether it is remembered."""
        return self.status not in ("unknown", "forgotten")

    @classmethod
    def of(cls, ident: str, standing: Lookup) -> MessageState:
        """Return the state of a message from what the queue knows of it."""
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
            subject=published.subject,
        )
