"""What the host said about one handler: which function, how many at once, how long, how often.

Only data; registering it is the dispatcher's business, running it the worker's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from perdure.events.vocabulary import HandlerRegistered

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.events.backoff import Backoff

__all__ = ["HandlerSpec"]


@attrs.frozen(eq=False)
class HandlerSpec:
    """One handler. Times in seconds; None: no limit."""

    type: str
    call: Callable[[Any, Any], Any]
    parallelism: int
    timeout_s: float | None
    lease_s: float | None
    retries: int
    backoff: Backoff
    dedup: str

    @property
    def limit_us(self) -> int:
        """How long one attempt may take from its start without a sign of life, in microseconds; 0: as long as it likes."""
        limits = [s for s in (self.timeout_s, self.lease_s) if s is not None]
        return round(min(limits) * 1_000_000) if limits else 0

    def fact(self) -> HandlerRegistered:
        """Give it as the dispatcher puts it on record."""
        return HandlerRegistered(
            self.type,
            self.parallelism,
            self.retries,
            round((self.timeout_s or 0) * 1_000_000),
            round((self.lease_s or 0) * 1_000_000),
            self.dedup,
            repr(self.backoff),
        )
