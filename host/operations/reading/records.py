"""A log as records, in its order; and a moment as the number of an event. What they answer is in `perdure.operations.audit`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.arguments.moments import moment
from perdure.events.codec.wire import decode_runs
from perdure.events.errors import HistoryDropped
from perdure.events.runs import count, expand
from perdure.operations.reading.identities import Identities
from perdure.operations.reading.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perdure.store import LogReader

__all__ = ["records_of", "seq_of_moment"]


def records_of(
    log: LogReader, after: int, until: int | None, about: Identities | None = None
) -> Iterator[tuple[Record, str | None, int]]:
    """Yield records, each with the type of its message and its time in microseconds since the epoch.

    `about`: the messages that records before `after` were about.
    """
    about = Identities() if about is None else about
    for frame in log.frames(after, until):
        seq = frame.first_seq
        for at_us, events in decode_runs(frame.body, frame.count):
            at = moment(at_us)
            for run in events:
                about.see(run)
                for event in expand((run,)):
                    if seq > after and (until is None or seq <= until):
                        ident, kind = about.of(event)
                        yield Record(seq, at, event.DECIDER, event, ident), kind, at_us
                    seq += 1
                about.forget(run)


def seq_of_moment(log: LogReader, at_us: int) -> int:
    """Return the number of the last event at or before a moment; reads all, as the clock may have been put back.

    Raises:
        HistoryDropped: the moment lies before what is kept.
    """
    last, earliest_us = 0, None
    for frame in log.frames():
        seq = frame.first_seq
        for batch_us, events in decode_runs(frame.body, frame.count):
            seq += count(events)
            earliest_us = batch_us if earliest_us is None else min(batch_us, earliest_us)
            if batch_us <= at_us:
                last = seq - 1
    if earliest_us is None:
        return log.first_seq - 1  # a snapshot holds all that came before
    if not last and log.first_seq > 1:
        msg = f"history before {moment(earliest_us)} (sequence {log.first_seq}) was dropped or archived"
        raise HistoryDropped(msg)
    return last
