"""Queries of the log: what happened to a message, what the counts were at any moment, whether history is undamaged.

It only reads, and also opens the folder of a live system, or a damaged one that no system can run on. Not here: how a log is read
(`store`) and folded (`perdure.actors.journal.log_fold`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from perdure.actors.journal.log_fold import fold_log
from perdure.arguments.choices import check_callable
from perdure.arguments.moments import Point, checked_id, not_a_time, point
from perdure.arguments.parts import check_folder, check_has, fixed_path
from perdure.events import vocabulary as ev
from perdure.events.errors import InvalidMessage, UnknownMessage
from perdure.events.public_names import public
from perdure.events.seconds import shown
from perdure.operations.metrics import Metrics, from_counts
from perdure.operations.reading.acts import OperatorAct, act_of
from perdure.operations.reading.dropped_history import MessageDropped, check_kept, is_publication
from perdure.operations.reading.explanation import explain
from perdure.operations.reading.identities import Identities
from perdure.operations.reading.records import records_of, seq_of_moment
from perdure.operations.reading.search import found_in, search_of
from perdure.payloads.codecs import MessagePack
from perdure.payloads.type_names import name_of
from perdure.store import Verification, is_postgres, open_reader, verify

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

    from perdure.arguments.moments import Moment
    from perdure.events.codec.snapshot import States
    from perdure.operations.reading.record import Record
    from perdure.operations.reading.search import Found
    from perdure.store import LogReader

__all__ = ["Audit", "Wanted", "counts_of", "means_event", "reader_of", "wanted_events"]

Wanted: TypeAlias = "Callable[[ev.Event, str | None], bool]"
"""Returns whether an event is meant; given it and the type of its message, if that is known."""
PROGRESS_EVERY = 4_096
"""Events between two calls of a `progress`."""
EVENT_NAMES = {cls.__name__ for cls in ev.VOCABULARY.values()}


@public
class Audit:
    """A reader of one folder's history. Starts no actor, takes no lock, and does not disturb a live system.

    Safe in any thread; an iterator belongs to one.

    Raises:
        StoreUnavailable: the folder cannot be read.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None, *, store: LogReader | None = None) -> None:
        if store is None:
            if folder is None:
                msg = "Audit needs a folder or a store"
                raise TypeError(msg)
            address = check_folder(folder)
            store = open_reader(address if is_postgres(address) else fixed_path(address))
            store.check_readable()
        check_has("store", store, "a store", ("check_readable", "frames"))
        self._log = store

    @property
    def first_seq(self) -> int:
        """The first sequence number in the log: 1, unless history was dropped or archived (`Options.history`)."""
        return self._log.first_seq

    def events(
        self,
        *,
        since: Moment | None = None,
        until: Moment | None = None,
        type: str | type | None = None,
        message_id: str | None = None,
    ) -> Iterator[Record]:
        """Return an iterator over the events in the order of the log, one record each.

        Args:
            since: the first sequence number (int) or moment (an aware datetime, or float seconds since the epoch); inclusive.
                Without it, the iterator begins with the first event that is kept.
            until: the last sequence number or moment; inclusive.
            type: only events of this class or with this name, or about messages of this type or type name.
            message_id: only events about this message.

        Moments are compared with the times in the log: where the clock was put back between two runs, all events with a time
        between the two moments are yielded.

        Raises:
            InvalidMessage: an argument is no position in the log (a naive datetime, a time given as an int), no type, or no id.
            HistoryDropped: `since`, `until` or the publication of `message_id` lies before `first_seq`.
            StoreCorrupt: the log is damaged from here on; all events before it have been yielded.
        """
        first, last = self._point("since", since), self._point("until", until)
        about = None if message_id is None else checked_id("message_id", message_id)
        if (first_seq := self.first_seq) > 1:
            moments = first.at_us is not None or last.at_us is not None
            first_us = next((at_us for _, _, at_us in records_of(self._log, 0, first_seq)), None) if moments else None
            check_kept("since", first, first_seq, first_us)
            check_kept("until", last, first_seq, first_us)
            if about is not None:
                own = (record.event for record, _, _ in records_of(self._log, 0, None) if record.message_id == about)
                if not is_publication(next(own, None)):
                    raise MessageDropped(about, first_seq)
        return self._within(first, last, self._wanted(type), about)

    def _wanted(self, kind: str | type | None) -> Wanted | None:
        """Return what is asked of each event right before it is yielded; None: nothing is."""
        return wanted_events(kind)

    def _point(self, field: str, value: Moment | None) -> Point:
        """Return the position that an argument names; an empty one for None."""
        if value is None:
            return Point()
        found = point(field, value)
        if found.seq is not None:
            not_a_time(field, found.seq, self._log)
        return found

    def _within(self, first: Point, last: Point, wanted: Wanted | None, message_id: str | None) -> Iterator[Record]:
        after = first.seq - 1 if first.seq else 0
        # The message of an event is known only if the publications before it were read.
        seen_from = 0 if message_id is not None or wanted is not None else after
        for record, kind, at_us in records_of(self._log, seen_from, last.seq):
            if record.seq <= after or (first.at_us is not None and at_us < first.at_us):
                continue
            if last.at_us is not None and at_us > last.at_us:
                continue  # a later event may have an earlier time: the clock may have been put back between two runs
            if message_id is not None and record.message_id != message_id:
                continue
            if wanted is not None and not wanted(record.event, kind):
                continue
            yield record

    def follow(
        self,
        wait: Callable[[], object],
        *,
        type: str | type | None = None,
        message_id: str | None = None,
    ) -> Iterator[Record | None]:
        """Return an iterator over all events, and then over those that are written later; it never ends.

        Args:
            wait: called whenever all that is written was read; it waits a moment, or raises to end the iteration.
            type: as `events`.
            message_id: as `events`.

        Yields:
            Records, and None each time before `wait` is called.

        Raises:
            As `events`.
        """
        wanted, about, last = self._wanted(type), Identities(), 0
        while True:
            for record, kind, _ in records_of(self._log, last, None, about):
                last = record.seq
                if (message_id is None or record.message_id == message_id) and (wanted is None or wanted(record.event, kind)):
                    yield record
            yield None
            wait()

    def timeline(self, message_id: str, *, progress: Callable[[int], None] | None = None) -> list[Record]:
        """Return all events about a message in order, across restarts, with the publications that it caused directly or indirectly.

        Args:
            message_id: the id of the message.
            progress: called every few thousand events with the number of events read.

        Raises:
            UnknownMessage: no message of that id was ever published here.
            HistoryDropped: the log no longer holds its publication, if there was one. Also an UnknownMessage.
            InvalidMessage: it is not a message id.
        """
        check_callable("progress", progress)
        message_id = checked_id("message_id", message_id)
        family = {message_id}
        records: list[Record] = []
        for read, (record, _, _) in enumerate(records_of(self._log, 0, None)):
            if progress is not None and not read % PROGRESS_EVERY:
                progress(read)
            event = record.event
            if isinstance(event, ev.Published) and event.causation_id in family:
                family.add(event.id)
                records.append(record)
            elif record.message_id == message_id:
                records.append(record)
        own = next((record.event for record in records if record.message_id == message_id), None)
        if (first_seq := self.first_seq) > 1 and not is_publication(own):
            raise MessageDropped(message_id, first_seq)
        if not records:
            msg = f"no message {shown(message_id)} was published in this folder"
            raise UnknownMessage(msg)
        return records

    def state_at(self, when: Moment) -> Metrics:
        """Return the counts at a sequence number (int) or a moment (an aware datetime, or float seconds since 1970).

        A moment stands for the last event that is not later than it. A number past the log's end stands for its end.

        Raises:
            InvalidMessage: `when` is no position in the log (a naive datetime, a time given as an int).
            HistoryDropped: the position lies before `first_seq`.
            StoreCorrupt: the log is damaged before that point.
        """
        at = self._point("when", when) if when is not None else point("when", None)
        states, _ = fold_log(self._log, at.seq if at.at_us is None else seq_of_moment(self._log, at.at_us))
        return counts_of(states)

    def explain(self, message_id: str, *, at: Moment | None = None, progress: Callable[[int], None] | None = None) -> str:
        """Return one paragraph: where a message is, what it waits for, since when, and what comes next.

        Args:
            message_id: the id of the message.
            at: a sequence number or moment, for what was true then; now unless given.
            progress: as `timeline`.

        Raises:
            As `timeline` and `state_at`.
        """
        until = None if at is None else self.seq_at("at", at)
        records = [record for record in self.timeline(message_id, progress=progress) if until is None or record.seq <= until]
        if not records:
            msg = f"message {shown(message_id)} was not published yet at sequence number {until}"
            raise UnknownMessage(msg)
        states, _ = fold_log(self._log, until)
        return explain(states, records, message_id)

    def seq_at(self, field: str, when: Moment) -> int:
        """Return the sequence number that a position stands for; for a moment that of the last event that is not later.

        Args:
            field: the argument's name, for the error.
            when: as `state_at`.

        Raises:
            As `state_at`.
        """
        found = self._point(field, when)
        return found.seq if found.seq is not None else seq_of_moment(self._log, found.at_us or 0)

    def search(self, expression: str, *, since: Moment | None = None, until: Moment | None = None) -> Iterator[Found]:
        """Return an iterator over the messages that an expression selects: `type=Order payload.customer=7 error~timeout`.

        All words must hold; see `perdure.operations.reading.search` for the fields. Payloads are looked into as plain MessagePack.

        Args:
            expression: the words.
            since: as `events`; only messages that are published, and events that are written, from then on count.
            until: likewise, up to then.

        Raises:
            InvalidMessage: the expression cannot be read; names the word.
            As `events`.
        """
        codec = MessagePack()
        return found_in(self.events(since=since, until=until), search_of(expression), lambda payload: codec.decode(payload, None))

    def acts(self, *, since: Moment | None = None, until: Moment | None = None) -> Iterator[OperatorAct]:
        """Return an iterator over the acts of operators: what each asked for, what it changed, from where and why.

        Args and errors: as `events`.
        """
        found = (act_of(record.seq, record.at, record.event) for record in self.events(since=since, until=until))
        return filter(None, found)

    def verify(self, progress: Callable[[int], None] | None = None, *, head: str | None = None) -> Verification:
        """Check every byte of the log and return what was found; `progress` is called with the bytes read so far.

        With `head`, the `.head` of an earlier check, history up to there must be what it was then.

        Raises:
            StoreUnavailable: the log cannot be read at all.
            ValueError: `head` is not one.
            HistoryDropped: `head` lies before what is kept.
        """
        check_callable("progress", progress)
        return verify(self._log, progress=progress, head=head)


