"""Lookup of the message that an event is about: an event holds only its number, and readers want its id and type.

Messages that have ended are forgotten, and messages published in a row share one entry, so reading a long history takes little
memory.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

from perdure.events import vocabulary as ev
from perdure.events.runs import CompletedRun, PublishedRun

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Identities"]

NO_MESSAGE = (None, None)
ABOUT_ONE = ("cancel",)
"""Acts that are part of their message's timeline: its own event does not say that an operator caused it."""


class _Row(NamedTuple):
    """Messages with consecutive numbers."""

    first: int
    n: int
    type: str
    ids: Sequence[str]


class Identities:
    """Ids and types of messages by number, for all messages that a later event may be about. For one thread."""

    def __init__(self) -> None:
        self._single: dict[int, tuple[str, str]] = {}
        self._firsts: list[int] = []
        self._runs: list[_Row] = []
        self._left: dict[int, int] = {}
        """The number of messages of a row that have not ended, by the row's first number."""
        self._windows: dict[tuple[str, str], str] = {}
        """The id of the ended message whose window holds a key, by type and key."""

    def see(self, event: ev.Event) -> None:
        """Remember the messages that an event publishes."""
        match event:
            case PublishedRun():
                self._firsts.append(event.number)
                self._runs.append(_Row(event.number, len(event), event.type, event.ids))
                self._left[event.number] = len(event)
            case ev.Published():
                self._single[event.number] = (event.id, event.type)
            case ev.DeadLettered() | ev.Replayed():
                self._single[event.number] = (event.published.id, event.published.type)
            case ev.KeyHeld():
                self._windows[event.type, event.key] = event.id

    def of(self, event: ev.Event) -> tuple[str | None, str | None]:
        """Return the id and the type of the message that an event is about; None for each that is not known."""
        match event:
            case ev.LateResultRefused() | ev.ResultKept():
                return event.id, self._known(event.number)[1]
            case ev.ResultDropped():
                return event.id, None
            case ev.KeyHeld():
                return event.id, event.type
            case ev.KeyFreed():
                return self._windows.get((event.type, event.key)), event.type
            case ev.Paced():
                return None, event.type
            case ev.HandlerRegistered() | ev.Scaled() | ev.Paused() | ev.Resumed() | ev.Reconfigured() | ev.Adapted():
                return None, event.type or None
            case ev.MessagesAdministered() | ev.HandlersAdministered():
                return (event.subject, None) if event.action in ABOUT_ONE else NO_MESSAGE
        number = getattr(event, "number", None)
        return NO_MESSAGE if number is None else self._known(number)

    def _known(self, number: int) -> tuple[str | None, str | None]:
        single = self._single.get(number)
        if single is not None:
            return single
        run = self._run_of(number)
        return NO_MESSAGE if run is None else (run.ids[number - run.first], run.type)

    def _run_of(self, number: int) -> _Row | None:
        i = bisect_right(self._firsts, number) - 1
        run = self._runs[i] if i >= 0 else None
        return run if run is not None and number < run.first + run.n else None

    def forget(self, event: ev.Event) -> None:
        """Forget the messages that ended with this event."""
        match event:
            case CompletedRun():
                for number in event.numbers:
                    self._ended(number)
            case ev.Completed() | ev.Superseded() | ev.Purged() | ev.Expired() | ev.Cancelled():
                self._ended(event.number)
            case ev.KeyFreed():
                self._windows.pop((event.type, event.key), None)

    def _ended(self, number: int) -> None:
        self._single.pop(number, None)
        run = self._run_of(number)
        if run is None:
            return
        self._left[run.first] -= 1
        if self._left[run.first] <= 0:
            del self._left[run.first]
            i = bisect_right(self._firsts, number) - 1
            del self._firsts[i], self._runs[i]
