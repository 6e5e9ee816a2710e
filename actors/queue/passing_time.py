"""`PassingTime`: what follows from time alone. Leases run out, delays end, messages expire, orphans are taken back.

When each of them is due is a rule (`events/queue/deadlines`). Part of the queue actor: nothing here has a thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.actors.core.messages import LeasesOverdue, Tell
from perdure.events.commands import ExpireLease, Extend
from perdure.events.queue import deadlines
from perdure.events.structures.message import Message

if TYPE_CHECKING:
    from perdure.actors.core.clock import Clock
    from perdure.actors.queue.consumers import Consumers
    from perdure.actors.queue.decision_pass import DecisionPass
    from perdure.actors.queue.deliveries import Deliveries
    from perdure.actors.queue.orphans import Orphans
    from perdure.actors.workers.pools.handler_pools import HandlerPools

__all__ = ["PassingTime"]


class PassingTime:
    """Looks at the deadlines of the queue during one of its terms."""

    def __init__(
        self, queue: DecisionPass, clock: Clock, deliveries: Deliveries, orphans: Orphans, pools: HandlerPools, consumers: Consumers
    ) -> None:
        self._queue = queue
        self._clock = clock
        self._deliveries = deliveries
        self._orphans = orphans
        self._pools = pools
        self._consumers = consumers
        self.skipped_us = 0
        """By how much skipped time the leases of manual consumers have been extended."""
        self.more_is_due = False
        """More deadlines have passed than one look at them handles."""

    def begin(self, now_us: int) -> None:
        """Count skipped time from here: what was skipped before, the term before has given back."""
        self.skipped_us = self._clock.skipped_us(0, now_us)

    def lengthen(self, now_us: int) -> None:
        """Extend the leases of manual consumers by skipped time; those of workers are counted from the start of the handler."""
        skipped_us = self._clock.skipped_us(0, now_us)
        jumped_us, self.skipped_us = skipped_us - self.skipped_us, skipped_us
        if jumped_us <= 0:
            return
        queue = self._queue
        for message in list(queue.state.leased.values()):
            if isinstance(message, Message) and message.lease is not None and message.lease.holder and message.until_us:
                left_us = max(1, message.until_us + jumped_us - now_us)
                queue.take(Extend(message.number, message.published.id, message.lease.attempt, left_us), now_us)

    def look(self, now_us: int) -> None:
        """Handle the deadlines that have passed, up to a bound; sets `more_is_due` where there are others."""
        queue = self._queue
        self.more_is_due = False
        if self._orphans.due_us <= now_us:
            for orphan in self._orphans.due(queue.state, self._pools.all(), now_us):
                queue.take(orphan, now_us)
        if deadlines.next_deadline_us(queue.state) > now_us:
            return
        expired = self._expire_leases(now_us)
        skipped_us = self._clock.skipped_us if self.skipped_us else None
        # Messages that came back just now may have outlived their time.
        due = deadlines.due(queue.state, now_us, queue.limits, skipped_us)
        self.more_is_due = len(due) >= deadlines.LOOK_MAX or expired >= deadlines.LOOK_MAX
        queue.apply(due)
        queue.cut_where_full(now_us)

    def look_at_all(self, now_us: int) -> None:
        """Handle all deadlines that have passed: many messages may be in front of one that has time left."""
        self.look(now_us)
        while self.more_is_due:
            self.look(now_us)

    def _expire_leases(self, now_us: int) -> int:
        """End the leases that have run out, and return how many; have the dispatcher look at those that a worker may still have.

        A manual consumer keeps its lease while it waits for an answer, for as long as the disk takes.
        """
        queue = self._queue
        ask: list[tuple[int, str, int, int]] = []
        lost: list[ExpireLease | Extend] = []
        for message in deadlines.overdue(queue.state, now_us):
            lease = message.lease
            if lease is None:
                continue
            attempt_ref = (message.number, message.published.id, lease.attempt)
            if lease.holder or message.published.type not in self._deliveries:
                left_us = self._consumers.left_us(message, now_us) if lease.holder else 0
                silent = ExpireLease(*attempt_ref, "its lease ran out without a sign of life")
                lost.append(Extend(*attempt_ref, left_us) if left_us else silent)
                if len(lost) >= deadlines.LOOK_MAX:
                    break
            else:
                ask.append((*attempt_ref, message.until_us))
        for command in lost:
            queue.take(command, now_us)
        if ask:
            queue.written.append(Tell(queue.directory, "dispatcher", LeasesOverdue(ask)))
        return len(lost)
