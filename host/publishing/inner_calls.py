"""`InnerCalls`: what a System or a Client offers the other rooms of host/, beside what it offers an application.

Each has it as `inner`, so that the attributes of a System are those that an application calls. What only a System offers is in
`lifecycle/inner_system`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from perdure.actors.requests.pending import PendingRequests
    from perdure.events.commands import Publish
    from perdure.events.vocabulary import ResultKept

__all__ = ["InnerCalls"]


class AnswerOfQueue(Protocol):
    """Asks the queue from a coroutine."""

    async def __call__(self, command: object, *, is_long_wait: bool = False) -> Any:
        """Return what the queue answers. A cancelled wait leaves nothing behind."""


@attrs.frozen(eq=False, kw_only=True)
class InnerCalls:
    """How a room passes requests through a front door, already checked and encoded. All may be called in any thread.

    Raises:
        NotRunning, StoreUnavailable: all that ask, where nothing answers.
    """

    check_running: Callable[[], None]
    """Refuses where nothing would answer; a Client waits for an owner."""
    pending: Callable[[], PendingRequests]
    """Returns the requests that have no answer yet."""
    room: Callable[[bool], PendingRequests]
    """Returns `pending` once it has room for one more; given whether the caller may block, else it has awaited the room before."""
    publish: Callable[[Publish], None]
    """Publishes drafts, and returns once they are in the log."""
    answer: AnswerOfQueue
    wait_or_look: Callable[[str, float | None], ResultKept]
    """Returns how a message ended, waiting for it so many seconds at most; TimeoutError where it has not."""
    exception_of: Callable[[str], BaseException | None]
    """Returns the exception that ended a message, where its handler ran in this process."""
    handled: Callable[[], Collection[str]]
    """Returns the types that have a handler."""
    retries_of: Callable[[str], int]
    """Returns how often a message of a type is tried again, unless a consumer names another number."""
