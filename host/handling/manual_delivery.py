"""`Delivery`: a message that the host itself has checked out, and settles.

Each method asks the queue and waits for its answer. Not here: deliveries to handlers (`perdure.actors.workers`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from perdure.actors.core.texts import plain_text
from perdure.actors.workers.context import check_percent
from perdure.events.commands import Done, Extend, Fail
from perdure.events.public_names import public
from perdure.events.seconds import checked_seconds, whole_us

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from perdure.actors.workers.pools.pool import WorkerDelivery as Handed
    from perdure.middleware import Settle

__all__ = ["Delivery"]

M = TypeVar("M")


@public
class Delivery(Generic[M]):
    """One attempt of one message, until it is settled or its lease ends. Safe in any thread.

    Raises:
        LeaseLost: each method, once this consumer no longer has the lease.
        NotRunning, StoreUnavailable: as `System.publish`.
    """

    def __init__(self, handed: Handed, message: M, lease_s: float, ask: Callable[[Any], Any], around: Settle | None = None) -> None:
        self._published = handed.published
        self._attempt = handed.lease.attempt
        self._uncounted = handed.lease.uncounted
        self._holder = handed.lease.holder
        self._lease_us = whole_us(lease_s)
        self._ask = ask
        self._around = around
        self.message: M = message

    @property
    def id(self) -> str:
        """The message's id."""
        return self._published.id

    @property
    def type(self) -> str:
        """The name of the message's type."""
        return self._published.type

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1, of those that count; a replay that resets the retries counts from 1 again."""
        return self._attempt - self._uncounted

    @property
    def fencing_token(self) -> int:
        """A number to hand to systems outside: higher than that of each earlier attempt of this message, also over replays."""
        return self._attempt

    @property
    def key(self) -> str | None:
        """The deduplication key, if any."""
        return self._published.key

    @property
    def correlation_id(self) -> str:
        """The id that all messages of one chain share."""
        return self._published.correlation_id or self._published.id

    @property
    def causation_id(self) -> str | None:
        """The id of the message whose handler published this one."""
        return self._published.causation_id

    @property
    def subject(self) -> str | None:
        """The person or thing that the message is about, if the publisher named one."""
        return self._published.subject

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers that the publisher gave: a copy."""
        return dict(self._published.headers or {})

    def ack(self) -> None:
        """Complete the message; return once that is on disk."""
        self._settle("ack", Done(*self._place, holder=self._holder))

    def requeue(self, reason: str = "requeued") -> None:
        """Put the message back at once. The attempt counts; past its retries the message becomes a dead letter."""
        self._settle("requeue", Fail(*self._place, "perdure.Requeued", plain_text(reason), "", 0, holder=self._holder))

    def reject(self, reason: str) -> None:
        """Make a dead letter of the message at once, with this reason."""
        outcome = Fail(*self._place, "perdure.Rejected", plain_text(reason), "", 0, plain_text(reason), self._holder)
        self._settle("reject", outcome)

    def _settle(self, operation: str, outcome: Done | Fail) -> None:
        if self._around is None:
            self._ask(outcome)
        else:
            self._around(self, operation, lambda: self._ask(outcome))

    def extend(self, seconds: float) -> None:
        """Keep the lease for `seconds` from now on, whatever was left of it.

        Raises:
            ValueError: `seconds` is not above 0.
        """
        self._ask(Extend(*self._place, whole_us(checked_seconds("lease", seconds, above_zero=True)), holder=self._holder))

    def heartbeat(self, percent: float, note: str = "") -> None:
        """Report how far the work is, and renew the lease for its usual time.

        Args:
            percent: from 0 to 100, shown by `state`, `admin.metrics().progress` and the console.
            note: a text beside it.

        Raises:
            ValueError: `percent` is outside 0 to 100.
        """
        check_percent(percent)
        self._ask(Extend(*self._place, self._lease_us, float(percent), plain_text(note), self._holder))

    @property
    def _place(self) -> tuple[int, str, int]:
        return self._published.number, self._published.id, self._attempt

    def __repr__(self) -> str:
        """Show which message and attempt."""
        return f"<Delivery {self.id} of {self._published.type}, attempt {self.attempt}>"