def counts_of(states: States) -> Metrics:
    """Return the counts of folded states."""
    queue = states.queue
    return from_counts(
        seq=states.seq,
        at_us=states.at_us,
        by_type=queue.by_type,
        dead=len(queue.dead),
        late_results=queue.late_results,
        payload_bytes=queue.payload_bytes,
        keys_held=len(queue.held_keys),
        results_kept=len(queue.results),
    )


def wanted_events(kind: str | type | None) -> Wanted | None:
    """Return what says whether an event, and the type of its message, are what a `type` of `Audit.events` asks for; None: all are.

    Raises:
        InvalidMessage: it is no type, nor the name of one.
    """
    if kind is None:
        return None
    if isinstance(kind, str):
        if kind in EVENT_NAMES:
            return lambda event, _: type(event).__name__ == kind
        return lambda _, message_type: message_type == kind
    if not isinstance(kind, type):
        msg = f"type: an event class, a message type, or the name of one, not {shown(kind)}"
        raise InvalidMessage(msg)
    if issubclass(kind, ev.Event):
        return lambda event, _: isinstance(event, kind)
    name = name_of(kind)
    return lambda _, message_type: message_type == name


def means_event(kind: str | type | None) -> bool:
    """Return whether a `type` of `Audit.events` asks for a kind of event, and not for a type of message."""
    return kind in EVENT_NAMES if isinstance(kind, str) else kind is not None and issubclass(kind, ev.Event)


def reader_of(audit: Audit) -> LogReader:
    """Return the log that an audit reads, for other parts that read it."""
    return audit._log  # noqa: SLF001 - this module's own
