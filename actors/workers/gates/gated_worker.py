"""A worker that asks a gate before it calls its handler, one turn at a time; what it publishes for other logs goes there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from perdure.actors.core.actor import ActorKilled
from perdure.actors.workers.worker import Worker
from perdure.events.commands import Done

if TYPE_CHECKING:
    from perdure.actors.core.directory import Directory
    from perdure.actors.workers.gates.gate import RunGate
    from perdure.actors.workers.handler_spec import HandlerSpec
    from perdure.actors.workers.pools.pool import Pool, WorkerDelivery
    from perdure.actors.workers.worker import WorkerServices
    from perdure.events.commands import Fail, Release

__all__ = ["GatedWorker"]


class GatedWorker(Worker):
    """A worker that begins nothing while too many of its type run in this process, or while its run's lease has passed."""

    def __init__(
        self, directory: Directory, gate: RunGate, services: WorkerServices, pool: Pool, name: str, generation: int
    ) -> None:
        super().__init__(directory, services, pool, name, generation)
        self.gate = gate
        self.contexts = attrs.evolve(self.contexts, child_id=gate.children.id_for)
        self._is_inside = False

    def turn(self, items: list[Any]) -> bool:
        """See `Worker.turn`."""
        if not items:
            return super().turn(items)
        self.gate.gates.enter(self)
        self._is_inside = True
        try:
            return super().turn(items)
        finally:
            self._is_inside = False
            self.gate.gates.leave(self)

    def _refresh(self) -> HandlerSpec | None:
        """Called at the beginning of a turn, and within it after some messages or some milliseconds."""
        if self._is_inside:
            gates = self.gate.gates
            if gates.others_wait(self):
                gates.leave(self)
                gates.enter(self)
            self.gate.check_lease(self)
        return super()._refresh()

    def _end(self, delivery: WorkerDelivery, outcome: Done | Fail | Release) -> None:
        """End an attempt. What belongs to another log is published there first: if that fails, the attempt has failed."""
        if type(outcome) is Done and outcome.drafts:
            outcome = self._sent(delivery, outcome)
        super()._end(delivery, outcome)

    def _sent(self, delivery: WorkerDelivery, outcome: Done) -> Done | Fail:
        away = self.gate.children.away(outcome.drafts)
        if not away or delivery.lost:  # the outcome of a lost attempt does not count, and its drafts with it
            return outcome
        try:
            self.gate.children.send(away)
        except ActorKilled:
            raise
        except Exception as error:  # noqa: BLE001 - whatever the other log's store raises
            return self.failures.failure(self.pool, delivery, error)
        gone = {id(draft) for draft in away}
        return outcome._replace(drafts=tuple(draft for draft in outcome.drafts if id(draft) not in gone))
