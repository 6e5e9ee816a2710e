"""What processes have checked out by hand: which process has it, and what becomes of it when that is gone.

Part of the queue actor. Which processes are gone is found in `actors/sessions`; whether a report counts is a rule
(`events/queue/consumer_reports`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from perdure.actors.requests.answers import Settle
from perdure.actors.workers.pools.pool import WorkerDelivery
from perdure.events.commands import ExpireLease
from perdure.events.queue.consumer_reports import is_anothers, is_refused
from perdure.events.queue.leasing import lease_lost

if TYPE_CHECKING:
    from perdure.actors.queue.decision_pass import DecisionPass
    from perdure.actors.requests.request import Request
    from perdure.events.commands import CheckOut, Done, Fail, Release
    from perdure.events.queue.state import QueueState

__all__ = ["ConsumerGone", "Consumers", "checked_out_by", "origin_of"]


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


class Consumers:
    """Answers those who check out by hand, during one term of the queue."""

    def __init__(self, queue: DecisionPass) -> None:
        self._queue = queue

    def delivery_to(self, command: CheckOut) -> WorkerDelivery | None:
        """Return what the holder that a checkout names has now; None where nothing was ready."""
        state = self._queue.state
        number = state.holders.get(command.holder)
        message = None if number is None else state.messages[number]
        return None if message is None or message.lease is None else WorkerDelivery.of(message, message.lease)

    def on_report(self, request: Request, report: Done | Fail | Release, now_us: int) -> None:
        """Record a consumer's report on its delivery; refuse it if the consumer no longer had the lease.

        Raises:
            PerdureError: the rules refuse it.
        """
        queue = self._queue
        if is_anothers(queue.state, report):
            queue.pending.refuse(request, lease_lost(report.id, report.attempt))
            return
        events = queue.decide(report, now_us)
        if is_refused(queue.state, report, events, sent_again=request.times > 1):
            queue.pending.refuse(request, lease_lost(report.id, report.attempt))
        else:
            queue.synced.append(Settle(queue.pending, request, None))

    def on_gone(self, request: Request, command: ConsumerGone, now_us: int) -> None:
        """Take back what a process has checked out that is gone."""
        queue = self._queue
        for lost in checked_out_by(queue.state, command.origin):
            queue.take(lost, now_us)
            queue.cut_where_full(now_us)
        queue.written.append(Settle(queue.pending, request, []))
