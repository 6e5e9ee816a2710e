"""Waiting for results: who asked for what the handler of which message returns, until that message has ended.

Whether a result is kept, and how long, is a rule (`events/ending_rules`); the queue says which have come.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.actors.messages import Settle
from perdure.events.errors import UnknownMessage
from perdure.events.vocabulary import ResultKept

if TYPE_CHECKING:
    from collections.abc import Iterable

    from perdure.actors.desk import Desk, Request
    from perdure.events.commands import AwaitResult
    from perdure.events.queue_state import QueueState
    from perdure.events.vocabulary import Event

__all__ = ["Awaiting"]


class Awaiting:
    """Requests by the id of the message whose result they wait for. Its answers must not be seen before the sync."""

    __slots__ = ("_desk", "waiting")

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.waiting: dict[str, list[Request]] = {}

    def ask(self, state: QueueState, request: Request, command: AwaitResult) -> list[Settle]:
        """Answer at once where the result is kept, or who asks does not wait; else when the message has ended.

        Raises:
            UnknownMessage: no result of it is kept, nor will be.
        """
        ident = command.id
        kept = state.results.get(ident)
        if kept is not None:
            return [Settle(self._desk, request, kept)]
        message = state.by_id(ident)
        if message is None or message.published.terms is None or not message.published.terms.result_us:
            msg = (
                f"no result of message {ident} is kept: it is not known, was published without `keep_result`, or its time is over."
            )
            raise UnknownMessage(msg)
        if not command.waits:
            return [Settle(self._desk, request, None)]
        self.waiting.setdefault(ident, []).append(request)
        return []

    def answers(self, events: Iterable[Event]) -> list[Settle]:
        """Answer those whose message has ended in this pass, and forget who no longer waits."""
        desk = self._desk
        answers: list[Settle] = []
        for event in events:
            if isinstance(event, ResultKept) and event.id in self.waiting:
                answers += [Settle(desk, request, event) for request in self.waiting.pop(event.id)]
        if len(self.waiting) > len(desk.outstanding):
            self.waiting = {
                ident: still
                for ident, requests in self.waiting.items()
                if (still := [request for request in requests if request.key in desk.outstanding])
            }
        return answers
