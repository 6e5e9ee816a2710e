"""Checks that refuse a query which a log without its beginning cannot answer completely.

Not here: how old segments are dropped or archived (`perdure.store.files.retention`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.arguments.moments import moment
from perdure.events import vocabulary as ev
from perdure.events.errors import HistoryDropped, UnknownMessage

if TYPE_CHECKING:
    from perdure.arguments.moments import Point

__all__ = ["MessageDropped", "check_kept", "is_publication"]


class MessageDropped(HistoryDropped, UnknownMessage):
    """The log holds no publication of that message: it was dropped or archived, or the message was never published."""

    def __init__(self, message_id: str, first_seq: int) -> None:
        super().__init__(
            f"this folder holds no publication of a message {message_id!r}: history before sequence {first_seq} was dropped or "
            'archived. With `history = "archive"`, query a copy of the folder together with the archived segments.'
        )


def check_kept(field: str, asked: Point, first_seq: int, first_us: int | None) -> None:
    """Check that a position lies in the part of the log that is kept.

    Args:
        field: the argument's name, for the error.
        asked: the position.
        first_seq: sequence number of the first event that is kept.
        first_us: the time of that event; None if there is none.

    Raises:
        HistoryDropped: the position lies before that event.
    """
    if asked.seq is not None and 0 < asked.seq < first_seq:
        msg = f"{field}: history before sequence {first_seq} was dropped or archived, so nothing is known of {asked.seq}"
        raise HistoryDropped(msg)
    if asked.at_us is not None and (first_us is None or asked.at_us < first_us):
        begins = f"sequence {first_seq}" + ("" if first_us is None else f" ({moment(first_us)})")
        msg = f"{field}: history before {begins} was dropped or archived, so nothing is known of {moment(asked.at_us)}"
        raise HistoryDropped(msg)


def is_publication(event: ev.Event | None) -> bool:
    """Return whether the first event kept of a message is its publication, so that its whole history is kept."""
    return isinstance(event, ev.Published)
