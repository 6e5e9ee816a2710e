"""Which messages between actors may arrive twice without harm, and how one is sent again.

The simulated system and the monkey (`threads`) decide when that happens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perdure.actors.core.messages import Committed, Down, Restarted, StartActor, TermBegun, Up, Wake, WakeAt
from perdure.actors.requests.request import Request

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["REDELIVERABLE", "is_redeliverable", "redeliver"]

REDELIVERABLE = (Request, TermBegun, Committed, Restarted, Wake, WakeAt, Down, Up, StartActor)
"""Receivers recognize a repeated request by its ids, a notice by its sequence number, a term by its count, a death by its actor.
Not here: `Append` (it would record its events twice), `WorkerDown` (it counts retired workers), `Subscribe` (it contains what is
in flight at the moment)."""


def is_redeliverable(message: Any) -> bool:
    """Return whether a message may arrive twice."""
    return isinstance(message, REDELIVERABLE)


def redeliver(tell: Callable[[str, Any], None], name: str, message: Any) -> None:
    """Send a message a second time, as its sender does when no answer comes."""
    if isinstance(message, Request):
        message.times += 1  # as `PendingRequests.unanswered` does: the receiver can see that it may know the request
    tell(name, message)
