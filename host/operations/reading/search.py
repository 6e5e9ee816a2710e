"""Messages that an expression selects, found in the records of a log.

The language is in `perdure.events.queue.searching.expression`.
Reading the log is the caller's (`Audit.search`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from perdure.events.queue.searching.expression import ENDS, FIELDS, Search, search_of

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterable, Iterator

    from perdure.events.queue.searching.expression import Word
    from perdure.operations.reading.record import Record

__all__ = ["FIELDS", "Found", "Search", "found_in", "search_of"]


@attrs.frozen
class Found:
    """A message that a search found."""

    id: str
    type: str
    key: str | None
    seq: int
    """The number of its publication, or of its return as a dead letter where that is all that is kept."""
    at: dt.datetime
    """When it was published."""


def found_in(records: Iterable[Record], search: Search, decode: Callable[[bytes], Any]) -> Iterator[Found]:
    """Yield each message that a search selects, once, as soon as its records meet all conditions.

    Holds an entry for each message whose publication meets the conditions, while those about later events are not met.
    """
    open_: dict[str, tuple[Found, set[Word]]] = {}
    given: set[str] = set()
    """Ids of those that were yielded and have not ended: as dead letters their publication comes again."""
    for record in records:
        event, ident = record.event, record.message_id
        if ident is None:
            continue
        published: Any = event if record.name == "Published" else getattr(event, "published", None)
        if published is not None and ident not in open_ and ident not in given and search.takes(published, decode):
            found = Found(published.id, published.type, published.key, record.seq, record.at)
            open_[ident] = found, set(search.of_events)
        if ident in open_:
            found, unmet = open_[ident]
            unmet -= search.met(event)
            if not unmet:
                del open_[ident]
                given.add(ident)
                yield found
        if record.name in ENDS:
            open_.pop(ident, None)
            given.discard(ident)
