"""What the queue decides: `decide(state, command, now_us, limits)` gives the facts that follow, or refuses with an error.

Pure: nothing is changed here, no clock is read, nothing is drawn. How facts change the state is in `queue_state`.
"""

from __future__ import annotations

from itertools import islice, takewhile
from typing import TYPE_CHECKING, Any, TypeAlias

from perdure.events import vocabulary as ev
from perdure.events.commands import (
    Cancel,
    CheckOut,
    Death,
    Done,
    ExpireLease,
    Extend,
    Fail,
    Orphan,
    Publish,
    Purge,
    ReassertLease,
    Release,
    Replay,
    Subscription,
    Tick,
)
from perdure.events.errors import DuplicateKey, LeaseLost, UnknownMessage
from perdure.events.limits import Limits
from perdure.events.queue import outcomes, publishing
from perdure.events.queue.endings import no_result, results, without_result
from perdure.events.queue.state import FOREVER, QueueState
from perdure.events.runs import LeasedRun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from perdure.events.structures.heap_set import HeapSet
    from perdure.events.structures.message import Message

__all__ = [
    "LEASES_MAX",
    "TICK_MAX",
    "Limits",
    "decide",
    "deliver",
    "done_for",
    "has_expired",
    "lease_lost",
    "next_deadline_us",
    "next_pace_us",
    "orphans",
    "overdue",
    "pace",
    "pressing",
    "tick",
]

Events: TypeAlias = list[ev.Event]
DEFAULTS = Limits()
TICK_MAX = 1_000
"""Deadlines dealt with at a time, so that one instant at which a million fall due holds up nobody for long."""
LEASES_MAX = 20_000
"""Leases given at a time."""


def decide(state: QueueState, command: object, now_us: int, limits: Limits) -> Events:
    """Give the facts that follow from one command.

    Raises:
        QueueFull: the backlog has no room for all drafts.
        DuplicateKey: a draft's key is held, and its policy is to reject.
        UnknownMessage: a dead letter to replay is not there.
        LeaseLost: an extension for a lease that is no longer in force.
    """
    return RULES[command.__class__](state, command, now_us, limits)


# --- leases --------------------------------------------------------------------------------------------------------------


def _check_out(state: QueueState, command: CheckOut, now_us: int, _limits: Limits) -> Events:
    if command.holder in state.holders:
        return []  # asked a second time: the shell answers with the lease it has
    line = state.ready_queues.get(command.type)
    first = line.first(1) if line is not None else []
    if not first:
        return []
    number, attempt = (first[0][0], 1) if isinstance(first[0], range) else (first[0].number, first[0].attempts + 1)
    return [ev.Leased(number, attempt, now_us + command.lease_us, command.retries, command.holder)]


def lease_lost(ident: str, attempt: int) -> LeaseLost:
    """Make the error for a holder that no longer has its lease."""
    return LeaseLost(
        f"attempt {attempt} of message {ident} is no longer yours: it was settled, it expired, or a later attempt has begun. "
        "Stop working on it; its outcome is not taken."
    )


def _extend(state: QueueState, command: Extend, now_us: int, _limits: Limits) -> Events:
    message = outcomes.current(state, command.number, command.id, command.attempt)
    if message is None:
        raise lease_lost(command.id, command.attempt)
    until_us = now_us + command.lease_us if message.until_us and command.lease_us else message.until_us
    if command.percent is None:
        return [ev.LeaseExtended(command.number, command.attempt, until_us)]
    return [ev.Progressed(command.number, command.attempt, command.percent, command.note, until_us)]


