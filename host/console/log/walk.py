"""Steps through the log that end when their time is over: forwards event by event, and the places where one message is published.

Nothing is remembered between two calls, and each says how far it came.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from perdure.events import vocabulary as ev
from perdure.events.codec.wire import decode_runs
from perdure.events.runs import PublishedRun, Run
from perdure.publishing.message_ids import made_us

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perdure.console.log.index import Index
    from perdure.events.codec.snapshot import States
    from perdure.store import LogReader

__all__ = ["Budget", "Step", "find_publication", "publication_of", "walk"]

MADE_BEFORE_US = 120_000_000
"""An id is made before its publication is decided; so long after it, the search for it ends."""
CLOCK_STEP_US = 5_000_000
"""The clock may have been put back by so much meanwhile."""


class Step(NamedTuple):
    """One event, or a run of events, and the number and time of the first."""

    seq: int
    at_us: int
    event: ev.Event


class Budget:
    """Time of the processor to read for, in seconds; on a busy machine it takes longer. For one thread."""

    def __init__(self, seconds: float) -> None:
        self._until_s = time.thread_time() + seconds

    @property
    def is_over(self) -> bool:
        """Whether the time is over."""
        return time.thread_time() > self._until_s


def walk(reader: LogReader, after: int, until: int, *, whole: bool = False) -> Iterator[Step]:
    """Yield what the log holds after `after`, up to `until`: single events, and runs whole where they begin in between.

    `whole`: begin with the first event of the frame that holds the first of them.

    Raises:
        As `LogReader.frames`.
    """
    for frame in reader.frames(after, until):
        seq = frame.first_seq
        for at_us, events in decode_runs(frame.body, frame.count):
            for event in events:
                size = len(event) if isinstance(event, Run) else 1
                if (whole or seq + size - 1 > after) and seq <= until:
                    yield Step(seq, at_us, event)
                seq += size


def publication_of(step: Step, ident: str | None = None, number: int = 0) -> tuple[int, ev.Published] | None:
    """Return (seq, publication) of the message with an id or a number, if this step publishes it."""
    event = step.event
    if isinstance(event, ev.Published):
        return (step.seq, event) if event.id == ident or event.number == number else None
    if isinstance(event, PublishedRun):
        if event.number <= number < event.number + len(event):
            i = number - event.number
        elif ident is not None and ident in event.ids:
            i = list(event.ids).index(ident)
        else:
            return None
        return step.seq + i, ev.Published(event.number + i, event.ids[i], event.type, event.payloads[i])
    return None


def find_publication(
    reader: LogReader, index: Index, states: States, ident: str, budget: Budget, *, until: int
) -> tuple[tuple[int, ev.Published] | None, bool]:
    """Find where a message was published: by the number that the queue knows of its id, or by the time in the id.

    Returns:
        (seq, publication), or None where it was not found; and whether all places were looked at where it may be.
    """
    number = states.queue.ids.get(ident) or states.dead_letters.by_id.get(ident) or 0
    spans: list[tuple[int, int]] = []
    if number:
        spans.append(index.around_number(number))
    at_us = made_us(ident)
    if at_us:
        spans.append((index.before(at_us - CLOCK_STEP_US)[0], index.before(at_us + MADE_BEFORE_US)[1]))
    if not number and not at_us:
        spans.append((index.before(0)[0], until))
    for after, end in spans:
        last = until if end >= index.seq else min(end, until)
        for step in walk(reader, after, last):
            found = publication_of(step, ident, number)
            if found is not None and found[1].id == ident:
                return found, True
            if budget.is_over:
                return None, False
    return None, True
