"""Which ready messages are leased to which holder: handlers' workers within their windows and rates, and manual consumers.

Pure. What follows from a holder's report is in `outcomes`; leases that run out are in `deadlines`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from perdure.events import vocabulary as ev
from perdure.events.errors import LeaseLost
from perdure.events.queue import outcomes, rates
from perdure.events.runs import LeasedRun

if TYPE_CHECKING:
    from collections.abc import Iterable

    from perdure.events.commands import CheckOut, Extend, Subscription
    from perdure.events.limits import Limits
    from perdure.events.queue.state import QueueState
    from perdure.events.structures.message import Message

__all__ = [
    "LEASES_MAX",
    "check_out",
    "deliver",
    "extend",
    "is_past_ttl",
    "lease_lost",
    "pressing",
]

Events: TypeAlias = list[ev.Event]
LEASES_MAX = 20_000
"""Leases of one decision at most."""


def check_out(state: QueueState, command: CheckOut, now_us: int, _limits: Limits) -> Events:
    """Lease the first ready message of a type to a manual consumer; return no event where none is ready."""
    if command.holder in state.holders:
        return []  # sent again: the actor answers with the lease that this holder has
    ready_queue = state.ready_queues.get(command.type)
    first = ready_queue.first(1) if ready_queue is not None else []
    if not first:
        return []
    turn, until_us = first[0], now_us + command.lease_us
    if isinstance(turn, range):
        return [ev.Leased(turn[0], 1, until_us, command.retries, command.holder)]
    retries = _retries(turn, command.retries)
    return [ev.Leased(turn.number, turn.attempts + 1, until_us, retries, command.holder, uncounted=turn.forgiven)]


def _retries(message: Message, retries: int) -> int:
    """Return the number of the last attempt that may be retried: `retries`, and the attempts that do not count."""
    return retries if retries < 0 else retries + message.forgiven


def lease_lost(ident: str, attempt: int) -> LeaseLost:
    """Return the error for a holder that no longer has its lease."""
    return LeaseLost(
        f"attempt {attempt} of message {ident} is no longer yours: it was settled, it expired, or a later attempt has begun. "
        "Stop working on it: its outcome is not accepted."
    )


def extend(state: QueueState, command: Extend, now_us: int, _limits: Limits) -> Events:
    """Return the extended lease, with the progress that was reported.

    Raises:
        LeaseLost: the lease is no longer in force.
    """
    message = outcomes.current(state, command.number, command.id, command.attempt)
    if message is None or (command.holder and message.lease is not None and message.lease.holder != command.holder):
        raise lease_lost(command.id, command.attempt)
    until_us = now_us + command.lease_us if message.until_us and command.lease_us else message.until_us
    if command.percent is None:
        return [ev.LeaseExtended(command.number, command.attempt, until_us)]
    return [ev.Progressed(command.number, command.attempt, command.percent, command.note, until_us)]


def deliver(state: QueueState, subscriptions: Iterable[Subscription], now_us: int) -> list[ev.Leased | LeasedRun]:
    """Return leases of ready messages for the handlers that have room; the caller records how much of their rates that uses up."""
    if state.quarantined:
        isolated = _next_quarantined(state, {s.type: s for s in subscriptions if s.window > 0})
        if isolated is not None:
            message, subscription = isolated
            until_us = now_us + subscription.lease_us if subscription.lease_us else 0
            retries = _retries(message, subscription.retries)
            lease = ev.Leased(message.number, message.attempts + 1, until_us, retries, uncounted=message.forgiven)
            waits = state.leased or (subscription.interval_us and not rates.allowed(state, subscription, now_us))
            return [] if waits or is_past_ttl(message.published, now_us) else [lease]
    leases: list[ev.Leased | LeasedRun] = []
    left = LEASES_MAX
    for subscription in subscriptions:
        counts = state.by_type.get(subscription.type)
        if counts is None or not counts.ready:
            continue
        room = min(subscription.window - counts.out, left)
        if subscription.interval_us:
            room = min(room, rates.allowed(state, subscription, now_us))
        if room <= 0:
            continue
        free = subscription.parallelism - counts.out
        until_us = now_us + subscription.lease_us if subscription.lease_us else 0
        for turn in state.ready_queues[subscription.type].first(min(room, counts.ready), subscription.version):
            if isinstance(turn, range):
                startable, rest = turn[: max(0, free)], turn[max(0, free) :]
                leases += [LeasedRun(part, until_us, subscription.retries, part is rest) for part in (startable, rest) if part]
                free -= len(turn)
                left -= len(turn)
                continue
            if is_past_ttl(turn.published, now_us):
                continue
            if free <= 0 and (turn.free_worker_only or turn.crashes):
                break  # delivered only to a free worker, so that after a crash it is known to have started
            retries = _retries(turn, subscription.retries) if turn.forgiven else subscription.retries
            leases.append(ev.Leased(turn.number, turn.attempts + 1, until_us, retries, "", free <= 0, turn.forgiven))
            free -= 1
            left -= 1
    return leases


def pressing(state: QueueState, subscription: Subscription) -> int:
    """Return how many messages are ready for an elastic handler whose window is full; 0 while its workers can take more."""
    counts = state.by_type.get(subscription.type)
    return counts.ready if subscription.elastic and counts is not None and subscription.window <= counts.out else 0


def _next_quarantined(state: QueueState, open_to: dict[str, Subscription]) -> tuple[Message, Subscription] | None:
    """Return the first quarantined message that could run: while there is one, nothing else starts."""
    number = min((isolated.first for name, isolated in state.isolated.items() if name in open_to), default=0)
    message = state.messages.get(number)
    return None if message is None else (message, open_to[message.published.type])


def is_past_ttl(published: ev.Published, now_us: int) -> bool:
    """Return whether a message's time to live is over; until its `Expired` is decided, such a message is not delivered."""
    return 0 < published.expires_us <= now_us
