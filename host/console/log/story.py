"""`story_of`: all events of one message and of what it caused, as far as the time for it goes.

Not here: how it is drawn (`perdure.console.drawing.gantt`), and the sentences about it (`perdure.operations.reading.explanation`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from perdure.arguments.moments import moment
from perdure.console.log.walk import find_publication, walk
from perdure.events import vocabulary as ev
from perdure.events.runs import CompletedRun, LeasedRun, PublishedRun, Run, expand
from perdure.operations.reading.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perdure.console.log.index import Index
    from perdure.console.log.walk import Budget, Step
    from perdure.events.codec.snapshot import States
    from perdure.store import LogReader

__all__ = ["Kin", "Story", "story_of"]

FAMILY_MAX = 200
ANCESTORS_MAX = 8
RECORDS_MAX = 2_000
FAILURES = (ev.AttemptFailed, ev.LeaseExpired)
FAILURES_READ = 8
"""Failed attempts that are read from places far apart."""
ENDS = (ev.Completed, ev.Superseded, ev.Purged, ev.Expired, ev.Cancelled)


@attrs.define(eq=False)
class Kin:
    """One message of a family: its publication, what caused it, and its events."""

    published: ev.Published
    seq: int
    records: list[Record] = attrs.field(factory=list)

    @property
    def ended(self) -> bool:
        """Whether its last event ended it."""
        return bool(self.records) and isinstance(self.records[-1].event, ENDS)


@attrs.define(eq=False)
class Story:
    """A message, what it caused directly or indirectly, oldest first, and what caused it, the nearest first."""

    own: Kin
    children: list[Kin] = attrs.field(factory=list)
    ancestors: list[Kin] = attrs.field(factory=list)
    read_to: int = 0
    """Events up to here were read; `whole` where there is nothing more to read."""
    whole: bool = True

    @property
    def family(self) -> list[Kin]:
        """The message itself, and what it caused."""
        return [self.own, *self.children]


def story_of(
    reader: LogReader, index: Index, states: States, ident: str, budget: Budget, *, until: int, read_from: int = 0
) -> Story | None:
    """Return the story of a message up to event `until`; None where its publication was not found.

    Args:
        reader: the log.
        index: of the log.
        states: what is true at `until`: a message that has ended has no further events.
        ident: the message's id.
        budget: how long to read.
        until: the last event that counts.
        read_from: the event to go on from, as given by `Story.read_to`; the publication is shown in any case.
    """
    found, _ = find_publication(reader, index, states, ident, budget, until=until)
    if found is None:
        return None
    seq, published = found
    own = Kin(published, seq)
    story = Story(own)
    by_number, ids = {published.number: own}, {ident}
    after = max(seq - 1, read_from)
    for read, step in enumerate(walk(reader, after, until), 1):
        story.read_to = step.seq
        for number, record in _about(step, by_number, until):
            kin = by_number[number]
            if len(kin.records) < RECORDS_MAX and record.seq >= kin.seq:
                kin.records.append(record)
        event = step.event
        if isinstance(event, ev.Published) and event.causation_id in ids and len(ids) < FAMILY_MAX:
            child = Kin(event, step.seq, [_record(step.seq, step.at_us, event, event.id)])
            story.children.append(child)
            by_number[event.number] = child
            ids.add(event.id)
        if not read % 64 and _is_complete(story, states):
            break
        if not read % 16 and budget.is_over:
            story.whole = _is_complete(story, states)
            break
    if not story.whole:
        _read_failures(reader, index, states, story, until)
    story.ancestors = list(_ancestors(reader, index, states, published, budget, until))
    return story


def _read_failures(reader: LogReader, index: Index, states: States, story: Story, until: int) -> None:
    """Add the failed attempts that lie behind what was read: the state knows when they were, and the index about where."""
    own = story.own
    letter, message = states.dead_letters.letters.get(own.published.number), states.queue.look(own.published.number)
    notes = letter.event.failures if letter is not None else (message.failures or []) if message is not None else []
    known = {getattr(record.event, "attempt", 0) for record in own.records if isinstance(record.event, FAILURES)}
    found: list[Record] = []
    for note in [note for note in notes if note.attempt not in known][-FAILURES_READ:]:
        after, end = index.before(note.at_us - 1)[0], index.before(note.at_us)[1]
        for step in walk(reader, max(after, story.read_to), min(until, max(end, after + 1))):
            if step.at_us > note.at_us:
                break
            found += [record for _, record in _about(step, {own.published.number: own}, until)]
    own.records += [record for record in found if record.seq > story.read_to]


def _is_complete(story: Story, states: States) -> bool:
    """Return whether nothing more can follow: all messages have ended, or are dead letters and have not been replayed."""
    return all(kin.ended or _is_dead(kin, states) for kin in story.family)


def _is_dead(kin: Kin, states: States) -> bool:
    letter = states.dead_letters.letters.get(kin.published.number)
    if letter is None or not kin.records:
        return False
    last = kin.records[-1]
    return isinstance(last.event, ev.DeadLettered) and round(last.at.timestamp() * 1e6) == letter.failed_us


def _about(step: Step, by_number: dict[int, Kin], until: int) -> Iterator[tuple[int, Record]]:
    """Yield the records of a step that are about one of these messages."""
    event = step.event
    if isinstance(event, Run):
        if isinstance(event, LeasedRun | CompletedRun):
            if not any(number in event.numbers for number in by_number):
                return
        elif isinstance(event, PublishedRun) and not any(number - event.number in range(len(event)) for number in by_number):
            return
        for seq, one in enumerate(expand((event,)), step.seq):
            number = getattr(one, "number", 0)
            if number in by_number and seq <= until:
                yield number, _record(seq, step.at_us, one, by_number[number].published.id)
        return
    number = getattr(event, "number", 0)
    if number in by_number:
        yield number, _record(step.seq, step.at_us, event, by_number[number].published.id)


def _record(seq: int, at_us: int, event: ev.Event, ident: str) -> Record:
    return Record(seq, moment(at_us), event.DECIDER, event, ident)


def _ancestors(
    reader: LogReader, index: Index, states: States, published: ev.Published, budget: Budget, until: int
) -> Iterator[Kin]:
    """Yield what caused a message, and what caused that, as far as it is found in time."""
    seen = {published.id}
    for _ in range(ANCESTORS_MAX):
        ident = published.causation_id
        if ident is None or ident in seen or budget.is_over:
            return
        seen.add(ident)
        found, _ = find_publication(reader, index, states, ident, budget, until=until)
        if found is None:
            return
        seq, published = found
        yield Kin(published, seq)
