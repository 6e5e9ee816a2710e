"""What follows from a holder's report: completed, failed, released, lost.

Pure. Which messages are leased is in `leasing`, which leases have run out in `deadlines`.
"""

from __future__ import annotations

from operator import is_
from typing import TYPE_CHECKING, TypeAlias

from perdure.events import vocabulary as ev
from perdure.events.commands import Done, DoneRun, ExpireLease, Fail, Orphan, ReassertLease, Release, Spend
from perdure.events.commit_size import check_commit, measure
from perdure.events.errors import DuplicateKey, PayloadTooLarge
from perdure.events.queue.admission.publishing import accept, unknown
from perdure.events.queue.dead_letters import letter_bytes
from perdure.events.queue.endings import after_completion, full_of_letters, no_result, result, room_for_letter
from perdure.events.runs import CompletedRun

if TYPE_CHECKING:
    from perdure.events.limits import Limits
    from perdure.events.queue.state import QueueState
    from perdure.events.structures.message import Message

__all__ = ["complete_run", "current", "done", "expire_lease", "fail", "reassert_lease", "refusal", "release", "spend", "take_back"]

Events: TypeAlias = list[ev.Event]


def current(state: QueueState, number: int, ident: str, attempt: int) -> Message | None:
    """Return the message if exactly this attempt of it is out, else None: the fencing check."""
    if number not in state.leased:
        return None
    message = state.look(number)
    if message is None or message.lease is None or message.lease.attempt != attempt or message.published.id != ident:
        return None
    return message


def _late(state: QueueState, report: Done | Fail) -> Events:
    """Return what follows from a report for a lease that is over: nothing if it was accepted before, else its refusal."""
    number, ident, attempt = report[:3]
    if state.has_ended(number, ident, attempt):
        return []
    message = state.messages.get(number)
    if message is not None and message.published.id == ident and message.settled == attempt:
        return []
    return [refusal(report)]


def done(state: QueueState, report: Done, now_us: int, limits: Limits) -> Events:
    """Complete the message, and publish what its handler published; a report for a lease that is over is refused, on record."""
    message = current(state, report.number, report.id, report.attempt)
    if message is None:
        return _late(state, report)
    events: Events = [ev.Completed(report.number, report.attempt)]
    if message.published.extras is not None:
        events += after_completion(state, message.published, report.result, now_us, limits)
    if not report.drafts:
        return events
    try:
        events = [*accept(state, unknown(state, report.drafts), now_us, limits), *events]
        check_commit(measure(events), f"what message {report.id} completes with")
    except (DuplicateKey, PayloadTooLarge) as error:
        # The completion and its messages are one commit. These cannot be accepted, so the attempt has failed.
        failure = Fail(report.number, report.id, report.attempt, f"perdure.{type(error).__name__}", str(error), "", 0)
        return fail(state, failure, now_us, limits)
    return events


def complete_run(state: QueueState, run: DoneRun) -> Events | None:
    """Complete plain messages at once if all are out under the leases reported; else return None, and each is decided alone."""
    numbers = run.numbers
    if all(map(is_, map(state.leased.get, numbers), run.lease_batches)) and len(set(numbers)) == len(numbers):
        return [CompletedRun(numbers)]
    return None


def fail(state: QueueState, report: Fail, now_us: int, limits: Limits) -> Events:
    """Try the message again later, or make it a dead letter after its last attempt."""
    message = current(state, report.number, report.id, report.attempt)
    if message is None or message.lease is None:
        return _late(state, report)
    number, attempt = report.number, report.attempt
    replaced = _replaced(state, message, now_us, limits)
    exhausted = 0 <= message.lease.retries < attempt
    final = exhausted or report.reject is not None
    due_us = 0 if replaced or final else max(now_us + report.delay_us, 1)
    failed = ev.AttemptFailed(number, attempt, report.exception, report.message, report.traceback, due_us, now_us)
    events: Events = [failed, *replaced]
    if final and not replaced:
        reason = report.reject if report.reject is not None else f"failed {attempt - message.forgiven} times: {report.exception}"
        note = ev.FailureNote(now_us, attempt, report.exception, report.message)
        events += _dead_letter(state, message, reason, note, report.traceback, limits)
        events += result(state, message.published, (b"", report.exception, report.message), now_us, limits)
    return events


def expire_lease(state: QueueState, report: ExpireLease, now_us: int, limits: Limits) -> Events:
    """Count an attempt whose holder is gone; nothing follows where its lease is over."""
    message = current(state, report.number, report.id, report.attempt)
    return [] if message is None else _expire(state, message, report.reason, now_us, limits)


def reassert_lease(state: QueueState, claim: ReassertLease, now_us: int, limits: Limits) -> Events:
    """Put the lease of a delivery on record again where the log has lost it, so that the report of its worker counts.

    Nothing follows where the message has ended, or is out under this lease or a later one.
    """
    message = state.look(claim.number)
    if message is None or message.published.id != claim.id:
        return []
    events: Events = []
    uncounted = message.forgiven
    if message.lease is not None:
        if message.lease.attempt >= claim.lease.attempt:
            return []
        reason = "how it ended was lost with its frame"
        if claim.lease.attempt - claim.lease.uncounted <= message.lease.attempt - uncounted:
            # The claim is a later attempt with the same count: the one on record was given back, or a replay reset the count.
            events = _return(state, message, reason, now_us, limits)
            uncounted += 1
        else:
            events = _expire(state, message, reason, now_us, limits)
        if len(events) > 1:
            return events  # that was its last attempt, or a newer message took its place
    elif message.attempts >= claim.lease.attempt or not message.queue_part:
        return []
    return [*events, _counted_as(claim.lease, uncounted)]


