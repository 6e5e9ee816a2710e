"""The dispatcher of a member: it looks after the workers, and reports to the owner how many deliveries they take.

Nothing is decided about handlers: which options count is on record with the owner, whose own dispatcher says it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perdure.actors.core.actor import Actor
from perdure.actors.core.messages import EndGrace, Outcomes, PaceChanged, Quiesce, Restarted, StopHandler, Wake, WakeAt
from perdure.actors.core.threads.answer import IgnoredReply
from perdure.actors.members.owner_words import Configured, Overdue, Revoked, Setting
from perdure.actors.requests.request import Request
from perdure.actors.workers.pools.worker_messages import WorkerDown
from perdure.events.commands import ExpireLease

if TYPE_CHECKING:
    from perdure.actors.core.actor import Home
    from perdure.actors.core.clock import Clock
    from perdure.actors.members.owner_words import OwnerPort
    from perdure.actors.requests.pending import PendingRequests
    from perdure.actors.workers.pools.handler_pools import HandlerPools
    from perdure.actors.workers.pools.pool import Pool
    from perdure.actors.workers.staff import Staff

__all__ = ["MemberDispatcher"]

AS_CODED = Setting()


class MemberDispatcher(Actor):
    """Holds nothing that its successor could not find in the pools, or in the settings that the owner sent."""

    def __init__(
        self,
        directory: Home,
        pending: PendingRequests,
        *,
        clock: Clock,
        pools: HandlerPools,
        staff: Staff,
        owner: OwnerPort,
        generation: int,
    ) -> None:
        super().__init__(directory, "dispatcher", generation)
        self.pending = pending
        self.clock = clock
        self.pools = pools
        self.staff = staff
        self.owner = owner

    def on_start(self) -> None:
        """Look after the workers of all handlers; take up a stop that a predecessor had begun."""
        for pool in self.pools.by_type.values():
            self.staff.after_a_death(pool)
            self._apply(pool)
        self.on_batch([*self.pending.unanswered(self.name)] if self.generation > 1 else [])

    def on_batch(self, messages: list[Any]) -> None:
        """Handle a batch."""
        now_us = self.clock.now_us()
        for message in messages:
            self._take(message, now_us)
        if (at_rest := self.staff.at_rest(now_us)) is not None:
            at_rest.release(0)

    def _take(self, message: Any, now_us: int) -> None:
        match message:
            case Request(command=Quiesce(grace_s=grace_s)):
                self.staff.quiesce(message, grace_s, now_us)
                for pool in self.pools.by_type.values():
                    self._apply(pool)
                    pool.end_waits()
                self.directory.tell("timer", WakeAt(self.name, self.staff.grace_ends_us))
            case Restarted(name="supervisor"):
                for pool in self.pools.by_type.values():
                    self.staff.after_a_death(pool)
            case Restarted(name="timer") if self.staff.quiesce_request is not None:
                self.directory.tell("timer", WakeAt(self.name, self.staff.grace_ends_us))
            case PaceChanged(type=type_name) if type_name in self.pools.by_type:
                self._subscribe(self.pools.by_type[type_name])
            case Configured(type=type_name) if type_name in self.pools.by_type:
                self._apply(self.pools.by_type[type_name])
            case StopHandler() | WorkerDown() | EndGrace():
                self.staff.take(message)
            case Revoked() | Overdue():
                self._lease_is_over(message, now_us)
            case Wake():
                pass  # a look at what is at rest follows

    def _apply(self, pool: Pool) -> None:
        setting = self.owner.settings.get(pool.type, AS_CODED)
        handler = pool.registered.changed(setting.changes)
        parallelism = handler.parallelism if setting.parallelism < 0 else setting.parallelism
        self.staff.apply(pool, handler, parallelism, paused=setting.paused)
        self._subscribe(pool)
        self.staff.give_back_if_closed(pool)

    def _subscribe(self, pool: Pool) -> None:
        self.owner.subscribe(pool.type, *self.staff.window_of(pool))

    def _lease_is_over(self, message: Revoked | Overdue, now_us: int) -> None:
        pool = self.pools.by_type.get(message.type)
        delivery = None if pool is None else pool.open.get(message.number)
        ref = (message.number, message.id, message.attempt)
        if pool is None or delivery is None or delivery.attempt_ref != ref:
            if isinstance(message, Overdue):  # else the owner would ask without end, and nothing else could have the message
                lost = ExpireLease(*ref, "its lease ran out, and its process does not have it")
                self.pending.send("queue", Outcomes([lost]), IgnoredReply(), from_outside=False)
            return
        if isinstance(message, Overdue):
            self.staff.overdue(pool, delivery, message.until_us, now_us)
        elif message.cancels:
            self.staff.take(StopHandler(message.type, ref))
        elif delivery.outcome is None:
            pool.revoke(delivery)
