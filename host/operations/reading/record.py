"""`Record`: one event of the log as an audit gives it. Reading the log is in `audit`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from perdure.events.public_names import public

if TYPE_CHECKING:
    import datetime as dt

    from perdure.events import vocabulary as ev

__all__ = ["Record"]


@public
@attrs.frozen
class Record:
    """One event of the log."""

    seq: int
    at: dt.datetime
    actor: str
    """The actor that decided it."""
    event: ev.Event
    message_id: str | None = None
    """The id of the message that the event is about; None where there is none, or its publication is not in the log."""

    @property
    def name(self) -> str:
        """The name of the event's class."""
        return type(self.event).__name__
