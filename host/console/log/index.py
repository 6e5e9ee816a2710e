"""`Index`: one pass over all events, which counts them over time and remembers where in the log moments and messages are.

It holds a bounded number of entries, whatever the length of the log, and is fed frame by frame (`live`). For one thread at a time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from typing import TYPE_CHECKING

import attrs

from perdure.arguments.moments import moment
from perdure.console.log.buckets import Buckets
from perdure.events import vocabulary as ev
from perdure.events.runs import CompletedRun, LeasedRun, PublishedRun, Run
from perdure.operations.reading.acts import act_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from perdure.console.log.buckets import Bucket
    from perdure.events.codec.wire import Batch
    from perdure.operations.reading.acts import OperatorAct

__all__ = ["Happening", "Index", "LastTick"]

WHOLE_MAX = 600
"""Buckets over all history."""
RECENT_MAX = 900
"""Buckets of a second."""
SECOND_US = 1_000_000
PLACES_MAX = 4_096
ACTS_MAX = 5_000
HAPPENINGS_MAX = 2_000
SCHEDULES_MAX = 1_000
SAMPLED = 15
"""The times of messages whose number has none of these bits are sampled: one of sixteen."""
FOLLOWED_MAX = 20_000
HAPPENINGS = (ev.Started, ev.Stopped, ev.ActorRestarted, ev.ProcessJoined, ev.ProcessLeft, ev.HandlerRegistered)


@attrs.frozen
class Happening:
    """An event about the system itself: a start, a stop, the death of an actor, a process that came or went, a new handler."""

    seq: int
    at_us: int
    event: ev.Event


@attrs.define
class LastTick:
    """The last tick of a schedule, and how many there were."""

    seq: int
    at_us: int
    due_us: int
    count: int


class Index:
    """What one pass over the log has found, up to `seq`."""

    def __init__(self, seq: int = 0) -> None:
        self.seq = seq
        self.recent_seq = 0
        """The last event that `recent` counts."""
        self.whole = Buckets(SECOND_US, WHOLE_MAX, grows=True)
        self.recent = Buckets(SECOND_US, RECENT_MAX, grows=False)
        self.acts: deque[OperatorAct] = deque(maxlen=ACTS_MAX)
        self.happenings: deque[Happening] = deque(maxlen=HAPPENINGS_MAX)
        self.ticks: dict[str, LastTick] = {}
        self._places: list[tuple[int, int, int]] = []
        """(seq, at_us, number): behind event `seq`, decided at `at_us`, messages up to `number` are published."""
        self._stride = 1
        self._number = 0
        self._waiting: dict[int, int] = {}
        """Of followed messages: since when they wait, or are handled (in `_running`)."""
        self._running: dict[int, int] = {}

    # --- feeding -----------------------------------------------------------------------------------------------------------

    def take(self, batches: Sequence[Batch], first_seq: int) -> None:
        """Count the events of a frame; those up to `seq` were counted before."""
        seq = first_seq
        for at_us, events in batches:
            whole = self.whole.at(at_us)
            is_new = seq > self.recent_seq
            second = self.recent.at(at_us) if is_new else self.recent.known(at_us)
            counted = [whole, second] if is_new and second is not None else [whole]
            timed = counted if second is None or is_new else [whole, second]
            for event in events:
                size = len(event) if isinstance(event, Run) else 1
                if seq + size - 1 > self.seq:
                    self._count(event, size, counted)
                    self._time(event, at_us, timed)
                    if not isinstance(event, Run):
                        self._note(seq, at_us, event)
                seq += size
            for bucket in counted:
                bucket.last_seq = max(bucket.last_seq, seq - 1)
        self.seq = max(self.seq, seq - 1)
        self.recent_seq = max(self.recent_seq, self.seq)
        if batches and (not self._places or self.seq - self._places[-1][0] >= self._stride):
            self._places.append((self.seq, batches[-1][0], self._number))
            if len(self._places) > PLACES_MAX:
                self._places = self._places[::2]
                self._stride = max(self._stride * 2, 64)

    def take_recent(self, batches: Sequence[Batch], first_seq: int) -> None:
        """Count the events of a frame in the seconds only: it lies before what the pass over all has reached."""
        seq = first_seq
        for at_us, events in batches:
            bucket = self.recent.at(at_us)
            for event in events:
                size = len(event) if isinstance(event, Run) else 1
                if seq + size - 1 > self.recent_seq:
                    self._count(event, size, [bucket])
                seq += size
            bucket.last_seq = max(bucket.last_seq, seq - 1)
        self.recent_seq = max(self.recent_seq, seq - 1)

    def _count(self, event: ev.Event, size: int, buckets: list[Bucket]) -> None:
        for bucket in buckets:
            match event:
                case PublishedRun() | ev.Published():
                    bucket.published += size
                    bucket.depth += size
                case CompletedRun() | ev.Completed():
                    bucket.completed += size
                    bucket.depth -= size
                case ev.AttemptFailed() | ev.LeaseExpired():
                    bucket.failed += 1
                case ev.DeadLettered():
                    bucket.dead += 1
                    bucket.depth -= 1
                case ev.Replayed():
                    bucket.depth += 1
                case ev.Superseded() | ev.Expired() | ev.Cancelled():
                    bucket.depth -= 1

    def _time(self, event: ev.Event, at_us: int, buckets: list[Bucket]) -> None:
        match event:
            case PublishedRun():
                self._number = max(self._number, event.number + len(event) - 1)
                self._follow(range(event.number, event.number + len(event)), at_us)
            case ev.Published():
                self._number = max(self._number, event.number)
                self._follow(range(event.number, event.number + 1), at_us)
            case LeasedRun():
                self._begin(event.numbers, at_us, buckets)
            case ev.Leased():
                self._begin((event.number,), at_us, buckets)
            case CompletedRun():
                self._end(event.numbers, at_us, buckets)
            case ev.Completed():
                self._end((event.number,), at_us, buckets)
            case ev.AttemptFailed() | ev.LeaseExpired():
                self._running.pop(event.number, None)
            case ev.Superseded() | ev.Expired() | ev.Cancelled():
                self._waiting.pop(event.number, None)
                self._running.pop(event.number, None)

    def _follow(self, numbers: range, at_us: int) -> None:
        for number in numbers[-numbers[0] % (SAMPLED + 1) :: SAMPLED + 1]:
            if len(self._waiting) < FOLLOWED_MAX:
                self._waiting[number] = at_us

    def _begin(self, numbers: Sequence[int], at_us: int, buckets: list[Bucket]) -> None:
        for number in numbers:
            if number & SAMPLED:
                continue
            since_us = self._waiting.pop(number, None)
            if since_us is not None:
                for bucket in buckets:
                    bucket.sample(max(0, at_us - since_us), None)
            if len(self._running) < FOLLOWED_MAX:
                self._running[number] = at_us

    def _end(self, numbers: Sequence[int], at_us: int, buckets: list[Bucket]) -> None:
        for number in numbers:
            if number & SAMPLED:
                continue
            since_us = self._running.pop(number, None)
            if since_us is not None:
                for bucket in buckets:
                    bucket.sample(None, max(0, at_us - since_us))

    def _note(self, seq: int, at_us: int, event: ev.Event) -> None:
        if isinstance(event, ev.Ticked):
            known = self.ticks.get(event.schedule)
            if known is not None or len(self.ticks) < SCHEDULES_MAX:
                self.ticks[event.schedule] = LastTick(seq, at_us, event.due_us, 1 if known is None else known.count + 1)
        elif isinstance(event, HAPPENINGS):
            self.happenings.append(Happening(seq, at_us, event))
        elif (act := act_of(seq, moment(at_us), event)) is not None:
            self.acts.append(act)

    # --- finding -----------------------------------------------------------------------------------------------------------

    def before(self, at_us: int) -> tuple[int, int]:
        """Return (after, until): the last event at or before a moment lies behind `after`, at most at `until`."""
        return self._around(lambda place: place[1] <= at_us)

    def around_number(self, number: int) -> tuple[int, int]:
        """Return (after, until): the publication of a message lies behind `after`, at most at `until`."""
        return self._around(lambda place: place[2] < number)

    def _around(self, is_before: Callable[[tuple[int, int, int]], bool]) -> tuple[int, int]:
        i = bisect_right(self._places, 0, key=lambda place: 0 if is_before(place) else 1)
        after = self._places[i - 1][0] if i else 0
        until = self._places[i][0] if i < len(self._places) else self.seq
        return after, max(until, after)

    def span_us(self) -> tuple[int, int] | None:
        """Return the times of the first and the last event that were counted; None where there is none."""
        return (self._places[0][1], self._places[-1][1]) if self._places else None

    def marks(self, most: int) -> Iterator[tuple[int, int]]:
        """Yield up to `most` (seq, at_us), spread over the log, oldest first."""
        step = max(1, len(self._places) // most)
        for seq, at_us, _ in self._places[::step]:
            yield seq, at_us
