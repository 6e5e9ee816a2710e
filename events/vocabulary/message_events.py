"""The life of a message, from `Published` to its end; what its key, its result, its handler's rate and its schedule leave behind.

All are decided by the queue.
"""

from __future__ import annotations

from typing import NamedTuple

import attrs

from perdure.events.vocabulary.event import Event, event

__all__ = [
    "AttemptFailed",
    "Awakened",
    "Cancelled",
    "Completed",
    "DeadLettered",
    "Expired",
    "Extras",
    "FailureNote",
    "KeyFreed",
    "KeyHeld",
    "LateResultRefused",
    "LeaseExpired",
    "LeaseExtended",
    "Leased",
    "Paced",
    "Progressed",
    "Published",
    "Purged",
    "Replayed",
    "ResultDropped",
    "ResultKept",
    "Returned",
    "Superseded",
    "Ticked",
]


class FailureNote(NamedTuple):
    """One failed attempt. A message keeps its notes until it ends."""

    at_us: int
    attempt: int
    exception: str
    message: str


class Extras(NamedTuple):
    """Options of a publish that few messages have, apart from the others, so that most messages carry a single None for them."""

    version: int = 1
    """The version of the payload's schema."""
    window_us: int = 0
    """How long the key stays held after completion, in microseconds."""
    key_parallelism: int = 0
    """How many messages of one key may be out at once, where keys are labels (`dedup="append"`); 0: any number."""
    result_us: int = 0
    """How long the handler's result is kept, in microseconds; 0: not at all."""


@event(1, "queue")
class Published(Event):
    """A message was accepted. `payload` is as the publisher encoded it; `type` is the stable name, never a class path."""

    number: int
    id: str
    type: str
    payload: bytes
    key: str | None = None
    dedup: str | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    headers: dict[str, str] | None = None
    priority: int = 0
    due_us: int = 0
    expires_us: int = 0
    group: str | None = None
    extras: Extras | None = None
    subject: str | None = None
    """The person or thing that the message is about, in the publisher's own words, for example a customer's number."""


@event(2, "queue")
class Superseded(Event):
    """A newer message with the same key took this one's place (`by` is the newer one's number)."""

    number: int
    by: int


@event(3, "queue")
class Leased(Event):
    """The message was leased to a holder for one attempt.

    No two attempts of a message have one number, so `uncounted` of those up to this one do not count: they were given back, or came
    before a replay from zero. The handler sees `attempt - uncounted`.

    `until_us` 0: in force as long as the holder's process lives. `retries` is the limit for this attempt, -1 for none. `holder` is
    empty for the handler's own workers, else it names a manual consumer's request. `prefetched`: it was delivered before a worker
    was free for it, so after a crash it is unknown whether it had started.
    """

    number: int
    attempt: int
    until_us: int = 0
    retries: int = 0
    holder: str = ""
    prefetched: bool = False
    uncounted: int = 0


@event(4, "queue")
class LeaseExtended(Event):
    """The holder of this attempt keeps it until `until_us`."""

    number: int
    attempt: int
    until_us: int


@event(5, "queue")
class Progressed(Event):
    """A heartbeat: the attempt is alive and `percent` (0 to 100) done; the lease runs until `until_us`."""

    number: int
    attempt: int
    percent: float
    note: str
    until_us: int


@event(6, "queue")
class Completed(Event):
    """The attempt succeeded; what its handler published stands in the same frame."""

    number: int
    attempt: int


@event(7, "queue")
class AttemptFailed(Event):
    """The attempt failed. It is tried again at `due_us`; 0: never, and another event of the same frame ends the message."""

    number: int
    attempt: int
    exception: str
    message: str
    traceback: str
    due_us: int
    at_us: int = 0


@event(8, "queue")
class LeaseExpired(Event):
    """The attempt ended without a report: its time ran out, or its worker or process died. It counts."""

    number: int
    attempt: int
    reason: str
    crashed: bool = False
    at_us: int = 0


@event(9, "queue")
class Returned(Event):
    """The delivery was returned to the queue and does not count as an attempt.

    `free_worker_only`: its process died, and it is unknown whether it had started. From then on it is never prefetched.
    `spent`: its number is not used again. Another process may begin the attempt all the same, or give it back once more.
    (Older versions used the number again.)
    """

    number: int
    attempt: int
    reason: str
    free_worker_only: bool = False
    spent: bool = False


@event(10, "queue")
class Awakened(Event):
    """The due time of a delayed message came; it is ready, or held."""

    number: int


@event(11, "queue")
class DeadLettered(Event):
    """The message will not be tried again. Carries the whole message, which from then on is a dead letter.

    `attempts` are those that count; the number of its last attempt is `attempts + uncounted`.
    """

    number: int
    published: Published
    reason: str
    attempts: int
    exception: str
    message: str
    traceback: str
    failures: list[FailureNote] = attrs.field(factory=list)
    uncounted: int = 0


@event(12, "queue")
class Replayed(Event):
    """A dead letter went back to the queue, with `attempts` already counted. `edited`: an operator changed its payload.

    The number of its last attempt was `attempts + uncounted`: those that are not counted on keep their numbers.
    """

    number: int
    published: Published
    attempts: int
    failures: list[FailureNote] = attrs.field(factory=list)
    edited: bool = False
    uncounted: int = 0


@event(13, "queue")
class Purged(Event):
    """A dead letter was removed for good."""

    number: int
    reason: str


@event(14, "queue")
class Expired(Event):
    """The message's time to live ended before it was handled."""

    number: int


@event(15, "queue")
class LateResultRefused(Event):
    """A holder that no longer had the lease reported an outcome, which changed nothing."""

    number: int
    id: str
    attempt: int
    outcome: str
    detail: str


@event(16, "queue")
class Cancelled(Event):
    """The message was cancelled, waiting or running."""

    number: int
    reason: str


@event(17, "queue")
class KeyHeld(Event):
    """The message with this key is completed, and its window holds the key until `until_us`."""

    type: str
    key: str
    id: str
    until_us: int


@event(18, "queue")
class KeyFreed(Event):
    """The window of a held key is over."""

    type: str
    key: str


@event(19, "queue")
class ResultKept(Event):
    """The result of an ended message is kept: `value` (encoded), or, where `exception` is not empty, why there is none."""

    number: int
    id: str
    value: bytes
    exception: str
    message: str
    until_us: int


@event(20, "queue")
class ResultDropped(Event):
    """The time to keep a result is over, or a newer one needed its room."""

    id: str


@event(21, "queue")
class Paced(Event):
    """Deliveries of a handler with a limited rate went out; its rate is used up until `next_us`."""

    type: str
    next_us: int


@event(22, "queue")
class Ticked(Event):
    """The tick of a schedule at `due_us`, and all before it, are done: published in the same frame, or passed over."""

    schedule: str
    due_us: int
