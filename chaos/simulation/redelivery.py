"""Which messages between actors may come twice without harm, as the design says, and how one is told again.

Who tells them twice, and when, is up to the simulated world and to the monkey.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perdure.actors.core.messages import Committed, Down, Restarted, StartActor, TermBegun, Up, Wake, WakeAt
from perdure.actors.requests.pending import Request

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["HARMLESS_TWICE", "is_harmless_twice", "tell_again"]

HARMLESS_TWICE = (Request, TermBegun, Committed, Restarted, Wake, WakeAt, Down, Up, StartActor)
"""Requests count once by what they name, notices by their sequence number, terms by their count, deaths by who has died. Not here:
`Append` (a fact told twice is two facts), `WorkerDown` (it counts who retires), `Subscribe` (it carries what is out now)."""


def is_harmless_twice(message: Any) -> bool:
    """Tell whether a message may be told twice."""
    return isinstance(message, HARMLESS_TWICE)


def tell_again(tell: Callable[[str, Any], None], name: str, message: Any) -> None:
    """Tell a message a second time, as whoever waits for its answer would."""
    if isinstance(message, Request):
        message.times += 1  # as `PendingRequests.unanswered` does: the receiver can know that it may have had it before
    tell(name, message)
