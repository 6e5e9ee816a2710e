"""What follows from the passing of time: delays that are over, times to live, windows, results, leases that have run out.

Pure: the time comes from the caller. Recurring messages are in `events/schedules`.
"""

from __future__ import annotations

from itertools import islice, takewhile
from typing import TYPE_CHECKING, Any, TypeAlias

from perdure.events import vocabulary as ev
from perdure.events.commands import Orphan
from perdure.events.limits import Limits
from perdure.events.queue.endings import results, without_result
from perdure.events.queue.state import FOREVER, QueueState
from perdure.events.structures.message_block import LeaseBatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from perdure.events.structures.heap_set import HeapSet
    from perdure.events.structures.message import Message

__all__ = ["LOOK_MAX", "due", "next_deadline_us", "orphans", "overdue"]

Events: TypeAlias = list[ev.Event]
DEFAULTS = Limits()
LOOK_MAX = 1_000
"""Deadlines handled at a time, so that a million that pass at once do not hold up other work for long."""


def next_deadline_us(state: QueueState) -> int:
    """Return the earliest time at which `due` or `overdue` may return something; `FOREVER` where none is known."""
    delayed, expiring, retained, leases = state.delayed.heap, state.expiring.heap, state.retained.heap, state.lease_ends.heap
    if not (delayed or expiring or retained or leases):
        return FOREVER
    return min(
        delayed[0][0] if delayed else FOREVER,
        expiring[0][0] if expiring else FOREVER,
        retained[0][0] if retained else FOREVER,
        leases[0][0] if leases else FOREVER,
    )


def due(state: QueueState, now_us: int, limits: Limits = DEFAULTS, skipped_us: Callable[[int, int], int] | None = None) -> Events:
    """Wake delayed messages and end expired ones, held keys and kept results: up to `LOOK_MAX` that are due, the first due first.

    Where so many are returned, more may be due: fold these and call again.
    `skipped_us(since_us, until_us)` returns how much of a stretch of time the clock has jumped over; None: the clock never jumped.
    The pause before a retry does not count that time.
    """
    expired: dict[int, ev.Event] = {number: ev.Expired(number) for _, number in islice(_until(state.expiring, now_us), LOOK_MAX)}
    endings = [(state.messages[number].published, without_result("Expired")) for number in expired]
    left = LOOK_MAX - len(expired)  # a message that wakes may have expired too, so none wakes before all expired ones are known
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
    """Return whether a retry is due only because the clock has jumped: its pause is a length of time, not a moment."""
    if not message.failures:
        return False
    failed_us = message.failures[-1].at_us
    return now_us - failed_us - skipped_us(failed_us, now_us) < message.due_us - failed_us


def _until(deadlines: HeapSet[Any], now_us: int) -> Iterator[Any]:
    """Return all deadlines up to a time in order, without a look at the others."""
    return takewhile(lambda deadline: deadline[0] <= now_us, deadlines.ascending())


def overdue(state: QueueState, now_us: int) -> Iterator[Message]:
    """Return the messages whose lease has run out, in the order of the deadlines. The state must not change meanwhile.

    The caller decides what follows: a manual consumer loses the message, a worker's attempt is judged first
    (`events/handlers/overdue_lease`).
    """
    for _, number in _until(state.lease_ends, now_us):
        lease_batch = state.lease_batches.get(-number)
        for late in (number,) if lease_batch is None else [n for n in lease_batch.numbers if state.leased.get(n) is lease_batch]:
            message = state.look(late)
            if message is not None:
                yield message


def orphans(state: QueueState, is_lost: Callable[[Message], bool] | None = None) -> list[Orphan]:
    """Return the messages that are out when a process starts, since their holders died: those that `is_lost` accepts, or all.

    Where messages of a type were prefetched, it is unknown which ones of that type had started. Those do not count as attempts;
    from then on they are delivered only to a free worker, so that a second crash leaves no doubt.
    """
    out: list[tuple[bool, int, str, str]] = []  # whether it was prefetched, its number, its type, its holder
    for number, held in state.leased.items():
        if is_lost is not None and ((message := state.look(number)) is None or not is_lost(message)):
            continue
        if isinstance(held, LeaseBatch):  # there may be hundreds of thousands: no `Message` is made of each
            out.append((held.prefetched, number, held.block.type, held.holder))
        elif held.lease is not None:
            out.append((held.lease.prefetched, number, held.published.type, held.lease.holder))
    prefetched = {kind for is_prefetched, _, kind, _ in out if is_prefetched}
    # Prefetched messages come last. The orphans may need several frames, and a crash between two frames must leave a rest that is
    # judged in the same way.
    return [Orphan(number, started=bool(holder) or kind not in prefetched) for _, number, kind, holder in sorted(out)]
