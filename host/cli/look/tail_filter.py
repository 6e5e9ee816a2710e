"""`TailFilter`: which events `perdure tail` shows, by their message and by the error that they record.

What an expression selects is in `perdure.events.queue.searching.expression`; reading the log is `Audit.follow`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.events import vocabulary as ev
from perdure.events.queue.searching.expression import search_of
from perdure.events.queue.searching.plain_payloads import plain_payload

if TYPE_CHECKING:
    from perdure.operations.reading.record import Record

__all__ = ["TailFilter", "quoted"]

REMEMBERED_MAX = 100_000
"""Messages whose later events are shown, the newest."""


def quoted(word: str) -> str:
    """Return a word of the shell as an expression has it, whatever spaces and quotes are in it."""
    return "'" + word.replace("'", "'\"'\"'") + "'"


class TailFilter:
    """Passes events of messages that an expression selects; where the expression names an error, only events that record it.

    Args:
        expression: the words of a search; empty: all events.

    Raises:
        InvalidMessage: the expression cannot be read.
    """

    def __init__(self, expression: str) -> None:
        self._search = search_of(expression) if expression else None
        self._meant: dict[str, None] = {}

    def passes(self, record: Record) -> bool:
        """Return whether an event is to be shown. Call it for each event in turn, from the beginning of the log."""
        search = self._search
        if search is None:
            return True
        event, ident = record.event, record.message_id
        published = event if isinstance(event, ev.Published) else getattr(event, "published", None)
        if ident is None:
            return False
        if published is not None:
            self._meant.pop(ident, None)
            if search.takes(published, plain_payload):
                self._meant[ident] = None
                if len(self._meant) > REMEMBERED_MAX:
                    del self._meant[next(iter(self._meant))]
        return ident in self._meant and search.met(event) == set(search.of_events)
