"""The commands of the queue: one class for each request, and for each outcome that a holder reports.

A command may be refused, and is never stored. Events are in `vocabulary`. (Classes that every publish creates are msgspec Structs
or named tuples, which are created faster than others.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import attrs
import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from perdure.events.acts import Act
    from perdure.events.structures.message_block import LeaseBatch
    from perdure.events.vocabulary import Extras, FailureNote, Leased, Published

__all__ = [
    "AdvanceBulk",
    "AwaitResult",
    "BeginBulk",
    "Cancel",
    "CheckOut",
    "Death",
    "Done",
    "DoneRun",
    "Draft",
    "DraftRun",
    "EndBulk",
    "ExpireLease",
    "Extend",
    "Fail",
    "LookAtBulk",
    "LookUp",
    "Orphan",
    "Publish",
    "Purge",
    "ReassertLease",
    "Release",
    "Replay",
    "ReplayItem",
    "RunNow",
    "Spend",
    "Subscription",
    "TakeIn",
    "Tick",
]


class Draft(NamedTuple):
    """A message before it is accepted: all fields of `Published` but the number, in the same order."""

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


class DraftRun(msgspec.Struct, eq=False):
    """Drafts of one type that have only a payload each, in columns."""

    type: str
    ids: Sequence[str]
    payloads: list[bytes]
    size: int = -1
    """Bytes of all payloads; below 0: not added up yet."""

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.payloads)

    def payload_bytes(self) -> int:
        """Return the bytes of all payloads, added up once."""
        if self.size < 0:
            self.size = sum(map(len, self.payloads))
        return self.size

    def __iter__(self) -> Iterator[Draft]:
        """Return the drafts one by one."""
        return (Draft(ident, self.type, payload) for ident, payload in zip(self.ids, self.payloads, strict=True))


class Publish(msgspec.Struct):
    """Accept all drafts or none. A draft whose id is known adds nothing."""

    drafts: Sequence[Draft] | DraftRun
    fresh: bool = False
    """All ids were made for this command, which is sent for the first time: none of them can be known."""
    deadline_us: int = 0
    """Until when it waits for room in the backlog; set when the wait begins, and not read by the rules."""


class TakeIn(msgspec.Struct):
    """Accept all drafts of what was spooled as one publish, or make all of them dead letters, with the reason.

    A draft whose id is known adds nothing.
    """

    drafts: Sequence[Draft] | DraftRun


@attrs.define
class CheckOut:
    """Lease the next ready message of a type to a manual consumer; `holder` names the request, so that it counts once."""

    type: str
    holder: str
    lease_us: int
    retries: int


class Done(NamedTuple):
    """The attempt succeeded. `drafts` is what its handler published; `result` what it returned, if a result is kept.

    `holder`, here and below: the manual consumer that reports, as its lease names it; empty for a worker. Another one may have got
    an attempt of the same number, where a failed sync took the lease back.
    """

    number: int
    id: str
    attempt: int
    drafts: tuple[Draft, ...] = ()
    result: bytes = b""
    holder: str = ""


class DoneRun(NamedTuple):
    """Attempts of plain messages succeeded: their numbers, and the lease batch of each."""

    numbers: list[int]
    lease_batches: list[LeaseBatch]

    def each(self) -> Iterator[Done]:
        """Return the attempts one by one."""
        return (
            Done(number, lease_batch.id_of(number), 1) for number, lease_batch in zip(self.numbers, self.lease_batches, strict=True)
        )


class Fail(NamedTuple):
    """The attempt failed; try again after `delay_us` if retries are left. `reject` is the reason not to try again."""

    number: int
    id: str
    attempt: int
    exception: str
    message: str
    traceback: str
    delay_us: int
    reject: str | None = None
    holder: str = ""


class Release(NamedTuple):
    """Return a delivery that has not started; the attempt does not count.

    Another process may begin it all the same, and this may be sent again when the next holder has the message. So the number of the
    attempt is not used again.
    """

    number: int
    id: str
    attempt: int
    reason: str


class ExpireLease(NamedTuple):
    """End the attempt of a holder that is gone or silent; it counts."""

    number: int
    id: str
    attempt: int
    reason: str


class ReassertLease(NamedTuple):
    """Record a lease that workers hold: the log may have lost it, or the end of the attempt before it, with a frame."""

    number: int
    id: str
    lease: Leased


class Spend(NamedTuple):
    """Use up the number of an attempt that a worker may run, though the log has lost its lease: the next one gets a later one."""

    number: int
    id: str
    attempt: int
    retries: int
    uncounted: int = 0
    """How many attempts its lease did not count."""


class Orphan(NamedTuple):
    """Take back a message that was out when its process died.

    `started`: the attempt is known to have started.
    """

    number: int
    started: bool


class Extend(NamedTuple):
    """Keep the lease for `lease_us` from now on (0: as it is); a `percent` makes it a heartbeat."""

    number: int
    id: str
    attempt: int
    lease_us: int
    percent: float | None = None
    note: str = ""
    holder: str = ""


class Death(NamedTuple):
    """The identity of one death of a message, which may have been replayed and died again since."""

    number: int
    at_us: int
    attempts: int


class ReplayItem(NamedTuple):
    """One dead letter to replay."""

    death: Death
    published: Published
    attempts: int
    failures: list[FailureNote]
    edited: bool = False


@attrs.define
class Replay:
    """Replay dead letters, all or none. `again`: the command was sent before, so one that is back already is no error."""

    items: list[ReplayItem]
    again: bool = False
    skips: bool = False
    """Pass over what is no longer the dead letter that was meant."""
    act: Act | None = None


@attrs.define
class Purge:
    """Remove dead letters for good."""

    deaths: list[Death]
    reason: str
    act: Act | None = None


@attrs.define
class BeginBulk:
    """Begin a bulk act on all that an expression means, of what is up to `seq`. The id names it, so it begins once.

    `seq` is a sequence number; to cancel, it is the number of a message.
    """

    bulk: str
    action: str
    where: str
    seq: int
    count: int
    reset_retries: bool
    changes: dict[str, Any]
    act: Act | None = None


@attrs.define
class AdvanceBulk:
    """Act on the next letters or messages of a bulk act, all in one commit."""

    bulk: str
    upto: int
    """What this command deals with, or finds dealt with: all that died up to this sequence number; or all up to this message."""
    items: list[ReplayItem]
    deaths: list[Death]
    passed_over: int = 0
    cancels: Sequence[int] = ()
    """Numbers of messages to cancel."""


@attrs.define
class EndBulk:
    """End a bulk act; `outcome` says why, where something is left."""

    bulk: str
    outcome: str = ""


@attrs.define
class LookAtBulk:
    """Answer where a bulk act stands, None if it is not known; with an empty id, all that are known. No rule decides it."""

    bulk: str = ""


@attrs.frozen
class Subscription:
    """How many deliveries of one handler may be out: at most `window`, of which `parallelism` run and the rest are prefetched."""

    type: str
    window: int
    parallelism: int
    retries: int
    lease_us: int
    interval_us: int = 0
    """The time between two deliveries at a limited rate, in microseconds; 0: no limit."""
    burst: int = 1
    """How many deliveries a limited rate allows at once after a quiet time."""
    elastic: bool = False
    """The handler could have more workers."""
    limit: int = 0
    """How many deliveries of the type may be out in all processes together; 0: no limit."""
    version: int = 0
    """The newest version of the type that its workers know: what is newer is passed over; 0: there are no others to wait for."""


@attrs.define
class Cancel:
    """Cancel a message, waiting or running. One that has ended or is unknown is no error."""

    id: str
    reason: str
    act: Act | None = None
    """Set where an operator asked for it, not the application itself."""


@attrs.define
class RunNow:
    """Have a delayed message, or a tick of a schedule beside its others, handled now. What is neither changes nothing."""

    id: str = ""
    schedule: str = ""
    due_us: int = 0
    """The time that the tick is given; it names the tick, so that a command that is sent again counts once."""
    act: Act | None = None
    draft: Draft | None = None
    """The message of that tick, which the scheduler makes."""


@attrs.define
class AwaitResult:
    """Answer once the message has ended and its result is kept. No rule decides it."""

    id: str
    waits: bool = True
    """If False, answer None at once where there is no result yet."""


@attrs.define
class LookUp:
    """Answer where a message stands. No rule decides it."""

    id: str


@attrs.define
class Tick:
    """Publish `draft` for a tick of a schedule (None: pass the tick over), once for each `due_us`."""

    schedule: str
    due_us: int
    draft: Draft | None
    after_us: int = 0
    """The due time of the tick before; 0: the schedule begins with this one."""
    anew: bool = False
    """The clock was put back by hours since then, and the schedule goes on from the new time."""
