"""The effects that answer requests: the journal releases them once the events that the answer is about are on record.

`Effect` and the effects that send messages to actors are in `actors/core/messages.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from perdure.actors.requests.pending import PendingRequests
    from perdure.actors.requests.request import Request

__all__ = ["Settle", "SettleAll"]


@attrs.define(eq=False)
class Settle:
    """Answer a request; a callable value is called with the sequence number and returns the answer."""

    pending: PendingRequests
    request: Request
    value: Any

    def release(self, seq: int, /) -> None:
        """See `Effect.release`."""
        self.pending.settle(self.request, self.value(seq) if callable(self.value) else self.value)


@attrs.define(eq=False)
class SettleAll:
    """Answer many requests that they are done."""

    pending: PendingRequests
    requests: list[Request]

    def release(self, _seq: int, /) -> None:
        """See `Effect.release`."""
        self.pending.settle_all(self.requests)
