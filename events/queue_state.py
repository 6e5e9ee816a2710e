"""What the queue knows, and how each fact changes it: `QueueState` and `evolve`.

No decision is made here: `evolve` takes every fact as given and cannot refuse it. Decisions are in `queue_rules`.
"""

from __future__ import annotations

from collections import deque
from heapq import heapify, heappop, heappush
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import attrs

from perdure.events import vocabulary as ev
from perdure.events.lane import Line
from perdure.events.message import Message, Status, Where

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["KeyHolder", "KeySlots", "QueueState", "TypeCounts", "evolve", "evolve_all", "settle_deadlines"]

READY, DELAYED, HELD, LEASED = Status.READY, Status.DELAYED, Status.HELD, Status.LEASED
NOWHERE = Where.NOWHERE
_class_of = attrgetter("__class__")
FOREVER = 1 << 62


@attrs.define(eq=False)
class KeyHolder:
    """The live messages of one deduplication key: at most one waits, at most one is out. 0: none."""

    waiting: int = 0
    running: int = 0


@attrs.define(eq=False)
class KeySlots:
    """The messages of one key whose type limits how many of a key may be out: who has a slot, and who waits for one."""

    taken: set[int] = attrs.field(factory=set)
    waiting: list[tuple[int, int, int]] = attrs.field(factory=list)
    """Heap of (-priority, rank, number); entries of messages that wait no longer are skipped."""


@attrs.define
class TypeCounts:
    """How many live messages of one type stand where, and what became of all there ever were."""

    ready: int = 0
    delayed: int = 0
    held: int = 0
    in_flight: int = 0
    out: int = 0
    """Of those in flight, the ones with the handler's own workers."""
    published: int = 0
    completed: int = 0
    failed: int = 0
    retried: int = 0
    lease_expired: int = 0
    superseded: int = 0
    expired: int = 0
    dead_lettered: int = 0
    replayed: int = 0
    purged: int = 0
    cancelled: int = 0


@attrs.define(eq=False)
class QueueState:
    """The queue as the fold of its facts. Everything but `limits_*` follows from the events alone."""

    finished_max: int = 65_536
    """How many ended messages are remembered, so that a repeated publish or report of one is recognised."""

    next_number: int = 1
    messages: dict[int, Message] = attrs.field(factory=dict)
    ids: dict[str, int] = attrs.field(factory=dict)
    finished: dict[int, tuple[str, int]] = attrs.field(factory=dict)
    finished_order: deque[int] = attrs.field(factory=deque)
    lines: dict[str, Line] = attrs.field(factory=dict)
    leased: dict[int, Message] = attrs.field(factory=dict)
    delayed: list[tuple[int, int]] = attrs.field(factory=list)
    expiring: list[tuple[int, int]] = attrs.field(factory=list)
    keys: dict[tuple[str, str], KeyHolder] = attrs.field(factory=dict)
    groups: dict[str, deque[int]] = attrs.field(factory=dict)
    slots: dict[tuple[str, str], KeySlots] = attrs.field(factory=dict)
    suspects: set[int] = attrs.field(factory=set)
    held_keys: dict[tuple[str, str], tuple[str, int]] = attrs.field(factory=dict)
    """Keys held by a window after completion: the id of who had it, and until when."""
    results: dict[str, ev.ResultKept] = attrs.field(factory=dict)
    fading: list[tuple[int, str, str]] = attrs.field(factory=list)
    """Heap of (until_us, id, "") for results and (until_us, type, key) for held keys."""
    paces: dict[str, int] = attrs.field(factory=dict)
    """Type to the time at which its rate allows the next delivery."""
    ticks: dict[str, int] = attrs.field(factory=dict)
    """Schedule to its last tick that is dealt with."""
    dead: dict[int, tuple[str, str]] = attrs.field(factory=dict)
    """Number to (id, type) of each dead letter; the letters themselves are with `dead_letters`."""
    by_type: dict[str, TypeCounts] = attrs.field(factory=dict)
    late_results: int = 0
    payload_bytes: int = 0
    lease_horizon_us: int = FOREVER
    """No lease ends before this; only ever too early, never too late."""

    @property
    def waiting(self) -> int:
        """Live messages that are not out with a holder."""
        return len(self.messages) - len(self.leased)

    def counts(self, type_name: str) -> TypeCounts:
        """Give the counts of a type, made at first use."""
        counts = self.by_type.get(type_name)
        if counts is None:
            counts = self.by_type[type_name] = TypeCounts()
        return counts


