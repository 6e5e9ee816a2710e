"""The checker: holds a night's whole history, and what the system says of itself, against what was promised.

Scenarios 29, 30, 36, 39, 42 and 43 of the project, and its laws. The facts are entered one by one in `reference_model`.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from perdure.actors.journal.recovery import recover
from perdure.actors.queue import decision_pass
from perdure.chaos.oracle.recorded_events import facts, facts_of
from perdure.chaos.oracle.reference_model import BrokenContract, Item, ReferenceModel, demand
from perdure.chaos.simulation.handlers import BACKOFF_S, RATE_PER_S, TYPES
from perdure.chaos.simulation.schedules import Ticks
from perdure.events import vocabulary as ev
from perdure.events.codec.snapshot import dump_dead_letters, dump_handlers, dump_queue
from perdure.events.queue import decisions as queue_rules
from perdure.events.queue.lookup import look_up

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perdure.chaos.oracle.recording_store import RecordingStore
    from perdure.chaos.simulation.scenario import Scenario
    from perdure.chaos.simulation.simulated_system import SimulatedSystem
    from perdure.events.queue.state import QueueState
    from perdure.store import Frame, Snapshot

__all__ = ["Sleepers", "at_rest", "check_history", "check_state", "dead_ids"]

DECIDERS = ("queue", "dispatcher", "dead_letters")
DELAYS_US = {"ValueError": round(BACKOFF_S * 1_000_000)}
"""What a failed attempt's exception makes the message wait, to the microsecond."""
RAISED = {
    *DELAYS_US,
    "RuntimeError",
    "perdure.DuplicateKey",
    "perdure.Rejected",
    "perdure.Requeued",
    "perdure.Reject",
    "perdure.Retry",
}
"""What handlers and consumers here say of an attempt that failed."""


# --- what the live system holds ------------------------------------------------------------------------------------------


def at_rest(system: SimulatedSystem) -> bool:
    """Tell whether nothing is left to do now, and all that was decided is on record, so that it can be compared."""
    actors: dict[str, Any] = system.runtime.directory.actors
    journal = actors.get("journal")
    if journal is None or not system.executor.runs(journal) or journal.killed or system.runtime.health.failed is not None:
        return False
    deciders = [actors.get(name) for name in DECIDERS]
    return all(d is not None and d.ready and not d.killed and journal.terms.get(d.name) == d.term for d in deciders)


def check_state(system: SimulatedSystem) -> None:
    """Law 1, scenarios 30, 42, 43: what the actors hold is the fold of the log, with snapshots and without; metrics agree with it.

    Raises:
        BrokenPromise: it is not; says where they differ.
    """
    system.admin.metrics()  # asking lets a moment pass, in which what is due just now happens: before it is counted, not after
    runtime: Any = system.runtime
    queue, dispatcher, dead_letters = (runtime.directory.actors[name].state for name in DECIDERS)
    held = (dump_queue(queue), dump_handlers(dispatcher), dump_dead_letters(dead_letters))
    views: tuple[Any, ...] = (runtime.log.store, _WithoutSnapshots(runtime.log.store))
    for view in views:
        states, base = recover(view, finished_max=system.options.finished_max)
        folded = (dump_queue(states.queue), dump_handlers(states.handlers), dump_dead_letters(states.dead_letters))
        if folded != held:
            msg = f"what the actors hold is not the fold of the log from {base}: {_difference(folded, held)}"
            raise BrokenContract(msg)
    reference_model = ReferenceModel()
    reference_model.leased_again = lambda _ident, _attempt: True  # order is looked at in the end, when all is known
    for _, _, at_us, event in facts(runtime.log.store):
        reference_model.take(at_us, event)
    _check_metrics(system, reference_model)
    _check_dead_letters(system, reference_model)
    _check_standings(queue, reference_model)


