"""The events that the log may hold: one class each, with its stable wire tag and its one decider.

Not here: rules (`queue`, `handlers`) and bytes (`codec`).

Times are integer microseconds since the Unix epoch (`_us`); 0 means "none". Events name a message by its `number`. The
queue counts numbers up from 1 and gives none twice; `Published` ties a number to the id that users see.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar, dataclass_transform

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "DECIDERS",
    "VOCABULARY",
    "ActorRestarted",
    "Adapted",
    "AttemptFailed",
    "Awakened",
    "BulkAdvanced",
    "BulkBegun",
    "BulkEnded",
    "Cancelled",
    "Completed",
    "DeadLettered",
    "Event",
    "Expired",
    "Extras",
    "FailureNote",
    "HandlerRegistered",
    "HandlersAdministered",
    "KeyFreed",
    "KeyHeld",
    "LateResultRefused",
    "LeaseExpired",
    "LeaseExtended",
    "Leased",
    "MessagesAdministered",
    "Paced",
    "Paused",
    "Progressed",
    "Published",
    "Purged",
    "Reconfigured",
    "Replayed",
    "ResultDropped",
    "ResultKept",
    "Resumed",
    "Returned",
    "Scaled",
    "Started",
    "Stopped",
    "Superseded",
    "Ticked",
]

E = TypeVar("E")


class Event:
    """Root of all events. Each class has a wire tag, a version, and the one actor that decides it."""

    __slots__ = ()
    TAG: ClassVar[int]
    VERSION: ClassVar[int] = 1
    DECIDER: ClassVar[str]


VOCABULARY: dict[int, type[Event]] = {}
"""Every event class by its wire tag. A tag is never reused for another class."""


@dataclass_transform(frozen_default=True, field_specifiers=(attrs.field,))
def _event(tag: int, decider: str, version: int = 1) -> Callable[[type[E]], type[E]]:
    """Return a decorator that makes an attrs class of an event and enters it in the vocabulary.

    Type checkers see the class frozen. At run time it is not: a frozen attrs instance takes three times as long to create, and
    several are created for every message.
    """

    def enter(cls: type[E]) -> type[E]:
        made: Any = attrs.define(cls, slots=True)
        made.TAG, made.DECIDER, made.VERSION = tag, decider, version
        if tag in VOCABULARY:
            msg = f"wire tag {tag} already belongs to {VOCABULARY[tag].__name__}"
            raise ValueError(msg)
        VOCABULARY[tag] = made
        return made  # type: ignore[no-any-return]

    return enter


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


# --- the life of a message: decided by the queue ------------------------------------------------------------------------


@_event(1, "queue")
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


@_event(2, "queue")
class Superseded(Event):
    """A newer message with the same key took this one's place (`by` is the newer one's number)."""

    number: int
    by: int


@_event(3, "queue")
class Leased(Event):
    """The message was leased to a holder for one attempt.

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


@_event(4, "queue")
class LeaseExtended(Event):
    """The holder of this attempt keeps it until `until_us`."""

    number: int
    attempt: int
    until_us: int


@_event(5, "queue")
class Progressed(Event):
    """A heartbeat: the attempt is alive and `percent` (0 to 100) done; the lease runs until `until_us`."""

    number: int
    attempt: int
    percent: float
    note: str
    until_us: int


@_event(6, "queue")
class Completed(Event):
    """The attempt succeeded; what its handler published stands in the same frame."""

    number: int
    attempt: int


@_event(7, "queue")
class AttemptFailed(Event):
    """The attempt failed. It is tried again at `due_us`; 0: never, and another event of the same frame ends the message."""

    number: int
    attempt: int
    exception: str
    message: str
    traceback: str
    due_us: int
    at_us: int = 0


@_event(8, "queue")
class LeaseExpired(Event):
    """The attempt ended without a report: its time ran out, or its worker or process died. It counts."""

    number: int
    attempt: int
    reason: str
    crashed: bool = False
    at_us: int = 0


@_event(9, "queue")
class Returned(Event):
    """The delivery was returned to the queue and does not count as an attempt.

    `free_worker_only`: its process died, and it is unknown whether it had started. From then on it is never prefetched.
    `spent`: another process may begin the attempt all the same, so its number is not used again.
    """

    number: int
    attempt: int
    reason: str
    free_worker_only: bool = False
    spent: bool = False


@_event(10, "queue")
class Awakened(Event):
    """The due time of a delayed message came; it is ready, or held."""

    number: int


@_event(11, "queue")
class DeadLettered(Event):
    """The message will not be tried again. Carries the whole message, which from then on is a dead letter."""

    number: int
    published: Published
    reason: str
    attempts: int
    exception: str
    message: str
    traceback: str
    failures: list[FailureNote] = attrs.field(factory=list)


@_event(12, "queue")
class Replayed(Event):
    """A dead letter went back to the queue, with `attempts` already counted. `edited`: an operator changed its payload."""

    number: int
    published: Published
    attempts: int
    failures: list[FailureNote] = attrs.field(factory=list)
    edited: bool = False


@_event(13, "queue")
class Purged(Event):
    """A dead letter was removed for good."""

    number: int
    reason: str


@_event(14, "queue")
class Expired(Event):
    """The message's time to live ended before it was handled."""

    number: int


@_event(15, "queue")
class LateResultRefused(Event):
    """A holder that no longer had the lease reported an outcome, which changed nothing."""

    number: int
    id: str
    attempt: int
    outcome: str
    detail: str