def deliver(state: QueueState, subscriptions: Iterable[Subscription], now_us: int) -> list[ev.Leased | LeasedRun]:
    """Lease what is ready to the handlers that have room for it. What their rates allow goes with it, see `pace`."""
    if state.quarantined:
        isolated = _suspect(state, {s.type: s for s in subscriptions if s.window > 0})
        if isolated is not None:
            message, subscription = isolated
            until_us = now_us + subscription.lease_us if subscription.lease_us else 0
            lease = ev.Leased(message.number, message.attempts + 1, until_us, subscription.retries)
            waits = state.leased or (subscription.interval_us and not _allowed(state, subscription, now_us))
            return [] if waits or has_expired(message.published, now_us) else [lease]
    leases: list[ev.Leased | LeasedRun] = []
    left = LEASES_MAX
    for subscription in subscriptions:
        counts = state.by_type.get(subscription.type)
        if counts is None or not counts.ready:
            continue
        room = min(subscription.window - counts.out, left)
        if subscription.interval_us:
            room = min(room, _allowed(state, subscription, now_us))
        if room <= 0:
            continue
        free = subscription.parallelism - counts.out
        until_us = now_us + subscription.lease_us if subscription.lease_us else 0
        for turn in state.ready_queues[subscription.type].first(min(room, counts.ready)):
            if isinstance(turn, range):
                startable, rest = turn[: max(0, free)], turn[max(0, free) :]
                leases += [LeasedRun(part, until_us, subscription.retries, part is rest) for part in (startable, rest) if part]
                free -= len(turn)
                left -= len(turn)
                continue
            if has_expired(turn.published, now_us):
                continue
            if free <= 0 and (turn.free_worker_only or turn.crashes):
                break  # handed only to a free worker, so that after a crash it is known to have started
            leases.append(ev.Leased(turn.number, turn.attempts + 1, until_us, subscription.retries, "", free <= 0))
            free -= 1
            left -= 1
    return leases