def _check_standings(queue: QueueState, reference_model: ReferenceModel) -> None:
    """Law 9: where a message is said to be is where it is; what is not remembered is not said to be known."""
    for ident, number in reference_model.ids.items():
        item, told = reference_model.items[number], look_up(queue, ident)
        where = {"waiting": ("ready", "held")}.get(item.place, (item.fate if item.place == "ended" else item.place,))
        forgotten = item.place == "ended" and told.status == "unknown" and told.forgets
        demand(told.status in where or forgotten, f"{ident} is said to be {told.status}, and is {' or '.join(where)}")


def _check_metrics(system: SimulatedSystem, reference_model: ReferenceModel) -> None:
    metrics = system.admin.metrics()
    places = Counter(item.place for item in reference_model.live.values())
    mine = {
        **reference_model.counts,
        "delayed": places["delayed"],
        "in_flight": places["leased"],
        "dead_letters": sum(item.place == "dead" for item in reference_model.items.values()),
        "payload_bytes": sum(len(item.published.payload) for item in reference_model.live.values()),
    }
    for name, count in mine.items():
        told = getattr(metrics, name)
        demand(told == count, f"metrics tell of {told} {name}, an independent count of {count}")
    waiting = metrics.ready + metrics.held
    demand(waiting == places["waiting"], f"metrics tell of {waiting} waiting, an independent count of {places['waiting']}")


def _check_dead_letters(system: SimulatedSystem, reference_model: ReferenceModel) -> None:
    mine = {i.published.id: i.letter for i in reference_model.items.values() if i.place == "dead" and i.letter is not None}
    told = {letter.id: letter for letter in system.dead_letters.list()}
    demand(mine.keys() == told.keys(), f"the dead letters are {sorted(told)}, and should be {sorted(mine)}")
    for ident, fact in mine.items():
        letter = told[ident]
        one = (letter.attempts, letter.exception, letter.error, [f.attempt for f in letter.failures])
        other = (fact.attempts, fact.exception, fact.message, [note.attempt for note in fact.failures])
        reasons = (fact.reason, f"{fact.reason}: {fact.message}")  # with what the exception said, where it does not tell that
        demand(letter.reason in reasons, f"the dead letter {ident} died of {letter.reason!r}, and should of {fact.reason!r}")
        demand(one == other, f"the dead letter {ident} tells {one}, and should tell {other}")


def dead_ids(store: RecordingStore) -> set[str]:
    """Give the ids of the messages that are dead letters as far as anybody has written."""
    dead: dict[int, str] = {}
    for _, _, _, event in facts(store):
        if isinstance(event, ev.DeadLettered):
            dead[event.number] = event.published.id
        elif isinstance(event, (ev.Replayed, ev.Purged)):
            dead.pop(event.number, None)
    return set(dead.values())


class _WithoutSnapshots:
    """A store whose snapshots are looked away from, with all that was ever in its log."""

    first_seq = 1

    def __init__(self, store: RecordingStore) -> None:
        self._store = store

    def frames(self, after: int = 0, until: int | None = None) -> Iterator[Frame]:
        return self._store.all_frames(after, until)

    def snapshots(self, at_most: int | None = None) -> Iterator[Snapshot]:  # noqa: ARG002 - the protocol's name
        return iter(())


def _difference(folded: tuple[Any, ...], held: tuple[Any, ...]) -> str:
    for one, other in zip(folded, held, strict=True):
        for key in one:
            if one[key] != other[key]:
                return f"{key}: folded {one[key]!r}, held {other[key]!r}"[:2_000]
    return "none"


class Sleepers:
    """A delay ends by itself: nothing that was due by a time may still be delayed, though nobody has asked for anything since."""

    def __init__(self) -> None:
        self._read: tuple[RecordingStore, int] | None = None

    def check(self, store: RecordingStore, by_us: int) -> None:
        """Look for one; reads on from where it was, unless the log has been opened anew.

        Raises:
            BrokenPromise: somebody sleeps.
        """
        if self._read != (store, store.openings):
            self._read, self._seq, self._reference_model = (store, store.openings), 0, ReferenceModel()
            self._reference_model.leased_again = lambda _ident, _attempt: True  # as above
        for _, seq, at_us, event in facts(store, self._seq):
            self._reference_model.take(at_us, event)
            self._seq = seq
        late = [
            item.published.id for item in self._reference_model.live.values() if item.place == "delayed" and item.due_us < by_us
        ]
        demand(not late, f"nobody woke what was due: {late}")