@_event(16, "queue")
class Cancelled(Event):
    """The message was cancelled, waiting or running."""

    number: int
    reason: str


@_event(17, "queue")
class KeyHeld(Event):
    """The message with this key is completed, and its window holds the key until `until_us`."""

    type: str
    key: str
    id: str
    until_us: int


@_event(18, "queue")
class KeyFreed(Event):
    """The window of a held key is over."""

    type: str
    key: str


@_event(19, "queue")
class ResultKept(Event):
    """The result of an ended message is kept: `value` (encoded), or, where `exception` is not empty, why there is none."""

    number: int
    id: str
    value: bytes
    exception: str
    message: str
    until_us: int


@_event(20, "queue")
class ResultDropped(Event):
    """The time to keep a result is over, or a newer one needed its room."""

    id: str


@_event(21, "queue")
class Paced(Event):
    """Deliveries of a handler with a limited rate went out; its rate is used up until `next_us`."""

    type: str
    next_us: int


@_event(22, "queue")
class Ticked(Event):
    """The tick of a schedule at `due_us`, and all before it, are done: published in the same frame, or passed over."""

    schedule: str
    due_us: int


@_event(23, "queue")
class MessagesAdministered(Event):
    """An operator acted on messages. The events of what it changed stand in the same frame."""

    action: str
    """`cancel`, `replay`, `replay all`, `edit` or `purge`."""
    subject: str
    """The id of a message, or the filter of a bulk act."""
    count: int
    """How many messages it changed."""
    principal: str
    origin: str
    reason: str


@_event(24, "queue")
class BulkBegun(Event):
    """An operator's act on all dead letters that an expression means: the plan, by which it goes on after a crash."""

    bulk: str
    """Its id."""
    action: str
    """`replay`, `edit` or `purge`."""
    where: str
    """The expression; see `perdure.events.queue.expression`."""
    seq: int
    """The sequence number up to which they were counted: what died later is not meant."""
    count: int
    """How many there were."""
    reset_retries: bool
    changes: dict[str, Any]
    """What an edit sets: values by their paths in the payload."""
    principal: str
    origin: str
    reason: str


@_event(25, "queue")
class BulkAdvanced(Event):
    """A commit of a bulk act; the events of what it changed stand in the same frame."""

    bulk: str
    upto: int
    """All that died up to this sequence number is dealt with."""
    changed: int
    passed_over: int
    """Letters that are there and could not be changed: a newer message holds the key, or there is nothing to edit."""


@_event(26, "queue")
class BulkEnded(Event):
    """A bulk act is over; what is neither changed nor passed over was replayed or purged by others meanwhile."""

    bulk: str
    outcome: str
    """Empty, or why it was stopped."""


# --- handlers and workers: decided by the dispatcher ---------------------------------------------------------------------


@_event(32, "dispatcher")
class HandlerRegistered(Event):
    """A host registered a handler, or registered it with other options than before."""

    type: str
    parallelism: int
    retries: int
    timeout_us: int
    lease_us: int
    dedup: str
    backoff: str
    parallelism_max: int = 0
    """If not 0, the number of workers follows the backlog between `parallelism` and this."""
    more: dict[str, Any] | None = None
    """The other options that are not at their defaults."""
    started_us: int = 0
    """When the process that registered it began, where several share the folder: of options that differ, the newest one's count."""


@_event(33, "dispatcher")
class Scaled(Event):
    """An operator set how many workers a handler has."""

    type: str
    parallelism: int


@_event(34, "dispatcher")
class Paused(Event):
    """An operator stopped the deliveries of one type, or of all (`type` empty)."""

    type: str


@_event(35, "dispatcher")
class Resumed(Event):
    """An operator let deliveries of one type, or of all (`type` empty), go on."""

    type: str


@_event(36, "dispatcher")
class Reconfigured(Event):
    """An operator changed options of a handler; they stay changed until the code asks for others."""

    type: str
    changes: dict[str, Any]


@_event(37, "dispatcher")
class Adapted(Event):
    """The number of workers of an elastic handler followed its backlog."""

    type: str
    parallelism: int


@_event(40, "dispatcher")
class HandlersAdministered(Event):
    """An operator acted on handlers or on the system. The events of what it changed stand in the same frame."""

    action: str
    """`pause`, `resume`, `scale`, `configure`, `snapshot`..."""
    subject: str
    """The name of a type; empty for all."""
    count: int
    """1; 0 where nothing changed."""
    principal: str
    origin: str
    reason: str


# --- the system itself: decided by the supervisor ------------------------------------------------------------------------


@_event(48, "supervisor")
class Started(Event):
    """A process opened and recovered the data folder; `report` says what recovery did."""

    run: str
    pid: int
    version: str
    report: dict[str, Any]


@_event(49, "supervisor")
class Stopped(Event):
    """The process closed the data folder in good order."""

    run: str


@_event(50, "supervisor")
class ActorRestarted(Event):
    """An actor died and its successor was started."""

    actor: str
    cause: str
    deaths: int


@_event(51, "supervisor")
class ProcessJoined(Event):
    """Another process has joined the folder's owner, and may run handlers; `member` names its run."""

    member: str
    pid: int
    name: str
    started_us: int


@_event(52, "supervisor")
class ProcessLeft(Event):
    """Its connection has ended: it stopped, died, or was let go. What it still had in hand is settled."""

    member: str
    pid: int
    name: str


DECIDERS: dict[type[Event], str] = {cls: cls.DECIDER for cls in VOCABULARY.values()}
"""Law 2: one decider per event."""