def _allowed(state: QueueState, subscription: Subscription, now_us: int) -> int:
    """Give how many deliveries a limited rate allows now (the generic cell rate algorithm, ITU-T I.371)."""
    ahead_us = _paced_until(state, subscription, now_us) - now_us
    return max(0, (subscription.burst * subscription.interval_us - ahead_us) // subscription.interval_us)


def _paced_until(state: QueueState, subscription: Subscription, now_us: int) -> int:
    """Give the time up to which a rate is used up.

    One that is further ahead than a burst can bring it comes from a slower rate, or from a clock that was set back since: holding
    on to it would stop the handler for as long as that.
    """
    until_us = state.paces.get(subscription.type, 0)
    return until_us if now_us < until_us <= now_us + subscription.burst * subscription.interval_us else now_us


def pace(state: QueueState, subscription: Subscription, count: int, now_us: int) -> ev.Paced:
    """Give the fact that `count` deliveries of a handler with a limited rate went out."""
    return ev.Paced(subscription.type, _paced_until(state, subscription, now_us) + count * subscription.interval_us)


def next_pace_us(state: QueueState, subscription: Subscription, now_us: int) -> int:
    """Give the time at which a handler held up by its rate may have the next message; `FOREVER` where it is not held up.

    What its rate allows and has not gone out waits for something else, a message that must run alone: not for a time.
    """
    counts = state.by_type.get(subscription.type)
    if not subscription.interval_us or counts is None or not counts.ready or subscription.window <= counts.out:
        return FOREVER
    due_us = state.paces.get(subscription.type, 0) - (subscription.burst - 1) * subscription.interval_us
    return due_us if due_us > now_us else FOREVER


def pressing(state: QueueState, subscription: Subscription) -> int:
    """Give how many messages are ready for an elastic handler beyond what its workers can take; 0 while they can take more."""
    counts = state.by_type.get(subscription.type)
    return counts.ready if subscription.elastic and counts is not None and subscription.window <= counts.out else 0


def _suspect(state: QueueState, open_to: dict[str, Subscription]) -> tuple[Message, Subscription] | None:
    """Give the first message that must run alone and could: while there is one, nothing else starts."""
    number = min((isolated.first for name, isolated in state.isolated.items() if name in open_to), default=0)
    message = state.messages.get(number)
    return None if message is None else (message, open_to[message.published.type])


def _cancel(state: QueueState, command: Cancel, now_us: int, limits: Limits) -> list[ev.Event]:
    message = state.by_id(command.id)
    if message is None:
        return []
    return [ev.Cancelled(message.number, command.reason), *no_result(state, message.published, "Cancelled", now_us, limits)]


# --- time and death ------------------------------------------------------------------------------------------------------


def next_deadline_us(state: QueueState) -> int:
    """Give the earliest time at which `tick` or `overdue` could have something to say."""
    delayed, expiring, retained, leases = state.delayed.heap, state.expiring.heap, state.retained.heap, state.lease_ends.heap
    return min(
        delayed[0][0] if delayed else FOREVER,
        expiring[0][0] if expiring else FOREVER,
        retained[0][0] if retained else FOREVER,
        leases[0][0] if leases else FOREVER,
    )


def tick(state: QueueState, now_us: int, limits: Limits = DEFAULTS, skipped_us: Callable[[int, int], int] | None = None) -> Events:
    """Wake what was delayed until now, and end what had only until now to live; at most `TICK_MAX` of them, those due first.

    Where that many are decided about, more may be due: fold this, and ask again.
    `skipped_us`: how much of a stretch of time the clock has jumped over, if it has jumped: the pause before a retry is without.
    """
    expired: dict[int, ev.Event] = {number: ev.Expired(number) for _, number in islice(_until(state.expiring, now_us), TICK_MAX)}
    endings = [(state.messages[number].published, without_result("Expired")) for number in expired]
    left = TICK_MAX - len(expired)  # what wakes may have expired too, so nothing does before all that has is known
    awake: dict[int, ev.Event] = {}
    for _, number in _until(state.delayed, now_us) if left else ():
        if number not in expired:
            if skipped_us is not None and _is_hurried(state.messages[number], now_us, skipped_us):
                continue
            awake[number] = ev.Awakened(number)
            if len(awake) >= left:
                break
    left -= len(awake)
    without = results(state, endings, now_us, limits)
    dropped = {event.id for event in without if isinstance(event, ev.ResultDropped)}
    faded: dict[tuple[str, str], ev.Event] = {}
    for _, name, key in _until(state.retained, now_us) if left else ():
        if key or name not in dropped:
            faded[name, key] = ev.KeyFreed(name, key) if key else ev.ResultDropped(name)
            if len(faded) >= left:
                break
    return [*expired.values(), *without, *awake.values(), *faded.values()]


def _is_hurried(message: Message, now_us: int, skipped_us: Callable[[int, int], int]) -> bool:
    """Tell whether a retry is due only because the clock has jumped: its pause is a length of time, not a moment."""
    if not message.failures:
        return False
    failed_us = message.failures[-1].at_us
    return now_us - failed_us - skipped_us(failed_us, now_us) < message.due_us - failed_us


def _until(deadlines: HeapSet[Any], now_us: int) -> Iterator[Any]:
    """Give all deadlines up to a time, in order, looking at no others."""
    return takewhile(lambda deadline: deadline[0] <= now_us, deadlines.ascending())


def has_expired(published: ev.Published, now_us: int) -> bool:
    """Tell whether a message's time to live is over; while many are ended it may wait for that, and is not handed out."""
    return 0 < published.expires_us <= now_us


def overdue(state: QueueState, now_us: int) -> Iterator[Message]:
    """Give the messages whose lease has run out, those first whose did first; the state must not change meanwhile.

    Their holders may have a word to say before they are taken back.
    """
    for _, number in _until(state.lease_ends, now_us):
        lease_batch = state.lease_batches.get(-number)
        for late in (number,) if lease_batch is None else [n for n in lease_batch.numbers if state.leased.get(n) is lease_batch]:
            message = state.look(late)
            if message is not None:
                yield message


def orphans(state: QueueState) -> list[Orphan]:
    """List all that is out, at the start of a process: whoever held it died with the one before.

    Where more of a type was out than had workers, nobody knows which had started: those do not count as attempts, but from
    now on they are handed out so that it will be known.
    """
    out = list(state.out())
    prefetched = {m.published.type for m in out if m.lease is not None and m.lease.prefetched}
    # Those ahead last: they may go on record in several frames, and what is left after a crash in between must look the same.
    return [
        Orphan(m.number, started=bool(m.lease and m.lease.holder) or m.published.type not in prefetched)
        for m in sorted(out, key=lambda m: (m.lease is not None and m.lease.prefetched, m.number))
    ]


# --- dead letters --------------------------------------------------------------------------------------------------------


def _is_dead(state: QueueState, death: Death) -> bool:
    """Whether a message is still the dead letter that is meant, and not one that was back and died again."""
    dead = state.dead.get(death.number)
    return dead is not None and dead.death == death


def _replay(state: QueueState, command: Replay, _now_us: int, _limits: Limits) -> Events:
    events: Events = []
    keys: set[tuple[str, str]] = set()
    for item in command.items:
        published = item.published
        if not _is_dead(state, item.death):
            if command.again or command.skips:
                continue
            msg = (
                f"message {published.id} is not the dead letter that was meant any more: it was replayed or purged since. "
                "`dead_letters.list()` shows those that there are."
            )
            raise UnknownMessage(msg)
        if published.key is not None and published.dedup != "append":
            key = (published.type, published.key)
            waits, running = publishing.live(state, key)
            if waits or running or key in keys:
                live_id = running or (state.messages[waits].published.id if waits else published.id)
                msg = (
                    f"message {published.id} cannot be replayed: its key {published.key!r} is held by the newer message "
                    f"{live_id}. Replay it when that one has ended, or purge it."
                )
                raise DuplicateKey(msg, live_id)
            keys.add(key)
        events.append(ev.Replayed(item.death.number, published, item.attempts, item.failures, item.edited))
    return events


def done_for(state: QueueState, command: Replay | Purge, events: Events, *, again: bool) -> int:
    """Return of how many dead letters what was asked for is done.

    Sent again, it may have been done before, and what is no longer there counts, but for a replay of what is known to be purged.
    """
    if not again:
        return len(events)
    if isinstance(command, Purge):
        return len(command.deaths)
    return sum(state.fates.get(item.death.number) != "purged" for item in command.items)


def _purge(state: QueueState, command: Purge, _now_us: int, _limits: Limits) -> Events:
    return [ev.Purged(death.number, command.reason) for death in command.deaths if _is_dead(state, death)]


def _tick(state: QueueState, command: Tick, now_us: int, limits: Limits) -> Events:
    """Publish for a schedule, once for each time it is due, whatever the backlog. It begins once.

    A tick whose key is held, and whose policy rejects it, is passed over. Where the clock was put back, a time comes that has had
    its message before: that of this tick gets an id of its own.
    """
    dealt_with_us = state.ticks.get(command.schedule, 0)
    if command.due_us <= dealt_with_us and not (command.anew and command.after_us == dealt_with_us):
        return []
    if dealt_with_us and not command.after_us:
        return []
    ticked = ev.Ticked(command.schedule, command.due_us)
    draft = command.draft
    if draft is None:
        return [ticked]
    if draft.id in state.ids or draft.id in state.past:
        draft = draft._replace(id=f"{draft.id}#{state.next_number}")
    try:
        return [*publishing.accept(state, [draft], now_us, limits), ticked]
    except DuplicateKey:
        return [ticked]


RULES: dict[type, Callable[[QueueState, Any, int, Limits], Events]] = {
    Publish: publishing.publish,
    CheckOut: _check_out,
    Done: outcomes.done,
    Fail: outcomes.fail,
    ExpireLease: outcomes.expire_lease,
    ReassertLease: outcomes.reassert_lease,
    Orphan: outcomes.take_back,
    Release: outcomes.release,
    Extend: _extend,
    Replay: _replay,
    Purge: _purge,
    Cancel: _cancel,
    Tick: _tick,
}