# --- the whole history ---------------------------------------------------------------------------------------------------


def check_history(scenario: Scenario) -> ReferenceModel:
    """Hold the log against all that was said to publishers and consumers, and against itself.

    Raises:
        BrokenPromise: the first promise that is broken.
    """
    reference_model = ReferenceModel()
    reference_model.leased_again = lambda ident, attempt: (ident, attempt) in scenario.leased_again
    frame = _Frame(scenario, reference_model)
    ticks = Ticks(scenario.starts_us)
    most: dict[str, int] = {}
    pace = _Pace(scenario.name_of(TYPES["metered"]))
    for n, seq, at_us, event in facts(scenario.store):
        demand(seq == frame.seq + 1, f"sequence {seq} where {frame.seq + 1} is next")
        if n != frame.number:
            frame.close()
            frame = _Frame(scenario, reference_model, n)
        reference_model.take(at_us, event)
        frame.take(seq, at_us, event)
        pace.take(at_us, event, reference_model)
        ticks.take(n, at_us, event)
        match event:
            case ev.HandlerRegistered(type=name, parallelism=fewest, parallelism_max=maximum):
                most[name] = max(fewest, maximum)
            case ev.Adapted(type=name, parallelism=workers):
                demand(workers <= most[name], f"{name} has grown to {workers} workers, where {most[name]} may be")
    frame.close()
    _check_passes(scenario.store)
    ticks.close(scenario.executor.clock.now_us())
    _check_publishers(scenario, reference_model, ticks.ids)
    demand(not reference_model.live, f"never done: {sorted(item.published.id for item in reference_model.live.values())}")
    return reference_model


ALONE = (ev.AttemptFailed, ev.LeaseExpired, ev.Returned, ev.Awakened, ev.Expired)
"""Of these there is one in what the queue decides about at a time, where it deals with one deadline at a time."""


def _check_passes(store: RecordingStore) -> None:
    """Law 7: one append holds a full pass and what filled it, which is little in half of the nights."""
    most = max(decision_pass.PASS_EVENTS, queue_rules.TICK_MAX)
    for frame in store.all_frames():
        for _, events in facts_of(frame.body, frame.count):
            kinds = Counter(map(type, events))
            ends = sum(kinds[kind] for kind in ALONE)
            demand(ends <= most, f"one append deals with {ends} attempts and deadlines, where {most} are a full pass")
            leases = kinds[ev.Leased]
            demand(leases <= most + queue_rules.LEASES_MAX, f"one append hands out {leases} at a time")


