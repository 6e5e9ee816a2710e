"""`look_back`: messages that an expression selects, newest first, for as long as a page may take; and where to go on.

The language is `perdure.operations.reading.search`. Messages that wait or run are listed from the folded state instead (`listing`).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import attrs

from perdure.console.log.walk import walk
from perdure.events import vocabulary as ev
from perdure.events.runs import PublishedRun
from perdure.operations.reading.search import Search, search_of
from perdure.payloads.codecs import MessagePack

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.console.log.walk import Budget
    from perdure.events.codec.snapshot import States
    from perdure.store import LogReader

__all__ = ["Hit", "LookBack", "look_back", "parsed"]

WINDOW, WINDOW_MAX = 1_000, 64_000
"""Events that are read at a time: few, where each is a frame of its own, or more, for a part of a page's time."""
WINDOW_S = 0.02


@attrs.frozen
class Hit:
    """A message that was found."""

    seq: int
    at_us: int
    published: ev.Published


@attrs.define
class LookBack:
    """What was found, newest first; `before` is where to go on, 0 where everything was looked at."""

    hits: list[Hit]
    before: int


def parsed(text: str) -> Search | None:
    """Return the search that a text asks for; None for no text.

    Raises:
        InvalidMessage: it cannot be parsed; the error names the word.
    """
    return search_of(text) if text.strip() else None


def look_back(
    reader: LogReader,
    states: States,
    search: Search | None,
    budget: Budget,
    *,
    before: int,
    most: int,
    wanted: Callable[[ev.Published], bool],
) -> LookBack:
    """Return messages that are published before event `before` (or had an event there that is asked for), newest first.

    Args:
        reader: the log.
        states: the states at that moment, which know the messages of events.
        search: what is asked for; None: every message.
        budget: how long to read.
        before: the event behind the last that counts.
        most: how many messages to return.
        wanted: returns whether a publication is shown at all.
    """
    hits: list[Hit] = []
    seen: set[int] = set()
    first, window = reader.first_seq, WINDOW
    codec = MessagePack()

    def takes(published: ev.Published) -> bool:
        return (search is None or search.takes(published, lambda body: codec.decode(body, None))) and wanted(published)

    while before > first and len(hits) < most:
        began_s = time.thread_time()
        after = max(first - 1, before - 1 - window)
        found, after = _in_window(reader, states, search, takes, after, before - 1)
        for hit in reversed(found):
            if hit.published.number not in seen:
                seen.add(hit.published.number)
                hits.append(hit)
            if len(hits) >= most:
                break
        before = after + 1 if len(hits) < most else hits[-1].seq
        if budget.is_over:
            break
        took_s = max(time.thread_time() - began_s, 1e-6)
        window = max(WINDOW, min(window * 2, WINDOW_MAX, int(window * WINDOW_S / took_s)))
    return LookBack(hits, before if before > first else 0)


def _in_window(
    reader: LogReader, states: States, search: Search | None, takes: Callable[[ev.Published], bool], after: int, until: int
) -> tuple[list[Hit], int]:
    """Return what was found in one window, oldest first; and behind which event it really began: frames are read whole."""
    of_events = search is not None and bool(search.of_events)
    found: list[Hit] = []
    published: dict[int, ev.Published] = {}
    met: dict[int, set[Any]] = {}
    for step in walk(reader, after, until, whole=True):
        event = step.event
        after = min(after, step.seq - 1)
        if isinstance(event, PublishedRun):
            if of_events:
                published.update((one.number, one) for one in event.events())
            else:
                _take_run(event, step.seq, step.at_us, search, takes, found, after, until)
        elif isinstance(event, ev.Published):
            published[event.number] = event
            if not of_events and takes(event):
                found.append(Hit(step.seq, step.at_us, event))
        if of_events and search is not None and (words := search.met(event)):
            number = getattr(event, "number", 0)
            known = met.setdefault(number, set())
            known |= words
            own = getattr(event, "published", None) or published.get(number) or _known(states, number)
            if own is not None and known >= set(search.of_events) and takes(own):
                found.append(Hit(step.seq, step.at_us, own))
    return found, after


def _take_run(
    run: PublishedRun,
    seq: int,
    at_us: int,
    search: Search | None,
    takes: Callable[[ev.Published], bool],
    found: list[Hit],
    after: int,
    until: int,
) -> None:
    """Add the messages of a run that are selected. Where a word concerns the type alone and does not hold, none is looked at."""
    if search is not None and any(
        word.field in ("type", "key", "group") and not word.holds(run.type if word.field == "type" else None)
        for word in search.of_publication
    ):
        return
    for i, one in enumerate(run.events(), seq):
        if after < i <= until and takes(one):
            found.append(Hit(i, at_us, one))


def _known(states: States, number: int) -> ev.Published | None:
    message = states.queue.look(number)
    if message is not None:
        return message.published
    letter = states.dead_letters.letters.get(number)
    return None if letter is None else letter.event.published
