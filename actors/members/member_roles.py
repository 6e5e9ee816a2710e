"""The actors of a member, by name, and the parts of the runtime that each takes; and its worker, which marks what it begins."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from perdure.actors.members.member_dispatcher import MemberDispatcher
from perdure.actors.services.actor_record import Unrecorded
from perdure.actors.services.role_table import RoleTable
from perdure.actors.services.roles import on_demand_roles, staff_of
from perdure.actors.services.timer import Timer
from perdure.actors.workers.worker import Worker
from perdure.events.commands import Release

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.actors.core.health import Health
    from perdure.actors.members.owner_words import OwnerPort
    from perdure.actors.services.runtime import HandlerRuntime
    from perdure.actors.sessions.member_work.begin_marks import BeginMarks
    from perdure.actors.workers.pools.pool import Pool, WorkerDelivery

__all__ = ["MemberWorker", "member_roles"]


class MemberWorker(Worker):
    """A worker that begins nothing whose lease has run out, or while no owner is heard: another process may have the message."""

    health: Health
    """Of the run; its `owner` has until when the owner counts as alive."""
    mark: Callable[[int, int], None] = staticmethod(lambda _number, _attempt: None)
    """Marks an attempt (message number, attempt) as begun, for the owner, which reads the marks even once this process is dead."""

    def _give_back_if_closed(self, delivery: WorkerDelivery) -> bool:
        if super()._give_back_if_closed(delivery):
            return True
        if 0 < delivery.lease.until_us <= self.clock.now_us() + self.health.owner.ahead_us:
            why = "its lease had run out before it began"
        elif self.now_s() >= self.health.owner.until_s:
            why = "no owner was heard when it was to begin"
        else:
            return False
        delivery.outcome = Release(*delivery.attempt_ref, why)
        self.finished.append(delivery)
        return True

    def _start(self, delivery: WorkerDelivery) -> None:
        self.mark(delivery.number, delivery.lease.attempt)
        super()._start(delivery)

    def _handle_simply(self, delivery: WorkerDelivery) -> bool:
        # Written out, as this is much of what a short message costs a member. A lease that has run out is left to `_handle`.
        owner = self.health.owner
        if 0 < delivery.lease.until_us <= self.looked_us + owner.ahead_us or self.now_s() >= owner.until_s:
            return False
        self.mark(delivery.number, delivery.lease.attempt)
        return super()._handle_simply(delivery)


def member_roles(runtime: HandlerRuntime, owner: OwnerPort, marks: BeginMarks | None) -> RoleTable:
    """Return how the actors of a run are built whose log is another process's."""

    def dispatcher(generation: int) -> MemberDispatcher:
        return MemberDispatcher(
            runtime.directory,
            runtime.pending,
            clock=runtime.clock,
            pools=runtime.pools,
            staff=staff_of(runtime),
            owner=owner,
            generation=generation,
        )

    directory, services = runtime.directory, runtime.worker_services

    def worker(pool: Pool, name: str, generation: int) -> MemberWorker:
        made = MemberWorker(directory, services, pool, name, generation)
        made.health = runtime.health
        if marks is not None:
            made.mark = marks.mark
        return made

    return RoleTable(
        always={"timer": partial(Timer, directory, runtime.clock), "dispatcher": dispatcher},
        on_demand=on_demand_roles(runtime),
        worker=worker,
        record=Unrecorded,
    )
