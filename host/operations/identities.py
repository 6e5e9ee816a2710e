"""Which message a fact is about: facts name it by its number alone, and readers want its id and type.

What has ended is forgotten, and what was published in a row is kept as one, so reading a long history takes little memory.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

from perdure.events import vocabulary as ev
from perdure.events.runs import CompletedRun, PublishedRun

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Identities"]

NOBODY = (None, None)


class _Row(NamedTuple):
    """Messages with numbers in a row."""

    first: int
    n: int
    type: str
    ids: Sequence[str]


class Identities:
    """Ids and types by number, as far as they may still be asked for."""

    def __init__(self) -> None:
        self._single: dict[int, tuple[str, str]] = {}
        self._firsts: list[int] = []
        self._runs: list[_Row] = []
        self._left: dict[int, int] = {}
        """How many of a run have not ended, by its first number."""
        self._windows: dict[tuple[str, str], str] = {}
        """By type and key that are held: the id of the ended message whose window holds them."""

    def see(self, event: ev.Event) -> None:
        """Take note of who is published."""
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
        """Give the id and the type of the message that a fact is about."""
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
        number = getattr(event, "number", None)
        return NOBODY if number is None else self._known(number)

    def _known(self, number: int) -> tuple[str | None, str | None]:
        single = self._single.get(number)
        if single is not None:
            return single
        run = self._run_of(number)
        return NOBODY if run is None else (run.ids[number - run.first], run.type)

    def _run_of(self, number: int) -> _Row | None:
        i = bisect_right(self._firsts, number) - 1
        run = self._runs[i] if i >= 0 else None
        return run if run is not None and number < run.first + run.n else None

    def forget(self, event: ev.Event) -> None:
        """Forget who has ended with this fact."""
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
