"""Events of records of the audit, with their class."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from perdure.events.vocabulary import Event

if TYPE_CHECKING:
    from collections.abc import Iterable

    from perdure.operations.reading.record import Record

__all__ = ["events_of"]

E = TypeVar("E", bound=Event)


def events_of(cls: type[E], records: Iterable[Record]) -> list[E]:
    """Return the events of these records, each of which must be of a class."""
    events: list[E] = []
    for record in records:
        assert isinstance(record.event, cls), record
        events.append(record.event)
    return events
