"""What the queue decides: `decide(state, command, now_us, limits)` gives the facts that follow, or refuses with an error.

Pure: nothing is changed here, no clock is read, nothing is drawn. How facts change the state is in `queue_state`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

from perdure.events import vocabulary as ev
from perdure.events.commands import (
    CheckOut,
    Done,
    Draft,
    Extend,
    Fail,
    GiveBack,
    Lose,
    Orphan,
    Publish,
    Purge,
    Replay,
    Subscription,
)
from perdure.events.errors import DuplicateKey, LeaseLost, QueueFull, UnknownMessage
from perdure.events.message import Message, Status
from perdure.events.queue_state import FOREVER, QueueState, is_delayed_until, is_expiring_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["Limits", "decide", "deliver", "lease_lost", "next_deadline_us", "orphans", "overdue", "tick"]

Events: TypeAlias = list[ev.Event]


@attrs.frozen
class Limits:
    """The bounds that the rules keep."""

    backlog: int = 1_000_000
    """Messages that may wait; children of a handler are let in above it, since their parent could not complete otherwise."""
    backlog_bytes: int = 1 << 30
    dead_letters: int = 100_000


def decide(state: QueueState, command: object, now_us: int, limits: Limits) -> Events:
    """Give the facts that follow from one command.

    Raises:
        QueueFull: the backlog has no room for all drafts.
        DuplicateKey: a draft's key is held, and its policy is to reject.
        UnknownMessage: a dead letter to replay is not there.
        LeaseLost: an extension for a lease that is no longer in force.
    """
    return RULES[command.__class__](state, command, now_us, limits)


# --- publishing ----------------------------------------------------------------------------------------------------------


def _publish(state: QueueState, command: Publish, _now_us: int, limits: Limits) -> Events:
    ids = state.ids
    drafts = command.drafts
    fresh = [draft for draft in drafts if draft.id not in ids]
    if len(fresh) > 1:
        fresh = list({draft.id: draft for draft in reversed(fresh)}.values())[::-1]
    if not fresh:
        return []
    waiting = state.waiting
    if waiting + len(fresh) > limits.backlog:
        msg = (
            f"{waiting:,} messages wait, {len(fresh):,} more would pass the bound of {limits.backlog:,}. "
            "Nothing was published; try again when the handlers have caught up, or raise Options.backlog_max."
        )
        raise QueueFull(msg)
    size = sum(len(draft.payload) for draft in fresh)
    if state.payload_bytes + size > limits.backlog_bytes:
        msg = (
            f"{state.payload_bytes:,} bytes of payload wait, {size:,} more would pass the bound of "
            f"{limits.backlog_bytes:,}. Nothing was published; try again when the handlers have caught up, or raise "
            "Options.backlog_bytes."
        )
        raise QueueFull(msg)
    return accept(state, fresh)


def accept(state: QueueState, drafts: Sequence[Draft]) -> Events:
    """Number the drafts and let newer messages take the place of waiting ones with the same key."""
    number = state.next_number
    events: Events = []
    latest: dict[tuple[str, str], tuple[int, str]] = {}
    for draft in drafts:
        if draft.key is None or draft.dedup == "append":
            events.append(ev.Published(number, *draft))
        else:
            key = (draft.type, draft.key)
            waits, running = latest.get(key) or _live(state, key)
            if draft.dedup == "reject" and (waits or running):
                live_id = running or _id_of(state, drafts, waits)
                msg = (
                    f"the key {draft.key!r} of {draft.type} is held by the live message {live_id}. Nothing was published; "
                    "wait for that one to end, or use another key or dedup policy."
                )
                raise DuplicateKey(msg, live_id)
            events.append(ev.Published(number, *draft))
            if waits:
                events.append(ev.Superseded(waits, by=number))
            latest[key] = (number, running)
        number += 1
    return events


def _live(state: QueueState, key: tuple[str, str]) -> tuple[int, str]:
    """Give the number that waits under a key (or 0) and the id of the one that is out (or an empty string)."""
    holder = state.keys.get(key)
    if holder is None:
        return 0, ""
    return holder.waiting, state.messages[holder.running].published.id if holder.running else ""


def _id_of(state: QueueState, drafts: Sequence[Draft], number: int) -> str:
    if number < state.next_number:
        return state.messages[number].published.id
    return drafts[number - state.next_number].id


# --- outcomes ------------------------------------------------------------------------------------------------------------


def _current(state: QueueState, number: int, ident: str, attempt: int) -> Message | None:
    """Give the message if exactly this attempt of it is out; the fencing check."""
    message = state.leased.get(number)
    if message is None or message.lease is None or message.lease.attempt != attempt or message.published.id != ident:
        return None
    return message


def _refuse(state: QueueState, report: Done | Fail, outcome: str) -> Events:
    """A holder reports on a lease it no longer has: harmless if it was recorded before, else kept on record."""
    number, ident, attempt = report[:3]
    if state.finished.get(number) == (ident, attempt):
        return []
    message = state.messages.get(number)
    if message is not None and message.published.id == ident and message.settled == attempt:
        return []
    detail = f"{report.exception}: {report.message}" if isinstance(report, Fail) else ""
    return [ev.LateResultRefused(number, ident, attempt, outcome, detail)]


def _done(state: QueueState, report: Done, now_us: int, limits: Limits) -> Events:
    message = _current(state, report.number, report.id, report.attempt)
    if message is None:
        return _refuse(state, report, "completed")
    completed = ev.Completed(report.number, report.attempt)
    if not report.drafts:
        return [completed]
    try:
        children = accept(state, [draft for draft in report.drafts if draft.id not in state.ids])
    except DuplicateKey as error:
        # The completion and its messages are one; as they cannot be accepted, the attempt has failed.
        failure = Fail(report.number, report.id, report.attempt, "perdure.DuplicateKey", str(error), "", 0)
        return _fail(state, failure, now_us, limits)
    return [*children, completed]


def _fail(state: QueueState, report: Fail, now_us: int, limits: Limits) -> Events:
    message = _current(state, report.number, report.id, report.attempt)
    if message is None or message.lease is None:
        return _refuse(state, report, "failed")
    number, attempt = report.number, report.attempt
    newer = _newer(state, message)
    exhausted = 0 <= message.lease.retries < attempt
    final = newer or exhausted or report.reject is not None
    due_us = 0 if final else max(now_us + report.delay_us, 1)
    failed = ev.AttemptFailed(number, attempt, report.exception, report.message, report.traceback, due_us, now_us)
    events: Events = [failed]
    if newer:
        return [*events, ev.Superseded(number, by=newer)]
    if final:
        reason = report.reject if report.reject is not None else f"failed {attempt} times: {report.exception}"
        note = ev.FailureNote(now_us, attempt, report.exception, report.message)
        events += _bury(state, message, reason, note, report.traceback, limits)
    return events


def _lose(state: QueueState, report: Lose, now_us: int, limits: Limits) -> Events:
    message = _current(state, report.number, report.id, report.attempt)
    return [] if message is None else _expire(state, message, report.reason, now_us, limits)


def _expire(state: QueueState, message: Message, reason: str, now_us: int, limits: Limits, *, crashed: bool = False) -> Events:
    """The attempt under way is lost and counts: back in line, or buried if that was the last."""
    if message.lease is None:
        return []
    number, attempt = message.number, message.lease.attempt
    events: Events = [ev.LeaseExpired(number, attempt, reason, crashed, now_us)]
    if newer := _newer(state, message):
        return [*events, ev.Superseded(number, by=newer)]
    if 0 <= message.lease.retries < attempt:
        note = ev.FailureNote(now_us, attempt, "LeaseExpired", reason)
        events += _bury(state, message, f"lost {attempt} times: {reason}", note, "", limits)
    return events


def _give_back(state: QueueState, report: GiveBack, _now_us: int, _limits: Limits) -> Events:
    message = _current(state, report.number, report.id, report.attempt)
    return [] if message is None else _return(state, message, report.reason)


def _return(state: QueueState, message: Message, reason: str, *, singly: bool = False) -> Events:
    if message.lease is None:
        return []
    returned = ev.Returned(message.number, message.lease.attempt, reason, singly)
    if newer := _newer(state, message):
        return [returned, ev.Superseded(message.number, by=newer)]
    return [returned]


def _newer(state: QueueState, message: Message) -> int:
    """Give the number of the message that waits to take the place of this one, which is out; 0 for none."""
    published = message.published
    if published.key is None or published.dedup == "append":
        return 0
    return state.keys[published.type, published.key].waiting


def _bury(state: QueueState, message: Message, reason: str, note: ev.FailureNote, traceback: str, limits: Limits) -> Events:
    """Make a dead letter of the message; at the bound the oldest one makes room, on record."""
    failures = [*(message.failures or ()), note]
    room: Events = []
    if len(state.dead) >= limits.dead_letters:
        room = [ev.Purged(next(iter(state.dead)), f"the bound of {limits.dead_letters:,} dead letters")]
    buried = ev.DeadLettered(
        message.number, message.published, reason, note.attempt, note.exception, note.message, traceback, failures
    )
    return [*room, buried]


# --- leases --------------------------------------------------------------------------------------------------------------


def _check_out(state: QueueState, command: CheckOut, now_us: int, _limits: Limits) -> Events:
    if any(m.lease is not None and m.lease.holder == command.holder for m in state.leased.values()):
        return []  # asked a second time: the shell answers with the lease it has
    line = state.lines.get(command.type)
    first = line.first(1) if line is not None else []
    if not first:
        return []
    message = first[0]
    until_us = now_us + command.lease_us
    return [ev.Leased(message.number, message.attempts + 1, until_us, command.retries, command.holder)]


def lease_lost(ident: str, attempt: int) -> LeaseLost:
    """Make the error for a holder that no longer has its lease."""
    return LeaseLost(
        f"attempt {attempt} of message {ident} is no longer yours: it was settled, it expired, or a later attempt has begun. "
        "Stop working on it; its outcome is not taken."
    )


def _extend(state: QueueState, command: Extend, now_us: int, _limits: Limits) -> Events:
    message = _current(state, command.number, command.id, command.attempt)
    if message is None:
        raise lease_lost(command.id, command.attempt)
    until_us = now_us + command.lease_us if message.until_us and command.lease_us else message.until_us
    if command.percent is None:
        return [ev.LeaseExtended(command.number, command.attempt, until_us)]
    return [ev.Progressed(command.number, command.attempt, command.percent, command.note, until_us)]


def deliver(state: QueueState, subscriptions: Iterable[Subscription], now_us: int) -> list[ev.Leased]:
    """Lease what is ready to the handlers that have room for it."""
    if state.suspects:
        alone = _suspect(state, {s.type: s for s in subscriptions if s.window > 0})
        if alone is not None:
            return [] if state.leased else [_lease(*alone, now_us, ahead=False)]
    leases: list[ev.Leased] = []
    for subscription in subscriptions:
        counts = state.by_type.get(subscription.type)
        if counts is None or not counts.ready:
            continue
        room = subscription.window - counts.out
        if room <= 0:
            continue
        free = subscription.parallelism - counts.out
        for message in state.lines[subscription.type].first(min(room, counts.ready)):
            if free <= 0 and (message.singly or message.crashes):
                break  # handed only to a free worker, so that after a crash it is known to have started
            leases.append(_lease(message, subscription, now_us, ahead=free <= 0))
            free -= 1
    return leases


def _lease(message: Message, subscription: Subscription, now_us: int, *, ahead: bool) -> ev.Leased:
    until_us = now_us + subscription.lease_us if subscription.lease_us else 0
    return ev.Leased(message.number, message.attempts + 1, until_us, subscription.retries, "", ahead)


def _suspect(state: QueueState, open_to: dict[str, Subscription]) -> tuple[Message, Subscription] | None:
    """Give the first message that must run alone and could: while there is one, nothing else starts."""
    for number in sorted(state.suspects):
        message = state.messages[number]
        subscription = open_to.get(message.published.type)
        if subscription is not None and message.status in (Status.READY, Status.LEASED):
            return message, subscription
    return None


# --- time and death ------------------------------------------------------------------------------------------------------


def next_deadline_us(state: QueueState) -> int:
    """Give the earliest time at which `tick` or `overdue` could have something to say."""
    return min(
        state.delayed[0][0] if state.delayed else FOREVER,
        state.expiring[0][0] if state.expiring else FOREVER,
        state.lease_horizon_us,
    )


def tick(state: QueueState, now_us: int) -> Events:
    """Wake what was delayed until now, and end what had only until now to live."""
    expired: dict[int, ev.Event] = {}
    for expires_us, number in _until(state.expiring, now_us):
        if is_expiring_at(state, expires_us, number) and state.messages[number].status is not Status.LEASED:
            expired[number] = ev.Expired(number)
    awake: dict[int, ev.Event] = {}
    for due_us, number in _until(state.delayed, now_us):
        if number not in expired and is_delayed_until(state, due_us, number):
            awake[number] = ev.Awakened(number)
    return [*expired.values(), *awake.values()]


def _until(heap: list[tuple[int, int]], now_us: int) -> list[tuple[int, int]]:
    """Give all entries of a heap up to a time, in order, looking at no others."""
    found = []
    frontier = [0] if heap else []
    while frontier:
        i = frontier.pop()
        if heap[i][0] <= now_us:
            found.append(heap[i])
            frontier += [child for child in (2 * i + 1, 2 * i + 2) if child < len(heap)]
    return sorted(found)


def overdue(state: QueueState, now_us: int) -> list[Message]:
    """Give the messages whose lease has run out; their holders may have a word to say before they are taken back."""
    if now_us < state.lease_horizon_us:
        return []
    return [m for m in state.leased.values() if m.until_us and m.until_us <= now_us]


def orphans(state: QueueState) -> list[Orphan]:
    """List all that is out, at the start of a process: whoever held it died with the one before.

    Where more of a type was out than had workers, nobody knows which had started: those do not count as attempts, but from
    now on they are handed out so that it will be known.
    """
    ahead = {m.published.type for m in state.leased.values() if m.lease is not None and m.lease.ahead}
    return [
        Orphan(m.number, started=bool(m.lease and m.lease.holder) or m.published.type not in ahead)
        for m in sorted(state.leased.values(), key=lambda m: m.number)
    ]


def _take_back(state: QueueState, orphan: Orphan, now_us: int, limits: Limits) -> Events:
    message = state.leased.get(orphan.number)
    if message is None:
        return []
    if not orphan.started:
        return _return(state, message, "its process died before it was known to have started", singly=True)
    return _expire(state, message, "its process died", now_us, limits, crashed=True)


# --- dead letters --------------------------------------------------------------------------------------------------------


def _replay(state: QueueState, command: Replay, _now_us: int, _limits: Limits) -> Events:
    events: Events = []
    keys: set[tuple[str, str]] = set()
    for item in command.items:
        published = item.published
        if item.number not in state.dead:
            if command.again:
                continue
            msg = f"message {published.id} is not among the dead letters; `dead_letters.list()` shows those that are."
            raise UnknownMessage(msg)
        if published.key is not None and published.dedup != "append":
            key = (published.type, published.key)
            waits, running = _live(state, key)
            if waits or running or key in keys:
                live_id = running or (state.messages[waits].published.id if waits else published.id)
                msg = (
                    f"message {published.id} cannot be replayed: its key {published.key!r} is held by the newer message "
                    f"{live_id}. Replay it when that one has ended, or purge it."
                )
                raise DuplicateKey(msg, live_id)
            keys.add(key)
        events.append(ev.Replayed(item.number, published, item.attempts, item.failures))
    return events


def _purge(state: QueueState, command: Purge, _now_us: int, _limits: Limits) -> Events:
    return [ev.Purged(number, command.reason) for number in command.numbers if number in state.dead]


RULES: dict[type, Callable[[QueueState, Any, int, Limits], Events]] = {
    Publish: _publish,
    CheckOut: _check_out,
    Done: _done,
    Fail: _fail,
    Lose: _lose,
    Orphan: _take_back,
    GiveBack: _give_back,
    Extend: _extend,
    Replay: _replay,
    Purge: _purge,
}