def is_suspect(message: Message) -> bool:
    """Tell whether a message may be what kills the process, so that it must run with nothing beside it."""
    return message.crashes >= 2  # noqa: PLR2004 - one crash can be chance; who was there twice is watched


def evolve_all(state: QueueState, events: Sequence[ev.Event]) -> None:
    """Fold facts in order: what `evolve` does to each, with the work of a long run of one kind done in one loop."""
    for cls, run in groupby(events, _class_of):
        fold_run = _RUNS.get(cls)
        if fold_run is not None:
            fold_run(state, run)
            continue
        fold = _FOLDS.get(cls)
        if fold is not None:
            for event in run:
                fold(state, event)


def evolve(state: QueueState, event: ev.Event) -> QueueState:
    """Fold one fact into the state (in place) and give it back. Facts of other actors change nothing here."""
    fold = _FOLDS.get(event.__class__)
    if fold is not None:
        fold(state, event)
    return state


# --- runs: the same folds as below, for the messages that nearly all are --------------------------------------------------


def _published_run(state: QueueState, events: Iterable[ev.Published]) -> None:
    """Fold many `Published`; plain messages (no key, group, time or terms) go to the end of their line."""
    messages, ids = state.messages, state.ids
    lane, counts, name, priority, size = None, None, "", 0, 0
    for event in events:
        if event.key is not None or event.group is not None or event.terms is not None or event.due_us or event.expires_us:
            _published(state, event)
            continue
        if lane is None or counts is None or event.type != name or event.priority != priority:
            name, priority = event.type, event.priority
            counts = state.counts(name)
            line = state.lines.get(name)
            if line is None:
                line = state.lines[name] = Line()
            lane = line.lane(priority)
        number = event.number
        message = messages[number] = Message(event, number, number)
        ids[event.id] = number
        size += len(event.payload)
        counts.published += 1
        counts.ready += 1
        state.next_number = number + 1
        lane.add(message)
    state.payload_bytes += size


def _leased_run(state: QueueState, events: Iterable[ev.Leased]) -> None:
    """Fold many `Leased`; the lines they leave are tidied once."""
    messages, leased = state.messages, state.leased
    left: dict[tuple[str, int], Message] = {}
    for event in events:
        number = event.number
        message = messages[number]
        published = message.published
        if published.key is not None:
            _leased(state, event)
            continue
        counts = state.by_type[published.type]
        counts.ready -= 1
        counts.in_flight += 1
        if not event.holder:
            counts.out += 1
        message.status, message.where = LEASED, NOWHERE
        message.lease, message.until_us = event, event.until_us
        if event.until_us and event.until_us < state.lease_horizon_us:
            state.lease_horizon_us = event.until_us
        leased[number] = message
        left[published.type, published.priority] = message
    for (name, _), message in left.items():
        state.lines[name].trim(message)


def _completed_run(state: QueueState, events: Iterable[ev.Completed]) -> None:
    """Fold many `Completed`."""
    messages, leased, suspects = state.messages, state.leased, state.suspects
    finished, order, finished_max = state.finished, state.finished_order, state.finished_max
    size = 0
    for event in events:
        number = event.number
        message = messages[number]
        published, lease = message.published, message.lease
        if published.key is not None or published.group is not None or published.terms is not None or lease is None:
            _completed(state, event)
            continue
        counts = state.by_type[published.type]
        counts.completed += 1
        counts.in_flight -= 1
        if not lease.holder:
            counts.out -= 1
        del leased[number], messages[number]
        size += len(published.payload)
        if suspects:
            suspects.discard(number)
        finished[number] = (published.id, event.attempt)
        order.append(number)
        if len(order) > finished_max:
            _forget_oldest(state)
    state.payload_bytes -= size


# --- entering and leaving ------------------------------------------------------------------------------------------------


def _published(state: QueueState, event: ev.Published) -> None:
    number = event.number
    message = Message(event, number, number, event.due_us)
    state.next_number = number + 1
    state.counts(event.type).published += 1
    _enter(state, message)


