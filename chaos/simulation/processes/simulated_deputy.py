"""A deputy in a simulated process: the real fold of the owner's log, kept up with it, with which that process takes over.

What `perdure.processes.deputy` does in a thread is done in turns here; the fold is in `perdure.actors.journal.warm_fold`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.actors.journal.warm_fold import WarmFold
from perdure.events.errors import PerdureError
from perdure.store import FolderReader

if TYPE_CHECKING:
    from perdure.chaos.disk.memory_disk import MemoryDisk
    from perdure.chaos.simulation.simulated_executor import SimulatedExecutor
    from perdure.options import Options

__all__ = ["SimulatedDeputy"]

PAUSE_TURNS = 60
"""It looks at the log again after so many turns at most, of all processes together, if something was written."""


class SimulatedDeputy:
    """Follows the log from its first turn to `end`; a `Bystander` of the executor."""

    def __init__(self, executor: SimulatedExecutor, disk: MemoryDisk, options: Options) -> None:
        self._executor = executor
        self._disk = disk
        self._next_turn = 0
        self._operations = -1
        """How many the disk had done at the last look."""
        self._fold = WarmFold(
            self._new_reader,
            finished_max=options.finished_max,
            resident_max=options.resident_payload_bytes,
            spill=lambda: None,
        )
        executor.bystanders.append(self)

    def _new_reader(self) -> FolderReader:
        reader = FolderReader("/simulated", disk=self._disk)
        reader.remember_places()
        return reader

    def end(self) -> WarmFold:
        """Follow the log no more; return what is folded."""
        if self in self._executor.bystanders:
            self._executor.bystanders.remove(self)
        return self._fold

    # --- turns, see `Bystander` --------------------------------------------------------------------------------------------

    def is_able(self) -> bool:
        """See `Bystander.is_able`."""
        return self._executor.steps >= self._next_turn and self._disk.operations != self._operations

    def turn(self) -> None:
        """See `Bystander.turn`: fold what was written since the last one; anew, if that was taken back or dropped."""
        self._operations = self._disk.operations
        self._next_turn = self._executor.steps + self._executor.rng.randrange(1, PAUSE_TURNS)
        try:
            self._fold.follow()
        except PerdureError:
            self._operations = -1

    def next_s(self) -> float | None:
        """See `Bystander.next_s`: nothing, as the log changes only while others have something to do."""
        return None
