"""What cannot be told of a log whose beginning was dropped or archived: never a part of the answer in silence.

What becomes of old segments is in `perdure.store.files.history`; from where the log is known says `first_seq`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.arguments.moments import moment
from perdure.events import vocabulary as ev
from perdure.events.errors import HistoryDropped, UnknownMessage

if TYPE_CHECKING:
    from perdure.arguments.moments import Point

__all__ = ["MessageDropped", "check_kept", "tells_its_publication"]


class MessageDropped(HistoryDropped, UnknownMessage):
    """No publication of that message is in what is kept: it was dropped or archived, or there never was one."""

    def __init__(self, message_id: str, first_seq: int) -> None:
        super().__init__(
            f"no publication of a message {message_id!r} is in this folder, as far as is known: history before sequence "
            f"{first_seq} was dropped or archived. "
            'With `history = "archive"`, ask a copy of the folder with the archived segments.'
        )


def check_kept(field: str, asked: Point, first_seq: int, first_us: int | None) -> None:
    """Refuse a place in the log that lies before what is kept.

    Args:
        field: the argument's name.
        asked: the place.
        first_seq: of the first event that is kept.
        first_us: its time; None if there is none.

    Raises:
        HistoryDropped: it lies before that.
    """
    if asked.seq is not None and 0 < asked.seq < first_seq:
        msg = f"{field}: history before sequence {first_seq} was dropped or archived, so {asked.seq} cannot be told of"
        raise HistoryDropped(msg)
    if asked.at_us is not None and (first_us is None or asked.at_us < first_us):
        begins = f"sequence {first_seq}" + ("" if first_us is None else f" ({moment(first_us)})")
        msg = f"{field}: history before {begins} was dropped or archived, so {moment(asked.at_us)} cannot be told of"
        raise HistoryDropped(msg)


def tells_its_publication(event: ev.Event | None) -> bool:
    """Tell whether the first event that is kept of a message is its publication, so that its whole story is."""
    return isinstance(event, ev.Published)