def _enter(state: QueueState, message: Message) -> None:
    published, number = message.published, message.number
    state.messages[number] = message
    state.ids[published.id] = number
    state.payload_bytes += len(published.payload)
    if published.expires_us:
        heappush(state.expiring, (published.expires_us, number))
    if published.group is not None:
        line = state.groups.setdefault(published.group, deque())
        if line and line[-1] > number:
            # A replayed message goes back before those published after it, but never before the one that is out.
            head_is_out = line[0] in state.leased
            rest = sorted([*line, number][1:] if head_is_out else [*line, number])
            state.groups[published.group] = deque([line[0], *rest] if head_is_out else rest)
            _hold_back(state, state.groups[published.group])
        else:
            line.append(number)
    if published.key is not None and published.dedup != "append":
        holder = state.keys.setdefault((published.type, published.key), KeyHolder())
        if holder.waiting:
            older = state.messages[holder.waiting]
            message.rank = older.rank if older.published.priority == published.priority else number
        holder.waiting = number
    _place(state, message)


def _hold_back(state: QueueState, group: deque[int]) -> None:
    """Take out of line who is no longer first of its group."""
    for number in list(group)[1:]:
        message = state.messages.get(number)
        if message is not None and message.where:  # in line; the one just entering is not yet
            _unplace(state, message)
            _stand(state, message, HELD)
            _fill_slots(state, message.published)


def _place(state: QueueState, message: Message) -> None:
    """Let a waiting message stand where it belongs now."""
    published = message.published
    if message.due_us:
        heappush(state.delayed, (message.due_us, message.number))
        _stand(state, message, DELAYED)
        return
    if published.group is not None and state.groups[published.group][0] != message.number:
        _stand(state, message, HELD)
        return
    if published.key is not None and published.dedup != "append":
        running = state.keys[published.type, published.key].running
        if running and running != message.number:
            _stand(state, message, HELD)
            return
    elif published.key is not None and published.terms is not None and not _takes_slot(state, message):
        _stand(state, message, HELD)
        return
    message.status = READY
    state.counts(published.type).ready += 1
    line = state.lines.get(published.type)
    if line is None:
        line = state.lines[published.type] = Line()
    line.add(message)


def _takes_slot(state: QueueState, message: Message) -> bool:
    """Give the message a slot of its key, or a place in the line for one."""
    published = message.published
    limit = published.terms.key_parallelism if published.terms is not None else 0
    if not limit or published.key is None:
        return True
    slots = state.slots.setdefault((published.type, published.key), KeySlots())
    if message.number in slots.taken:
        return True
    if len(slots.taken) < limit:
        slots.taken.add(message.number)
        return True
    heappush(slots.waiting, (-published.priority, message.rank, message.number))
    return False


def _fill_slots(state: QueueState, published: ev.Published) -> None:
    """Let those in line for a slot of a key have what has come free."""
    key = (published.type, published.key or "")
    slots = state.slots.get(key)
    if slots is None or published.terms is None:
        return
    while slots.waiting and len(slots.taken) < published.terms.key_parallelism:
        following = state.messages.get(heappop(slots.waiting)[2])
        if following is not None and following.status is HELD:
            _unplace(state, following)
            _place(state, following)
    if not slots.taken and not slots.waiting:
        del state.slots[key]


def stand_again(state: QueueState, message: Message) -> None:
    """Let a waiting message of a snapshot stand where it belongs, once all that it may wait for are known."""
    if message.published.expires_us:
        heappush(state.expiring, (message.published.expires_us, message.number))
    _place(state, message)


def _stand(state: QueueState, message: Message, status: Status) -> None:
    message.status = status
    counts = state.counts(message.published.type)
    if status is DELAYED:
        counts.delayed += 1
    else:
        counts.held += 1


