"""Requests that wait for a handler's result, by the id of its message, until that message has ended.

Whether a result is kept, and how long, is a rule (`events/queue/endings`); `ResultWaiters` only finds the requests to answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.actors.requests.answers import Settle
from perdure.events.errors import UnknownMessage
from perdure.events.vocabulary import ResultKept

if TYPE_CHECKING:
    from collections.abc import Iterable

    from perdure.actors.requests.pending import PendingRequests
    from perdure.actors.requests.request import Request
    from perdure.events.commands import AwaitResult
    from perdure.events.queue.state import QueueState
    from perdure.events.vocabulary import Event

__all__ = ["ResultWaiters"]


class ResultWaiters:
    """Requests by the id of the message whose result they wait for. Its answers must not be seen before the sync."""

    __slots__ = ("_count", "_pending", "waiting")

    def __init__(self, pending: PendingRequests) -> None:
        self._pending = pending
        self._count = 0
        self.waiting: dict[str, list[Request]] = {}

    def ask(self, state: QueueState, request: Request, command: AwaitResult) -> list[Settle]:
        """Answer at once if the result is kept or the caller does not wait; else when the message has ended.

        Raises:
            UnknownMessage: no result of it is kept, nor will be.
        """
        ident = command.id
        kept = state.results.get(ident)
        if kept is not None:
            return [Settle(self._pending, request, kept)]
        message = state.by_id(ident)
        if message is None or message.published.extras is None or not message.published.extras.result_us:
            msg = (
                f"no result of message {ident} is kept: it is not known, was published without `keep_result`, its time is over, or "
                "it made room for newer ones (Options.results_max, results_bytes_max)."
            )
            raise UnknownMessage(msg)
        if not command.waits:
            return [Settle(self._pending, request, None)]
        self.waiting.setdefault(ident, []).append(request)
        self._count += 1
        return []

    def answers(self, events: Iterable[Event]) -> list[Settle]:
        """Return the answers of those whose message has ended in this pass; forget requests that no longer wait."""
        pending = self._pending
        answers: list[Settle] = []
        for event in events:
            if isinstance(event, ResultKept) and event.id in self.waiting:
                answers += [Settle(pending, request, event) for request in self.waiting.pop(event.id)]
        self._count -= len(answers)
        if self._count > 2 * len(pending.outstanding):  # then half of them at least is forgotten, so a look costs little each
            self._forget()
        return answers

    def _forget(self) -> None:
        outstanding = self._pending.outstanding
        self.waiting = {
            ident: still
            for ident, requests in self.waiting.items()
            if (still := [request for request in requests if request.key in outstanding])
        }
        self._count = sum(map(len, self.waiting.values()))
