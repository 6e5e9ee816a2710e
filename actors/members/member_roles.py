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

    from perdure.actors.core.directory import Directory
    from perdure.actors.members.owner_words import OwnerPort
    from perdure.actors.services.runtime import HandlerRuntime
    from perdure.actors.sessions.begin_marks import BeginMarks
    from perdure.actors.workers.pools.pool import Pool, WorkerDelivery
    from perdure.actors.workers.worker import WorkerServices

__all__ = ["MarkingWorker", "member_roles"]


class MemberWorker(Worker):
    """A worker that begins nothing whose lease has run out, or while no owner is heard: another process may have the message."""

    hears_owner: Callable[[], bool] = staticmethod(lambda: True)
    """See `OwnerPort.is_heard`."""

    def _give_back_if_closed(self, delivery: WorkerDelivery) -> bool:
        if super()._give_back_if_closed(delivery):
            return True
        if _is_late(delivery, self.clock.now_us()):
            why = "its lease had run out before it began"
        elif not self.hears_owner():
            why = "no owner was heard when it was to begin"
        else:
            return False
        delivery.outcome = Release(*delivery.attempt_ref, why)
        self.finished.append(delivery)
        return True

    def _may_begin(self, delivery: WorkerDelivery) -> bool:
        return not _is_late(delivery, self.looked_us) and self.hears_owner()

    def _handle_simply(self, delivery: WorkerDelivery) -> bool:
        return self._may_begin(delivery) and super()._handle_simply(delivery)


class MarkingWorker(MemberWorker):
    """A worker whose attempts are known to the owner to have begun, also once this process is dead."""

    def __init__(
        self, directory: Directory, services: WorkerServices, marks: BeginMarks, pool: Pool, name: str, generation: int
    ) -> None:
        super().__init__(directory, services, pool, name, generation)
        self.mark = marks.mark

    def _start(self, delivery: WorkerDelivery) -> None:
        self.mark(delivery.number, delivery.lease.attempt)
        super()._start(delivery)

    def _handle_simply(self, delivery: WorkerDelivery) -> bool:
        if not self._may_begin(delivery):
            return False
        self.mark(delivery.number, delivery.lease.attempt)
        return super()._handle_simply(delivery)


def _is_late(delivery: WorkerDelivery, now_us: int) -> bool:
    return 0 < delivery.lease.until_us <= now_us


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
        made = (
            MemberWorker(directory, services, pool, name, generation)
            if marks is None
            else MarkingWorker(directory, services, marks, pool, name, generation)
        )
        made.hears_owner = owner.is_heard
        return made

    return RoleTable(
        always={"timer": partial(Timer, directory, runtime.clock), "dispatcher": dispatcher},
        on_demand=on_demand_roles(runtime),
        worker=worker,
        record=Unrecorded,
    )