def _unplace(state: QueueState, message: Message) -> None:
    """Take a message from where it stands, whatever that is."""
    published = message.published
    counts = state.counts(published.type)
    status = message.status
    if published.terms is not None and (slots := state.slots.get((published.type, published.key or ""))) is not None:
        slots.taken.discard(message.number)
    if status is LEASED:
        counts.in_flight -= 1
        lease = message.lease
        if lease is not None and not lease.holder:
            counts.out -= 1
        message.lease = None
        message.until_us = 0
        message.percent, message.note = None, ""
        del state.leased[message.number]
        if published.key is not None and published.dedup != "append":
            state.keys[published.type, published.key].running = 0
    elif status is READY:
        counts.ready -= 1
        message.status = HELD  # no longer in line: what is left of it there is a husk
        state.lines[published.type].trim(message)
    elif status is DELAYED:
        counts.delayed -= 1
    else:
        counts.held -= 1


def _back(state: QueueState, message: Message) -> None:
    """A message that was out waits again (unless a newer one of its key does: then its end follows in the same frame)."""
    published = message.published
    if published.expires_us:
        heappush(state.expiring, (published.expires_us, message.number))
    if published.key is not None and published.dedup != "append":
        holder = state.keys[published.type, published.key]
        if holder.waiting:
            message.due_us = 0
            _stand(state, message, HELD)
            return
        holder.waiting = message.number
    _place(state, message)
    if published.group is not None:
        _order_group(state, published.group)
    if published.terms is not None:
        _fill_slots(state, published)


def _order_group(state: QueueState, group: str) -> None:
    """Nothing of the group is out any more: whoever was replayed before the one that was comes before it now.

    So a group stands in the order of its numbers, but for one that is out; a snapshot relies on that.
    """
    line = state.groups[group]
    if len(line) < 2 or line[0] < line[1]:  # noqa: PLR2004 - of one there is no order
        return
    ordered = state.groups[group] = deque(sorted(line))
    _hold_back(state, ordered)
    first = state.messages[ordered[0]]
    if first.status is HELD:
        _unplace(state, first)
        _place(state, first)


def _leave(state: QueueState, message: Message, attempt: int) -> None:
    """A message ends: forget it but for its id, and let in who waited for it."""
    published, number = message.published, message.number
    _unplace(state, message)
    del state.messages[number]
    state.payload_bytes -= len(published.payload)
    state.suspects.discard(number)
    if published.key is not None and published.dedup != "append":
        _free_key(state, (published.type, published.key), number)
    if published.group is not None:
        _free_group(state, published.group, number)
    if published.terms is not None:
        _fill_slots(state, published)
    _remember(state, number, published.id, attempt)


def _remember(state: QueueState, number: int, ident: str, attempt: int) -> None:
    """Keep an ended message's id for as long as there is room, so that a repeated publish or report is recognised."""
    state.finished[number] = (ident, attempt)
    order = state.finished_order
    order.append(number)
    if len(order) > state.finished_max:
        _forget_oldest(state)


def _forget_oldest(state: QueueState) -> None:
    oldest = state.finished_order.popleft()
    ended = state.finished.pop(oldest, None)
    if ended is not None and state.ids.get(ended[0]) == oldest and oldest not in state.dead:
        del state.ids[ended[0]]


def _free_key(state: QueueState, key: tuple[str, str], number: int) -> None:
    holder = state.keys[key]
    if holder.waiting == number:
        holder.waiting = 0
    if holder.waiting and not holder.running:
        newer = state.messages[holder.waiting]
        if newer.status is HELD:
            _unplace(state, newer)
            _place(state, newer)
    elif not holder.running:
        del state.keys[key]


def _free_group(state: QueueState, group: str, number: int) -> None:
    line = state.groups[group]
    was_head = line[0] == number
    line.remove(number)
    if not line:
        del state.groups[group]
    elif was_head:
        following = state.messages[line[0]]
        if following.status is HELD:
            _unplace(state, following)
            _place(state, following)


# --- the life between ----------------------------------------------------------------------------------------------------


def _superseded(state: QueueState, event: ev.Superseded) -> None:
    message = state.messages[event.number]
    state.counts(message.published.type).superseded += 1
    _leave(state, message, message.attempts)


def _expired(state: QueueState, event: ev.Expired) -> None:
    message = state.messages[event.number]
    state.counts(message.published.type).expired += 1
    _leave(state, message, message.attempts)


def _cancelled(state: QueueState, event: ev.Cancelled) -> None:
    message = state.messages[event.number]
    state.counts(message.published.type).cancelled += 1
    _leave(state, message, message.attempts)


