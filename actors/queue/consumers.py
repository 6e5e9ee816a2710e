"""Messages that processes have checked out by hand: which process has one, for how long, and what becomes of it afterwards.

Part of the queue actor. Which processes are gone is found in `actors/sessions`; whether a report counts is a rule
(`events/queue/consumer_reports`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from perdure.actors.requests.answers import Settle
from perdure.actors.workers.pools.pool import WorkerDelivery
from perdure.events.commands import CheckOut, ExpireLease, Extend
from perdure.events.queue.consumer_reports import is_anothers, is_refused, left_us
from perdure.events.queue.leasing import lease_lost

if TYPE_CHECKING:
    from perdure.actors.core.clock import Clock
    from perdure.actors.queue.decision_pass import DecisionPass
    from perdure.actors.requests.request import Request
    from perdure.events.commands import Done, Fail, Release
    from perdure.events.queue.state import QueueState
    from perdure.events.structures.message import Message

__all__ = ["ConsumerGone", "Consumers", "LeaseAnswer", "checked_out_by", "origin_of"]


ANSWERS_MIN = 64
"""How many answers are kept besides two for each message that is held."""


@attrs.frozen
class ConsumerGone:
    """Take back what a process has checked out: it is gone, or its connection is, and it has not come back."""

    origin: str


def origin_of(holder: str) -> str:
    """Return the name of the process that a holder's name begins with."""
    return holder.partition(".")[0]


def checked_out_by(state: QueueState, origin: str) -> list[ExpireLease]:
    """Return what takes back all that a process has checked out. The attempts count: it had begun."""
    found = []
    for holder, number in state.holders.items():
        message = state.messages[number]
        if message.lease is not None and origin_of(holder) == origin:
            found.append(ExpireLease(number, message.published.id, message.lease.attempt, "its process died"))
    return found


@attrs.define(eq=False)
class LeaseAnswer(Settle):
    """Answers a request for a lease or for more of it, and keeps when: the consumer has its lease from then on."""

    clock: Clock
    holder: str
    lease_us: int
    answered_us: int = 0

    def release(self, seq: int, /) -> None:
        """See `Effect.release`. The journal's thread calls."""
        self.answered_us = self.clock.now_us()  # first: a request that has its answer is outstanding no more
        Settle.release(self, seq)
        self.value = None  # it is kept longer than the payload may stay in memory


class Consumers:
    """Answers manual consumers, during one term of the queue."""

    def __init__(self, queue: DecisionPass, clock: Clock, answers: dict[int, LeaseAnswer]) -> None:
        self._queue = queue
        self._clock = clock
        self._answers = answers
        """See `QueueFigures.lease_answers`. Answers of the term before count too: the journal may give them in this one."""

    def checked_out(self, request: Request, command: CheckOut) -> Settle:
        """Return the answer to a checkout: what the holder that it names has now; None where nothing was ready."""
        queue = self._queue
        number = queue.state.holders.get(command.holder)
        message = None if number is None else queue.state.messages[number]
        if number is None or message is None or message.lease is None:
            return Settle(queue.pending, request, None)
        return self._note(request, number, WorkerDelivery.of(message, message.lease))

    def extended(self, request: Request, command: Extend) -> Settle:
        """Return the answer to a heartbeat or a call of `extend`."""
        if not command.holder:  # a worker's: see `events/handlers/overdue_lease`
            return Settle(self._queue.pending, request, None)
        return self._note(request, command.number, None)

    def _note(self, request: Request, number: int, value: Any) -> LeaseAnswer:
        command, holders = request.command, self._queue.state.holders
        if len(self._answers) > 2 * len(holders) + ANSWERS_MIN:
            held = set(holders.values())
            for ended in self._answers.keys() - held:
                del self._answers[ended]
        answer = LeaseAnswer(self._queue.pending, request, value, self._clock, command.holder, command.lease_us)
        self._answers[number] = answer
        return answer

    def left_us(self, message: Message, now_us: int) -> int:
        """Return for how much longer the holder of a message has its lease, which has run out; 0: it has lost it."""
        answer = self._answers.get(message.number)
        if answer is None or message.lease is None or answer.holder != message.lease.holder:
            return 0
        waits = answer.request.key in self._queue.pending.outstanding
        if not waits and not answer.answered_us:
            return 0  # it was refused, or waits no longer
        answered_us = answer.answered_us and answer.answered_us + self._clock.skipped_us(answer.answered_us, now_us)
        return left_us(answered_us, answer.lease_us, now_us)

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
            self._answers.pop(report.number, None)
            queue.synced.append(Settle(queue.pending, request, None))

    def on_gone(self, request: Request, command: ConsumerGone, now_us: int) -> None:
        """Take back what a process has checked out that is gone."""
        queue = self._queue
        for lost in checked_out_by(queue.state, command.origin):
            queue.take(lost, now_us)
            queue.cut_where_full(now_us)
        queue.written.append(Settle(queue.pending, request, []))
