"""The options of one handler: which function, how it runs, how many at once, how long, how often.

Only data. The dispatcher registers it, workers run it.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

from perdure.events.handlers.overdue_lease import AttemptLimits
from perdure.events.seconds import shown, whole_us
from perdure.events.vocabulary import HandlerRegistered

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from perdure.events.handlers.backoff import Backoff

    Exceptions: TypeAlias = tuple[type[BaseException], ...]

__all__ = ["CHANGEABLE", "HandlerSpec", "spec_on_record"]

CHANGEABLE = ("timeout_s", "lease_s", "retries", "rate_per_s", "renew")
"""Options that can be changed while the system runs."""

BURST_S = 0.05
"""A limited rate allows at once what it allows in this time, so that a late timer loses no deliveries."""


def spec_on_record(registered: HandlerRegistered) -> HandlerSpec:
    """Return a handler as it is on record: its options, and nothing to call."""
    more = registered.more or {}
    return HandlerSpec(
        type=registered.type,
        call=_runs_elsewhere,
        kind=more.get("kind", "thread"),
        parallelism=registered.parallelism,
        parallelism_max=registered.parallelism_max,
        timeout_s=registered.timeout_us / 1_000_000 or None,
        lease_s=registered.lease_us / 1_000_000 or None,
        renew=bool(more.get("renew")),
        retries=registered.retries,
        backoff=_no_backoff,
        dedup=registered.dedup,
        limit=more.get("limit"),
        rate_per_s=more.get("rate_per_s", 0.0),
        batch_size=more.get("batch_size", 0),
    )


def _runs_elsewhere(_message: Any, _context: Any) -> Any:
    msg = "this handler runs in another process"
    raise RuntimeError(msg)


def _no_backoff(_attempt: int, _error: BaseException) -> float:
    return 0.0


def described(backoff: Any) -> str:
    """Return a backoff for the record: the same text in each run, so without the address that Python's own reprs hold."""
    name = getattr(backoff, "__qualname__", None)
    return name if isinstance(name, str) else re.sub(r" at 0x[0-9A-Fa-f]+", "", shown(backoff))


@attrs.frozen(eq=False, kw_only=True)
class HandlerSpec:
    """One handler. Times in seconds; None: no limit."""

    type: str
    call: Callable[[Any, Any], Any]
    """Takes the message and its context; for batches a `Batch` alone. Returns a coroutine if `kind` is `async`."""
    label: str = ""
    """What the host gave, for people: its module and qualified name."""
    function: Callable[[Any, Any], Any] | None = None
    """For processes: what runs in the child; `call` leads there."""
    kind: str = "thread"
    """`thread`, `async` or `process`."""
    parallelism: int
    parallelism_max: int = 0
    """If not 0, the number of workers follows the backlog up to this."""
    timeout_s: float | None
    lease_s: float | None
    renew: bool | None = None
    """The lease of a handler that runs is renewed by itself, and only a timeout ends it; None: where there is no timeout."""
    retries: int
    """-1: for ever."""
    backoff: Backoff | Callable[[int, BaseException], float]
    retry_on: Exceptions = ()
    """If there are any, whatever else is raised is final."""
    dead_letter_on: Exceptions = ()
    """Exceptions that are final."""
    dedup: str
    dedup_window_s: float | None = None
    limit: int | None = None
    """How many messages may be out at once in all processes that have the handler."""
    key_parallelism: int | None = None
    """As `dedup`, only for the record here: each message with a key brings them to the queue."""
    rate_per_s: float = 0.0
    """Deliveries a second; 0: no limit."""
    batch_size: int = 0
    """If not 0, up to so many messages are handed to one call."""
    batch_wait_s: float = 0.0
    """How long a call that is not full waits for more."""
    memory_bytes: int | None = None
    """For processes: what the child may take above what it has when its handler is loaded."""
    every: str | float | None = None
    """Of a schedule: its cron expression, or the seconds between two ticks. Only for the record."""
    zone: str | None = None
    """The time zone of the cron expression; None: the machine's own. Only for the record."""

    @property
    def is_simple(self) -> bool:
        """Whether it is called in the worker's own thread, one message at a time, and never interrupted."""
        return self.kind == "thread" and not self.timeout_s and not self.lease_s and not self.batch_size

    @property
    def renews(self) -> bool:
        """Whether its lease is renewed by itself for as long as it runs."""
        return self.lease_s is not None and (self.timeout_s is None if self.renew is None else self.renew)

    @property
    def attempt_limits(self) -> AttemptLimits:
        """How long one attempt may take."""
        return AttemptLimits(whole_us(self.timeout_s or 0), whole_us(self.lease_s or 0), self.renews)

    @property
    def limit_us(self) -> int:
        """How long one attempt may take from its start without a sign of life, in microseconds; 0: as long as it likes."""
        return self.attempt_limits.limit_us

    @property
    def interval_us(self) -> int:
        """The time between two deliveries at the limited rate, in microseconds; 0: no limit."""
        return max(1, round(1_000_000 / self.rate_per_s)) if self.rate_per_s else 0

    @property
    def burst(self) -> int:
        """How many deliveries a limited rate allows at once after a quiet time."""
        return max(1, math.ceil(self.rate_per_s * BURST_S))

    def changed(self, changes: Mapping[str, Any]) -> HandlerSpec:
        """Return this handler with options that an operator changed."""
        known = {name: value for name, value in changes.items() if name in CHANGEABLE}
        return attrs.evolve(self, **known) if known else self

    def registration(self, started_us: int = 0) -> HandlerRegistered:
        """Return the event of its registration; see `HandlerRegistered.started_us`."""
        more = {
            "kind": self.kind if self.kind != "thread" else None,
            "retry_on": [kind.__qualname__ for kind in self.retry_on],
            "dead_letter_on": [kind.__qualname__ for kind in self.dead_letter_on],
            "dedup_window_s": self.dedup_window_s,
            "limit": self.limit,
            "key_parallelism": self.key_parallelism,
            "rate_per_s": self.rate_per_s,
            "batch_size": self.batch_size,
            "batch_wait_s": self.batch_wait_s,
            "memory_bytes": self.memory_bytes,
            "renew": self.renews,
            "every": self.every,
            "zone": self.zone,
        }
        return HandlerRegistered(
            self.type,
            self.parallelism,
            self.retries,
            whole_us(self.timeout_s or 0),
            whole_us(self.lease_s or 0),
            self.dedup,
            described(self.backoff),
            self.parallelism_max,
            {name: value for name, value in more.items() if value} or None,
            started_us,
        )
