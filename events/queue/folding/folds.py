"""How each event changes the queue's state: `evolve`, one small function for each event class.

An event cannot be refused. Decisions are in `decisions`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perdure.events import runs
from perdure.events import vocabulary as ev
from perdure.events.queue.dead_letters import death, letter_bytes
from perdure.events.queue.endings import result_bytes
from perdure.events.queue.folding import plain_messages as plain
from perdure.events.queue.folding.bulk_fold import evolve_bulk
from perdure.events.queue.folding.placement import end_message, enter, hand_out_one, lease_until, place, requeue, unplace
from perdure.events.queue.state import Dead, QueueState, is_quarantined
from perdure.events.structures.message import Message
from perdure.events.structures.message_block import LeaseBatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["evolve", "evolve_all"]


def evolve(state: QueueState, event: ev.Event) -> QueueState:
    """Fold one event, or a run, into the state in place, and return the state. Events of other actors change nothing."""
    fold = _FOLDS.get(event.__class__)
    if fold is not None:
        fold(state, event)
    return state


def evolve_all(state: QueueState, events: Iterable[ev.Event]) -> None:
    """Fold events in order, in place."""
    for event in events:
        fold = _FOLDS.get(event.__class__)
        if fold is not None:
            fold(state, event)


# --- runs ----------------------------------------------------------------------------------------------------------------


def _published_run(state: QueueState, run: runs.PublishedRun) -> None:
    plain.enter_plain(state, run.number, run.type, run.ids, run.payloads, run.size)


def _leased_run(state: QueueState, run: runs.LeasedRun) -> None:
    if state.messages.keys().isdisjoint(run.numbers):
        plain.lease(state, run.numbers, run.until_us, run.retries, run.prefetched)
    else:
        evolve_all(state, run.events())


def _completed_run(state: QueueState, run: runs.CompletedRun) -> None:
    if state.messages.keys().isdisjoint(run.numbers):
        plain.complete(state, run.numbers)
    else:
        evolve_all(state, run.events())


# --- the life of a message -----------------------------------------------------------------------------------------------


def _published(state: QueueState, event: ev.Published) -> None:
    if runs.is_plain(event):
        plain.enter_plain(state, event.number, event.type, [event.id], [event.payload])
        return
    number = event.number
    state.next_number = number + 1
    state.counts(event.type).published += 1
    state.past.note_id(event.id)
    enter(state, Message(event, number, number, event.due_us))


def _leased(state: QueueState, event: ev.Leased) -> None:
    number = event.number
    if number not in state.messages and runs.is_plain_lease(event):
        plain.lease(state, range(number, number + 1), event.until_us, event.retries, event.prefetched)
        return
    hand_out_one(state, plain.promote(state, number), event)


def _completed(state: QueueState, event: ev.Completed) -> None:
    number = event.number
    if isinstance(state.leased.get(number), LeaseBatch) and event.attempt == 1:
        plain.complete(state, (number,))
        return
    message = plain.promote(state, number)
    state.counts(message.published.type).completed += 1
    message.settled = event.attempt
    end_message(state, message, event.attempt)


def _superseded(state: QueueState, event: ev.Superseded) -> None:
    message = plain.promote(state, event.number)
    state.counts(message.published.type).superseded += 1
    end_message(state, message, message.attempts, "superseded")


def _expired(state: QueueState, event: ev.Expired) -> None:
    message = plain.promote(state, event.number)
    state.counts(message.published.type).expired += 1
    end_message(state, message, message.attempts, "expired")


def _cancelled(state: QueueState, event: ev.Cancelled) -> None:
    message = plain.promote(state, event.number)
    state.counts(message.published.type).cancelled += 1
    end_message(state, message, message.attempts, "cancelled")


def _lease_extended(state: QueueState, event: ev.LeaseExtended) -> None:
    lease_until(state, plain.promote(state, event.number), event.until_us)


def _progressed(state: QueueState, event: ev.Progressed) -> None:
    message = plain.promote(state, event.number)
    message.percent, message.note = event.percent, event.note
    state.reporting.add(event.number)
    lease_until(state, message, event.until_us)


def _attempt_failed(state: QueueState, event: ev.AttemptFailed) -> None:
    message = plain.promote(state, event.number)
    counts = state.counts(message.published.type)
    counts.failed += 1
    if event.due_us:
        counts.retried += 1
    note = ev.FailureNote(event.at_us, event.attempt, event.exception, event.message)
    _count_attempt(state, message, event.attempt, note)
    message.settled = event.attempt
    message.due_us = event.due_us
    requeue(state, message)


def _lease_expired(state: QueueState, event: ev.LeaseExpired) -> None:
    message = plain.promote(state, event.number)
    state.counts(message.published.type).lease_expired += 1
    if event.crashed:
        message.crashes += 1
    note = ev.FailureNote(event.at_us, event.attempt, "LeaseExpired", event.reason)
    retries = message.lease.retries if message.lease is not None else 0
    _count_attempt(state, message, event.attempt, note)
    last_chance = message.crashes and retries >= 0 and message.attempts >= retries
    if is_quarantined(message) or last_chance:
        state.quarantined.add(event.number)
    requeue(state, message)


def _count_attempt(state: QueueState, message: Message, attempt: int, note: ev.FailureNote) -> None:
    unplace(state, message)
    message.attempts = attempt
    message.failures = [
        *(message.failures or ())[-31:],
        note,
    ]  # the last 32, so that a message that is retried for ever stays small


def _returned(state: QueueState, event: ev.Returned) -> None:
    message = plain.promote(state, event.number)
    unplace(state, message)
    message.free_worker_only = message.free_worker_only or event.free_worker_only
    if event.spent:
        message.attempts = event.attempt
        message.forgiven += 1
    requeue(state, message)


def _awakened(state: QueueState, event: ev.Awakened) -> None:
    message = plain.promote(state, event.number)
    unplace(state, message)
    message.due_us = 0
    place(state, message)


def _dead_lettered(state: QueueState, event: ev.DeadLettered) -> None:
    state.counts(event.published.type).dead_lettered += 1
    size = letter_bytes(event)
    last = event.attempts + event.uncounted
    state.dead[event.number] = Dead(event.published.id, event.published.type, death(event), size, last)
    state.dead_bytes += size
    end_message(state, plain.promote(state, event.number), last)


def _replayed(state: QueueState, event: ev.Replayed) -> None:
    state.counts(event.published.type).replayed += 1
    dead = state.dead.pop(event.number, None)
    if dead is not None:
        state.dead_bytes -= dead.bytes
    message = Message(event.published, event.number, event.number, attempts=event.attempts + event.uncounted)
    message.forgiven = event.uncounted
    message.failures = list(event.failures) or None
    state.finished.pop(event.number, None)
    state.uncounted.pop(event.number, None)
    enter(state, message)


def _purged(state: QueueState, event: ev.Purged) -> None:
    dead = state.dead.pop(event.number)
    state.dead_bytes -= dead.bytes
    state.counts(dead.type).purged += 1
    if event.number in state.finished:
        state.fates[event.number] = "purged"
    else:
        state.ids.drop(dead.id, event.number)
        state.past.add(([dead.id],), 1)


def _key_held(state: QueueState, event: ev.KeyHeld) -> None:
    key = (event.type, event.key)
    _, until_us = state.held_keys.get(key, ("", 0))
    state.retained.discard((until_us, *key))
    state.held_keys[key] = (event.id, event.until_us)
    state.retained.add((event.until_us, *key))


def _key_freed(state: QueueState, event: ev.KeyFreed) -> None:
    key = (event.type, event.key)
    _, until_us = state.held_keys.pop(key, ("", 0))
    state.retained.discard((until_us, *key))


def _result_kept(state: QueueState, event: ev.ResultKept) -> None:
    before = state.results.get(event.id)
    if before is not None:
        state.retained.discard((before.until_us, event.id, ""))
        state.results_bytes -= result_bytes(before)
    state.results[event.id] = event
    state.results_bytes += result_bytes(event)
    state.retained.add((event.until_us, event.id, ""))


def _result_dropped(state: QueueState, event: ev.ResultDropped) -> None:
    kept = state.results.pop(event.id, None)
    if kept is not None:
        state.results_bytes -= result_bytes(kept)
        state.retained.discard((kept.until_us, event.id, ""))


def _paced(state: QueueState, event: ev.Paced) -> None:
    state.paces[event.type] = event.next_us


def _ticked(state: QueueState, event: ev.Ticked) -> None:
    state.ticks[event.schedule] = event.due_us


def _late(state: QueueState, _event: ev.LateResultRefused) -> None:
    state.late_results += 1


_FOLDS: dict[type[ev.Event], Callable[[QueueState, Any], None]] = {
    runs.PublishedRun: _published_run,
    runs.LeasedRun: _leased_run,
    runs.CompletedRun: _completed_run,
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
    ev.BulkBegun: evolve_bulk,
    ev.BulkAdvanced: evolve_bulk,
    ev.BulkEnded: evolve_bulk,
}