def _counted_as(lease: ev.Leased, uncounted: int) -> ev.Leased:
    """Return the lease with attempts counted as the log does, which may have lost a replay, or returns of earlier attempts."""
    if lease.uncounted == uncounted:
        return lease
    retries = lease.retries if lease.retries < 0 else lease.retries - lease.uncounted + uncounted
    return ev.evolved(lease, retries=retries, uncounted=uncounted)


def spend(state: QueueState, claim: Spend, now_us: int, limits: Limits) -> Events:
    """Use up the number of an attempt that may run unknown to the log; return nothing if it is used up, or is not the next."""
    lease = ev.Leased(claim.number, claim.attempt, 0, claim.retries, uncounted=claim.uncounted)
    events = reassert_lease(state, ReassertLease(claim.number, claim.id, lease), now_us, limits)
    if events and type(events[-1]) is ev.Leased:
        reason = "a worker may run this attempt, whose lease was lost with its frame"
        events.append(ev.Returned(claim.number, claim.attempt, reason, spent=True))
    return events


def refusal(report: Done | Fail) -> ev.LateResultRefused:
    """Return the record that a report was refused: its lease is over, or was never its process's."""
    detail = f"{report.exception}: {report.message}" if isinstance(report, Fail) else ""
    return ev.LateResultRefused(*report[:3], "failed" if isinstance(report, Fail) else "completed", detail)


def _expire(state: QueueState, message: Message, reason: str, now_us: int, limits: Limits, *, crashed: bool = False) -> Events:
    """Count the attempt as lost: the message is ready again, or a dead letter after its last attempt."""
    if message.lease is None:
        return []
    number, attempt = message.number, message.lease.attempt
    events: Events = [ev.LeaseExpired(number, attempt, reason, crashed, now_us)]
    if replaced := _replaced(state, message, now_us, limits):
        return [*events, *replaced]
    if 0 <= message.lease.retries < attempt:
        note = ev.FailureNote(now_us, attempt, "LeaseExpired", reason)
        events += _dead_letter(state, message, f"lost {attempt - message.forgiven} times: {reason}", note, "", limits)
        events += result(state, message.published, (b"", note.exception, reason), now_us, limits)
    return events


def release(state: QueueState, report: Release, now_us: int, limits: Limits) -> Events:
    """Return a delivery that had not started to the queue; nothing follows where its lease is over."""
    message = current(state, report.number, report.id, report.attempt)
    return [] if message is None else _return(state, message, report.reason, now_us, limits)


def _return(
    state: QueueState,
    message: Message,
    reason: str,
    now_us: int,
    limits: Limits,
    *,
    free_worker_only: bool = False,
) -> Events:
    """Return the message to the queue, uncounted. The number of the attempt is spent: the report of it may be sent again."""
    if message.lease is None:
        return []
    returned = ev.Returned(message.number, message.lease.attempt, reason, free_worker_only, spent=True)
    return [returned, *_replaced(state, message, now_us, limits)]


def _replaced(state: QueueState, message: Message, now_us: int, limits: Limits) -> Events:
    """Return the end of a message that is out where a newer one of its key waits to replace it; no event where none does."""
    published = message.published
    if published.key is None or published.dedup == "append":
        return []
    newer = state.keys[published.type, published.key].waiting
    if not newer:
        return []
    return [ev.Superseded(message.number, by=newer), *no_result(state, published, "Superseded", now_us, limits)]


def _dead_letter(state: QueueState, message: Message, reason: str, note: ev.FailureNote, traceback: str, limits: Limits) -> Events:
    """Make a dead letter of the message; at a bound, others are purged for it, or the new one itself is."""
    failures = [*(message.failures or ()), note]
    attempts, uncounted = note.attempt - message.forgiven, message.forgiven
    dead_letter = ev.DeadLettered(
        message.number, message.published, reason, attempts, note.exception, note.message, traceback, failures, uncounted
    )
    size = letter_bytes(dead_letter)
    if limits.drop_newest:
        has_room = len(state.dead) < limits.dead_letters and state.dead_bytes + size <= limits.dead_letters_bytes
        return [dead_letter] if has_room else [dead_letter, ev.Purged(message.number, full_of_letters(limits))]
    return [*(ev.Purged(oldest, full_of_letters(limits)) for oldest in room_for_letter(state, size, limits)), dead_letter]


def take_back(state: QueueState, orphan: Orphan, now_us: int, limits: Limits) -> Events:
    """Take back a message that was out when its process died."""
    message = state.look(orphan.number) if orphan.number in state.leased else None
    if message is None:
        return []
    if not orphan.started:
        reason = "its process died before it was known to have started"
        return _return(state, message, reason, now_us, limits, free_worker_only=True)
    return _expire(state, message, "its process died", now_us, limits, crashed=True)
