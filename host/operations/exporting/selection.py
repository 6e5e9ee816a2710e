"""Which events of a log an export takes: all, or those of the messages that a search expression selects.

The expressions are those of `perdure search` (`perdure.operations.reading.search`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perdure.events.queue.searching.expression import ENDS, search_of
from perdure.payloads.codecs import MessagePack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perdure.arguments.moments import Moment
    from perdure.events.queue.searching.expression import Search
    from perdure.operations.audit import Audit
    from perdure.operations.reading.record import Record

__all__ = ["selected"]


def selected(audit: Audit, where: str | None, since: Moment | None, until: Moment | None) -> Iterator[Record]:
    """Return an iterator over the events within the bounds, and with `where` over those of the messages that it selects.

    Memory: an expression about publications keeps the ids of the selected messages that have not ended. One about what happened
    later (`error~...`) keeps those of all selected messages, since their earlier events are wanted too.

    Raises:
        InvalidMessage: the expression cannot be read.
        As `Audit.events`.
    """
    if where is None:
        return audit.events(since=since, until=until)
    search = search_of(where)
    if search.of_events:
        ids = {found.id for found in audit.search(where, since=since, until=until)}
        return (record for record in audit.events(since=since, until=until) if record.message_id in ids)
    return _of_publications(audit.events(since=since, until=until), search)


def _of_publications(records: Iterator[Record], search: Search) -> Iterator[Record]:
    codec = MessagePack()
    live: set[str] = set()
    for record in records:
        event, ident = record.event, record.message_id
        if ident is None:
            continue
        published: Any = event if record.name == "Published" else getattr(event, "published", None)
        if published is not None and ident not in live and search.takes(published, lambda payload: codec.decode(payload, None)):
            live.add(ident)
        if ident in live:
            yield record
        if record.name in ENDS:
            live.discard(ident)
