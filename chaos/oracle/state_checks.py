"""Checks of a running system: what its actors hold must be the fold of the log, and its reports must agree with the log.

The whole history at the end is checked by `history_checks`.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from perdure.actors.journal.log_fold import fold_log
from perdure.chaos.oracle.reference_model import BrokenContract, ReferenceModel, require
from perdure.events import vocabulary as ev
from perdure.events.codec.queue_snapshot import dump_queue
from perdure.events.codec.snapshot import dump_dead_letters, dump_handlers
from perdure.events.queue.lookup import look_up

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perdure.chaos.oracle.recording_store import RecordingStore
    from perdure.chaos.oracle.recording_system import RecordingSystem
    from perdure.events.queue.state import QueueState
    from perdure.store import Frame, Snapshot

__all__ = ["OverdueDelays", "check_state", "dead_letter_ids", "has_room", "is_at_rest"]

DECIDERS = ("queue", "dispatcher", "dead_letters")


def is_at_rest(system: RecordingSystem) -> bool:
    """Return whether nothing is left to do now and every decision is recorded, so that live state and log can be compared."""
    actors: dict[str, Any] = system.runtime.directory.actors
    journal = actors.get("journal")
    if journal is None or not system.executor.runs(journal) or journal.killed or system.runtime.health.failed is not None:
        return False
    deciders = [actors.get(name) for name in DECIDERS]
    return all(d is not None and d.ready and not d.killed and journal.terms.get(d.name) == d.term for d in deciders)


def has_room(system: RecordingSystem, messages: int) -> bool:
    """Return whether a system's backlog is certain to have room for so many more messages, now and a moment ago.

    Since then some may have been handed out, have ended, or have outlived their time; so half of the bound is enough.
    """
    queue: Any = system.runtime.directory.actors.get("queue")
    handed_out = len(system.recording.in_force)
    return queue is not None and queue.state.waiting + handed_out + messages <= system.options.backlog_max // 2


def check_state(system: RecordingSystem) -> None:
    """Check law 1 and scenarios 30, 42 and 43: live state is the fold of the log, with and without snapshots, and reports agree.

    Raises:
        BrokenContract: they differ; says where.
    """
    system.admin.metrics()  # a request lets a moment pass: what is due at this moment happens before it is counted
    runtime: Any = system.runtime
    queue, dispatcher, dead_letters = (runtime.directory.actors[name].state for name in DECIDERS)
    live = (dump_queue(queue), dump_handlers(dispatcher), dump_dead_letters(dead_letters))
    views: tuple[Any, ...] = (runtime.log.store, _WithoutSnapshots(runtime.log.store))
    for view in views:
        states, base = fold_log(view, finished_max=system.options.finished_max)
        folded = (dump_queue(states.queue), dump_handlers(states.handlers), dump_dead_letters(states.dead_letters))
        if folded != live:
            msg = f"live state is not the fold of the log from {base}: {_difference(folded, live)}"
            raise BrokenContract(msg)
    model = ReferenceModel()
    model.leased_again = lambda _ident, _attempt: True  # order is checked at the end, when all leases are known
    for _, _, at_us, event in runtime.log.store.recorded_events():
        model.take(at_us, event)
    _check_metrics(system, model)
    _check_dead_letters(system, model)
    _check_statuses(queue, model)


def _check_statuses(queue: QueueState, model: ReferenceModel) -> None:
    """Law 9: a reported status is true, and a message that is not remembered is not reported as known."""
    for ident, number in model.ids.items():
        item, reported = model.items[number], look_up(queue, ident)
        statuses = {"waiting": ("ready", "held")}.get(item.place, (item.fate if item.place == "ended" else item.place,))
        forgotten = item.place == "ended" and reported.status == "unknown" and reported.forgets
        require(
            reported.status in statuses or forgotten, f"{ident} is reported as {reported.status}, and is {' or '.join(statuses)}"
        )


def _check_metrics(system: RecordingSystem, model: ReferenceModel) -> None:
    metrics = system.admin.metrics()
    places = Counter(item.place for item in model.live.values())
    expected = {
        **model.counts,
        "delayed": places["delayed"],
        "in_flight": places["leased"],
        "dead_letters": sum(item.place == "dead" for item in model.items.values()),
        "payload_bytes": sum(len(item.published.payload) for item in model.live.values()),
    }
    for name, count in expected.items():
        reported = getattr(metrics, name)
        require(reported == count, f"metrics report {reported} {name}, an independent count gives {count}")
    waiting = metrics.ready + metrics.held
    require(waiting == places["waiting"], f"metrics report {waiting} waiting, an independent count gives {places['waiting']}")


def _check_dead_letters(system: RecordingSystem, model: ReferenceModel) -> None:
    expected = {i.published.id: i.letter for i in model.items.values() if i.place == "dead" and i.letter is not None}
    reported = {letter.id: letter for letter in system.dead_letters.list()}
    require(expected.keys() == reported.keys(), f"the dead letters are {sorted(reported)}, and should be {sorted(expected)}")
    for ident, event in expected.items():
        letter = reported[ident]
        one = (letter.attempts, letter.exception, letter.error, [failure.attempt for failure in letter.failures])
        failed = list(range(event.attempts - len(event.failures) + 1, event.attempts + 1))
        other = (event.attempts, event.exception, event.message, failed)
        reasons = (event.reason, f"{event.reason}: {event.message}")  # with the exception's text where the reason does not have it
        require(letter.reason in reasons, f"the reason of dead letter {ident} is {letter.reason!r}, and should be {event.reason!r}")
        require(one == other, f"the dead letter {ident} reports {one}, and should report {other}")


def dead_letter_ids(store: RecordingStore) -> set[str]:
    """Return the ids of all dead letters, as far as is written, synced or not."""
    dead: dict[int, str] = {}
    for _, _, _, event in store.recorded_events():
        if isinstance(event, ev.DeadLettered):
            dead[event.number] = event.published.id
        elif isinstance(event, (ev.Replayed, ev.Purged)):
            dead.pop(event.number, None)
    return set(dead.values())


class _WithoutSnapshots:
    """A view of a store that hides its snapshots and shows all frames that were ever in its log."""

    first_seq = 1

    def __init__(self, store: RecordingStore) -> None:
        self._store = store

    def frames(self, after: int = 0, until: int | None = None) -> Iterator[Frame]:
        return self._store.all_frames(after, until)

    def snapshots(self, at_most: int | None = None) -> Iterator[Snapshot]:  # noqa: ARG002 - the protocol's name
        return iter(())


def _difference(folded: tuple[Any, ...], live: tuple[Any, ...]) -> str:
    for one, other in zip(folded, live, strict=True):
        for key in one:
            if one[key] != other[key]:
                return f"{key}: folded {one[key]!r}, live {other[key]!r}"[:2_000]
    return "none"


class OverdueDelays:
    """Finds messages that are still delayed after they were due. A delay must end by itself, without any request."""

    def __init__(self) -> None:
        self._read: tuple[RecordingStore, int] | None = None

    def check(self, store: RecordingStore, by_us: int) -> None:
        """Check what was due by a time. Reads only the new events, unless the log was opened again.

        Raises:
            BrokenContract: a message is still delayed.
        """
        if self._read != (store, store.openings):
            self._read, self._seq, self._model = (store, store.openings), 0, ReferenceModel()
            self._model.leased_again = lambda _ident, _attempt: True  # as above
        for _, seq, at_us, event in store.recorded_events(self._seq):
            self._model.take(at_us, event)
            self._seq = seq
        late = [item.published.id for item in self._model.live.values() if item.place == "delayed" and item.due_us < by_us]
        require(not late, f"delayed messages that are due were not woken: {late}")
