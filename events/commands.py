"""What the queue can be asked for: one class for each command and each outcome that a holder reports.

Commands are wishes and may be refused; facts are in `vocabulary`. Nothing here is ever stored. (What every publish makes is a
msgspec Struct or a named tuple: they are made faster than other classes.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import attrs
import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from perdure.events.structures.message_block import LeaseBatch
    from perdure.events.vocabulary import Extras, FailureNote, Leased, Published

__all__ = [
    "AwaitResult",
    "Cancel",
    "CheckOut",
    "Death",
    "Done",
    "DoneRun",
    "Draft",
    "DraftRun",
    "ExpireLease",
    "Extend",
    "Fail",
    "LookUp",
    "Orphan",
    "Publish",
    "Purge",
    "ReassertLease",
    "Release",
    "Replay",
    "ReplayItem",
    "Subscription",
    "Tick",
]


class Draft(NamedTuple):
    """A message on its way in: all of `Published` but the number, in the same order."""

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


class DraftRun(msgspec.Struct, eq=False):
    """Drafts of one type with nothing but a payload each, in columns."""

    type: str
    ids: Sequence[str]
    payloads: list[bytes]
    size: int = -1
    """Bytes of all payloads; below 0: not added up yet."""

    def __len__(self) -> int:
        """Count them."""
        return len(self.payloads)

    def payload_bytes(self) -> int:
        """Return the bytes of all payloads, added up once."""
        if self.size < 0:
            self.size = sum(map(len, self.payloads))
        return self.size

    def __iter__(self) -> Iterator[Draft]:
        """Give them one by one."""
        return (Draft(ident, self.type, payload) for ident, payload in zip(self.ids, self.payloads, strict=True))


class Publish(msgspec.Struct):
    """Accept all drafts or none. An id that is already known is answered with itself and adds nothing."""

    drafts: Sequence[Draft] | DraftRun
    fresh: bool = False
    """All ids were just made for this command, which is sent for the first time: none can be known."""
    deadline_us: int = 0
    """Until when it waits for room in the backlog, set when it begins to; the rules do not look at it."""


@attrs.define
class CheckOut:
    """Lease the next ready message of a type to a manual consumer; `holder` names the request, so that it counts once."""

    type: str
    holder: str
    lease_us: int
    retries: int


class Done(NamedTuple):
    """The attempt succeeded; `drafts` is what its handler published, `result` what it returned, if anybody asked."""

    number: int
    id: str
    attempt: int
    drafts: tuple[Draft, ...] = ()
    result: bytes = b""


class DoneRun(NamedTuple):
    """Many attempts succeeded, of plain messages: their numbers, and what each was handed out with."""

    numbers: list[int]
    lease_batches: list[LeaseBatch]

    def each(self) -> Iterator[Done]:
        """Give them one by one."""
        return (
            Done(number, lease_batch.id_of(number), 1) for number, lease_batch in zip(self.numbers, self.lease_batches, strict=True)
        )


class Fail(NamedTuple):
    """The attempt failed; wait `delay_us`, then try again if retries are left. `reject` gives the reason not to."""

    number: int
    id: str
    attempt: int
    exception: str
    message: str
    traceback: str
    delay_us: int
    reject: str | None = None


class Release(NamedTuple):
    """The attempt had not started and will not; it does not count."""

    number: int
    id: str
    attempt: int
    reason: str


class ExpireLease(NamedTuple):
    """The holder is gone with the attempt under way; it counts."""

    number: int
    id: str
    attempt: int
    reason: str


class ReassertLease(NamedTuple):
    """Workers have this, whatever the log says: it may have lost the lease, or how the one before it ended, with a frame."""

    number: int
    id: str
    lease: Leased


class Orphan(NamedTuple):
    """What was out when its process died; `started`: it is known to have been under way."""

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


class Death(NamedTuple):
    """Which dead letter is meant: who asks has seen that one, and the message may have been back and died again since."""

    number: int
    at_us: int
    attempts: int


class ReplayItem(NamedTuple):
    """One dead letter to bring back, as the dead letters hold it."""

    death: Death
    published: Published
    attempts: int
    failures: list[FailureNote]
    edited: bool = False


@attrs.define
class Replay:
    """Bring dead letters back, all or none. `again`: sent a second time, so one that is back already is no error."""

    items: list[ReplayItem]
    again: bool = False
    skips: bool = False
    """One that is no longer the dead letter that was meant is passed over."""


@attrs.define
class Purge:
    """Remove dead letters for good."""

    deaths: list[Death]
    reason: str


@attrs.frozen
class Subscription:
    """What the dispatcher lets flow to one handler: at most `window` deliveries out, `parallelism` of them running."""

    type: str
    window: int
    parallelism: int
    retries: int
    lease_us: int
    interval_us: int = 0
    """With a limited rate: the time between two deliveries; 0: no limit."""
    burst: int = 1
    """With a limited rate: how many may go out at once after a quiet time."""
    elastic: bool = False
    """There could be more workers, if there was more work than these can take."""


@attrs.define
class Cancel:
    """Call a message off, wherever it is. One that has ended, or never was, is no error."""

    id: str
    reason: str


@attrs.define
class AwaitResult:
    """Answer once the message has ended and its result is kept; the rules do not look at it."""

    id: str
    waits: bool = True
    """Where not, the answer is None if there is none yet."""


@attrs.define
class LookUp:
    """Answer where a message stands; the rules do not look at it."""

    id: str


@attrs.define
class Tick:
    """A schedule is due: publish `draft` for it (None: pass over), once for each `due_us`."""

    schedule: str
    due_us: int
    draft: Draft | None
    after_us: int = 0
    """The tick that was sent before it; 0: the schedule begins with this one."""
    anew: bool = False
    """The clock was put back by hours since that one, and the schedule goes on from the new time."""