def _completed(state: QueueState, event: ev.Completed) -> None:
    number = event.number
    message = state.messages[number]
    published = message.published
    counts = state.by_type[published.type]
    counts.completed += 1
    if published.key is not None or published.group is not None or published.terms is not None or message.lease is None:
        _leave(state, message, event.attempt)
        return
    # What nearly every message comes to: `_leave`, without the steps that only keys and groups need.
    counts.in_flight -= 1
    if not message.lease.holder:
        counts.out -= 1
    del state.leased[number]
    del state.messages[number]
    state.payload_bytes -= len(published.payload)
    state.suspects.discard(number)
    _remember(state, number, published.id, event.attempt)


def _leased(state: QueueState, event: ev.Leased) -> None:
    message = state.messages[event.number]
    published = message.published
    counts = state.counts(published.type)
    counts.ready -= 1
    message.status = LEASED
    state.lines[published.type].trim(message)
    counts.in_flight += 1
    if not event.holder:
        counts.out += 1
    message.lease = event
    message.until_us = event.until_us
    if event.until_us and event.until_us < state.lease_horizon_us:
        state.lease_horizon_us = event.until_us
    state.leased[event.number] = message
    if published.key is not None and published.dedup != "append":
        holder = state.keys[published.type, published.key]
        holder.waiting, holder.running = 0, event.number


def _lease_extended(state: QueueState, event: ev.LeaseExtended) -> None:
    message = state.messages[event.number]
    message.until_us = event.until_us
    if event.until_us and event.until_us < state.lease_horizon_us:
        state.lease_horizon_us = event.until_us


def _progressed(state: QueueState, event: ev.Progressed) -> None:
    message = state.messages[event.number]
    message.percent, message.note = event.percent, event.note
    message.until_us = event.until_us


def _attempt_failed(state: QueueState, event: ev.AttemptFailed) -> None:
    message = state.messages[event.number]
    counts = state.counts(message.published.type)
    counts.failed += 1
    if event.due_us:
        counts.retried += 1
    note = ev.FailureNote(event.at_us, event.attempt, event.exception, event.message)
    _count_attempt(state, message, event.attempt, note)
    message.due_us = event.due_us
    _back(state, message)


def _lease_expired(state: QueueState, event: ev.LeaseExpired) -> None:
    message = state.messages[event.number]
    state.counts(message.published.type).lease_expired += 1
    if event.crashed:
        message.crashes += 1
    note = ev.FailureNote(event.at_us, event.attempt, "LeaseExpired", event.reason)
    retries = message.lease.retries if message.lease is not None else 0
    _count_attempt(state, message, event.attempt, note)
    last_chance = message.crashes and retries >= 0 and message.attempts >= retries
    if is_suspect(message) or last_chance:
        state.suspects.add(event.number)
    _back(state, message)


def _count_attempt(state: QueueState, message: Message, attempt: int, note: ev.FailureNote) -> None:
    _unplace(state, message)
    message.attempts = message.settled = attempt
    message.failures = [*(message.failures or ())[-31:], note]  # the last 32: a message retried for ever stays small


def _returned(state: QueueState, event: ev.Returned) -> None:
    message = state.messages[event.number]
    _unplace(state, message)
    message.singly = message.singly or event.singly
    _back(state, message)


def _awakened(state: QueueState, event: ev.Awakened) -> None:
    message = state.messages[event.number]
    _unplace(state, message)
    message.due_us = 0
    _place(state, message)


def is_delayed_until(state: QueueState, due_us: int, number: int) -> bool:
    """Tell whether an entry of `delayed` still holds."""
    message = state.messages.get(number)
    return message is not None and message.status is DELAYED and message.due_us == due_us


def is_expiring_at(state: QueueState, expires_us: int, number: int) -> bool:
    """Tell whether an entry of `expiring` still holds."""
    message = state.messages.get(number)
    return message is not None and message.status is not LEASED and message.published.expires_us == expires_us


def _tidy(heap: list[tuple[int, int]], holds: Callable[[int, int], bool]) -> None:
    """Drop entries at the front that no longer hold."""
    while heap and not holds(*heap[0]):
        heappop(heap)


