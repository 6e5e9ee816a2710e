"""What processes have checked out by hand: which process has it, and what becomes of it when that is gone.

Part of the queue actor. Which processes are gone is found in `actors/sessions`; what a consumer reports is in `queue`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from perdure.events.commands import ExpireLease

if TYPE_CHECKING:
    from perdure.events.queue.state import QueueState

__all__ = ["ConsumerGone", "checked_out_by", "origin_of"]


@attrs.frozen
class ConsumerGone:
    """Take back what a process has checked out: it is gone, or its connection is, and it has not come back."""

    origin: str


def origin_of(holder: str) -> str:
    """Return the name of the process that checked something out under this name."""
    return holder.partition(".")[0]


def checked_out_by(state: QueueState, origin: str) -> list[ExpireLease]:
    """Return what takes back all that a process has checked out. The attempts count: it had begun."""
    found = []
    for holder, number in state.holders.items():
        message = state.messages[number]
        if message.lease is not None and origin_of(holder) == origin:
            found.append(ExpireLease(number, message.published.id, message.lease.attempt, "its process died"))
    return found