class _Frame:
    """What must be in one frame together: a completion and its children, an end and its result, the last failure and the burial."""

    def __init__(self, scenario: Scenario, reference_model: ReferenceModel, number: int = -1) -> None:
        self.number = number
        self.seq = 0
        self._scenario = scenario
        self._reference_model = reference_model
        self._completed: dict[str, int] = {}
        self._ended: set[str] = set()
        self._results: set[str] = set()
        self._published: list[ev.Published] = []
        self._last_failures: list[int] = []

    def take(self, seq: int, at_us: int, event: ev.Event) -> None:
        self.seq = seq
        item = self._reference_model.items.get(getattr(event, "number", 0))
        ident = "" if item is None else item.published.id
        match event:
            case ev.Published():
                self._published.append(event)
            case ev.Completed(attempt=attempt):
                self._completed[ident] = attempt
                self._ended.add(ident)
            case ev.Superseded() | ev.Cancelled() | ev.Expired() | ev.DeadLettered():
                self._ended.add(ident)
            case ev.ResultKept(id=kept):
                self._results.add(kept)
            case ev.AttemptFailed(number=number, due_us=due_us, exception=exception):
                if not due_us:
                    self._last_failures.append(number)
                elif exception in DELAYS_US:
                    waits_us = due_us - at_us
                    demand(waits_us == DELAYS_US[exception], f"{ident} waits {waits_us} us, not as its backoff says")
                demand(exception in RAISED, f"{ident} failed of {exception}, which nobody raised")

    def close(self) -> None:
        """The frame is whole: look at what it holds together."""
        for number in self._last_failures:
            item = self._reference_model.items[number]
            demand(not item.is_live, f"{item.published.id} failed for good, and is {item.place}")
        for child in self._published:
            self._check_key(self._reference_model.items[child.number])
            if child.causation_id is not None:
                attempt = self._completed.get(child.causation_id)
                whole = attempt is not None and child.id.startswith(f"{child.causation_id}.{attempt}.")
                demand(whole, f"{child.id} is there without the completion of the attempt that published it")
        for ident, attempt in self._completed.items():
            for child_id in self._scenario.children(ident, attempt):
                demand(
                    child_id in self._reference_model.ids, f"{ident} is completed without {child_id}, which its handler published"
                )
        for ident in self._ended:
            extras = self._reference_model.items[self._reference_model.ids[ident]].published.extras
            wanted = extras is not None and extras.result_us > 0
            demand(not wanted or ident in self._results, f"{ident} has ended without the result that was asked for")

    def _check_key(self, item: Item) -> None:
        """Of a key whose messages replace each other one waits: the newest."""
        if item.key is None or item.place not in {"waiting", "delayed"} or item.published.dedup != "replace":
            return
        for other in self._reference_model.peers(item):
            if other.key == item.key:
                one_waits = other.place == "leased" or other.number > item.number
                demand(one_waits, f"{item.published.id} took no place: {other.published.id} of its key waits on")


class _Pace:
    """A limited rate: no more deliveries in any time than it allows (a bucket that leaks at the rate and holds one burst)."""

    def __init__(self, type_name: str) -> None:
        self._type = type_name
        self._interval_us = round(1_000_000 / RATE_PER_S)
        self._full_us = 0
        self._at_us = 0

    def take(self, at_us: int, event: ev.Event, reference_model: ReferenceModel) -> None:
        if at_us < self._at_us:
            self._full_us = 0  # the time of day was corrected
        self._at_us = at_us
        if not isinstance(event, ev.Leased) or event.holder:
            return
        published = reference_model.items[event.number].published
        if published.type != self._type or reference_model.leased_again(published.id, event.attempt):
            return
        self._full_us = max(self._full_us, at_us) + self._interval_us
        demand(self._full_us <= at_us + self._interval_us, f"{published.id} was delivered sooner than its rate allows")


def _check_publishers(scenario: Scenario, reference_model: ReferenceModel, of_ticks: set[str]) -> None:
    there = reference_model.ids.keys()
    if lost := scenario.acknowledged - there:
        msg = f"acknowledged and gone: {sorted(lost)}"
        raise BrokenContract(msg)
    if forgotten := scenario.database.committed - there:
        msg = f"committed in the host's database and not published: {sorted(forgotten)}"
        raise BrokenContract(msg)
    if ghosts := scenario.refused & there:
        msg = f"refused and there: {sorted(ghosts)}"
        raise BrokenContract(msg)
    for one, next_one in pairwise(ident for ident in scenario.asked if ident in there):
        demand(
            reference_model.ids[one] < reference_model.ids[next_one],
            f"{next_one} was published before {one}, which was asked for first",
        )
    children = {ident for ident in there if reference_model.items[reference_model.ids[ident]].published.causation_id is not None}
    many = {ident for ident in there if len(ident) == len("00000000-0000-7000-8000-000000000000")}
    if invented := there - children - scenario.acknowledged - scenario.uncertain - many - of_ticks - scenario.database.committed:
        msg = f"nobody published: {sorted(invented)}"
        raise BrokenContract(msg)
    for ident, options in scenario.options.items():
        if "debounce" in options and ident in there:
            published = reference_model.items[reference_model.ids[ident]].published
            demand(published.due_us and published.dedup == "replace", f"{ident} is not held back for those that may follow it")
    for ident, attempt in scenario.acked:
        item = reference_model.items[reference_model.ids[ident]]
        demand((item.place, item.attempts) == ("ended", attempt), f"the consumer's ack of {ident}, attempt {attempt}, is gone")
