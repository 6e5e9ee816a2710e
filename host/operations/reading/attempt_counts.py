"""Which attempt of a message an event is about, as its handler counted it: `ctx.attempt`, not the number on record.

The number is in the event; no two runs of a message share one (docs/ARCHITECTURE.md). How many of them do not count is in `Leased`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.events.vocabulary import Leased

if TYPE_CHECKING:
    from collections.abc import Iterable

    from perdure.operations.reading.record import Record

__all__ = ["AttemptCounts"]


class AttemptCounts:
    """The attempts of some records by message and number. One whose lease is not among the records is shown by its number."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._counts = {
            (record.message_id, record.event.attempt): record.event.attempt - record.event.uncounted
            for record in records
            if isinstance(record.event, Leased) and record.event.uncounted
        }

    def of(self, record: Record) -> int:
        """Return the count for the attempt that a record names; 0 if it names none."""
        number: int = getattr(record.event, "attempt", 0) or 0
        return self._counts.get((record.message_id, number), number)