def settle_deadlines(state: QueueState, now_us: int) -> None:
    """Bring what is only derived up to date: drop stale deadlines, look up the next lease to end. Changes no meaning."""
    _tidy(state.delayed, lambda due, number: is_delayed_until(state, due, number))
    _tidy(state.expiring, lambda due, number: is_expiring_at(state, due, number))
    while state.fading and not fading_at(state, *state.fading[0]):
        heappop(state.fading)
    if len(state.delayed) > 2 * len(state.messages) + 1024:
        state.delayed = [entry for entry in state.delayed if is_delayed_until(state, *entry)]
        heapify(state.delayed)
    if len(state.expiring) > 2 * len(state.messages) + 1024:
        state.expiring = [entry for entry in state.expiring if is_expiring_at(state, *entry)]
        heapify(state.expiring)
    if state.lease_horizon_us <= now_us:
        state.lease_horizon_us = min((m.until_us for m in state.leased.values() if m.until_us), default=FOREVER)


def _dead_lettered(state: QueueState, event: ev.DeadLettered) -> None:
    state.counts(event.published.type).dead_lettered += 1
    state.dead[event.number] = (event.published.id, event.published.type)
    _leave(state, state.messages[event.number], event.attempts)


def _replayed(state: QueueState, event: ev.Replayed) -> None:
    state.counts(event.published.type).replayed += 1
    state.dead.pop(event.number, None)
    message = Message(event.published, event.number, event.number, attempts=event.attempts)
    message.failures = list(event.failures) or None
    state.finished.pop(event.number, None)
    _enter(state, message)


def _purged(state: QueueState, event: ev.Purged) -> None:
    ident, type_name = state.dead.pop(event.number)
    state.counts(type_name).purged += 1
    if event.number not in state.finished and state.ids.get(ident) == event.number:
        del state.ids[ident]


def _key_held(state: QueueState, event: ev.KeyHeld) -> None:
    state.held_keys[event.type, event.key] = (event.id, event.until_us)
    heappush(state.fading, (event.until_us, event.type, event.key))


def _key_freed(state: QueueState, event: ev.KeyFreed) -> None:
    state.held_keys.pop((event.type, event.key), None)


def _result_kept(state: QueueState, event: ev.ResultKept) -> None:
    state.results[event.id] = event
    heappush(state.fading, (event.until_us, event.id, ""))


def _result_dropped(state: QueueState, event: ev.ResultDropped) -> None:
    state.results.pop(event.id, None)


def fading_at(state: QueueState, until_us: int, name: str, key: str) -> bool:
    """Tell whether an entry of `fading` still holds."""
    if key:
        held = state.held_keys.get((name, key))
        return held is not None and held[1] == until_us
    kept = state.results.get(name)
    return kept is not None and kept.until_us == until_us


def _paced(state: QueueState, event: ev.Paced) -> None:
    state.paces[event.type] = event.next_us


def _ticked(state: QueueState, event: ev.Ticked) -> None:
    state.ticks[event.schedule] = event.due_us


def _late(state: QueueState, _event: ev.LateResultRefused) -> None:
    state.late_results += 1


_FOLDS: dict[type[ev.Event], Callable[[QueueState, Any], None]] = {
    ev.Published: _published,
    ev.Superseded: _superseded,
    ev.Leased: _leased,
    ev.LeaseExtended: _lease_extended,
    ev.Progressed: _progressed,
    ev.Completed: _completed,
    ev.AttemptFailed: _attempt_failed,
    ev.LeaseExpired: _lease_expired,
    ev.Returned: _returned,
    ev.Awakened: _awakened,
    ev.DeadLettered: _dead_lettered,
    ev.Replayed: _replayed,
    ev.Purged: _purged,
    ev.Expired: _expired,
    ev.Cancelled: _cancelled,
    ev.KeyHeld: _key_held,
    ev.KeyFreed: _key_freed,
    ev.ResultKept: _result_kept,
    ev.ResultDropped: _result_dropped,
    ev.Paced: _paced,
    ev.Ticked: _ticked,
    ev.LateResultRefused: _late,
}

_RUNS: dict[type[ev.Event], Callable[[QueueState, Any], None]] = {
    ev.Published: _published_run,
    ev.Leased: _leased_run,
    ev.Completed: _completed_run,
}
