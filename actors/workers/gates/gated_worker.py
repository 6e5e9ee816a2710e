"""A worker that asks a gate before it calls its handler; one turn at a time, and not for each message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perdure.actors.workers.worker import Worker

if TYPE_CHECKING:
    from perdure.actors.core.directory import Directory
    from perdure.actors.workers.gates.gate import RunGate
    from perdure.actors.workers.handler_spec import HandlerSpec
    from perdure.actors.workers.pool import Pool
    from perdure.actors.workers.worker import WorkerServices

__all__ = ["GatedWorker"]


class GatedWorker(Worker):
    """A worker that begins nothing while too many of its type run in this process, or while its run's lease has passed."""

    def __init__(
        self, directory: Directory, gate: RunGate, services: WorkerServices, pool: Pool, name: str, generation: int
    ) -> None:
        super().__init__(directory, services, pool, name, generation)
        self.gate = gate
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
