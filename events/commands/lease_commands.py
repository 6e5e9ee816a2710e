"""The commands that lease messages, and those that report how an attempt went or what became of its lease.

The rules are in `queue/leasing` and `queue/outcomes`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perdure.events.commands.publish_commands import Draft
    from perdure.events.structures.message_block import LeaseBatch
    from perdure.events.vocabulary import Leased

__all__ = [
    "CheckOut",
    "Done",
    "DoneRun",
    "ExpireLease",
    "Extend",
    "Fail",
    "Orphan",
    "ReassertLease",
    "Release",
    "Spend",
    "Subscription",
]


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
    """Use up the number of an attempt that a worker may run although the log lost its lease: the next one gets a higher number."""

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
