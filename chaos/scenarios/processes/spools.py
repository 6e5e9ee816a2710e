"""The spool files of a scenario: what clients have written there, what is damaged in them, and what must be taken in.

The files and their writers are the real ones, on the disk in memory. When something is spooled is up to the exchange of a client
(`perdure.processes.to_owner.waiting`); the steps are in `steps.spooling`.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perdure.actors.sessions.crossing import OBJECTS
from perdure.chaos.oracle.reference_model import require
from perdure.events.commands import Publish
from perdure.processes.to_owner.spooling import Spooling
from perdure.store.spool import spool_format as sf

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable

    from perdure.chaos.disk.memory_disk import MemoryDisk
    from perdure.chaos.oracle.publisher_log import PublisherLog
    from perdure.chaos.simulation.simulated_executor import SimulatedExecutor

__all__ = ["SpoolerDied", "Spools"]

FOLDER = Path("/simulated")
OPERATIONS = frozenset({"create", "write", "sync", "sync_data", "sync_folder", "cut"})


class SpoolerDied(BaseException):
    """A process that spools, `process`, is dead, in the middle of writing. Not an Exception: nothing may handle it."""

    def __init__(self, process: int) -> None:
        super().__init__(process)
        self.process = process


class _SpoolersDisk:
    """The disk of a process that does not own the folder: its operations are no points at which the owner dies."""

    def __init__(self, spools: Spools, process: int) -> None:
        self._spools = spools
        self._process = process

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self._spools.disk(), name)
        return self._counted(operation) if name in OPERATIONS else operation

    def _counted(self, operation: Callable[..., Any]) -> Callable[..., Any]:
        spools, process = self._spools, self._process

        def counted(*args: Any) -> Any:
            if spools.dies_in:
                spools.dies_in -= 1
                if not spools.dies_in:
                    raise SpoolerDied(process)
            spools.is_spooling = True
            try:
                return operation(*args)
            finally:
                spools.is_spooling = False

        return counted


class Spools:
    """The spool of the folder, over all processes of a scenario.

    Args:
        executor: gives time and chance.
        log: the answers that publishers got.
        disk: returns the disk that there is now.
    """

    def __init__(self, executor: SimulatedExecutor, log: PublisherLog, disk: Callable[[], MemoryDisk]) -> None:
        self.disk = disk
        self.dies_in = 0
        """A process that spools dies before this many more of its operations; 0: it does not."""
        self.is_spooling = False
        """An operation on the disk is one of a process that spools."""
        self._executor = executor
        self._log = log
        self._damaged: set[str] = set()

    def new(self, process: int) -> Spooling:
        """Return what spools for one client or member, which is numbered as in `other_processes`."""
        salts = random.Random(self._executor.rng.getrandbits(64))
        disk: Any = _SpoolersDisk(self, process)
        return Spooling(FOLDER, disk, now_us=self._executor.clock.now_us, salt=lambda: salts.randbytes(8))

    # --- what is in the files ----------------------------------------------------------------------------------------------

    def _names(self) -> list[str]:
        return [name for name in self.disk().names_seen if sf.is_spool(name)]

    def waiting(self) -> set[str]:
        """Return the ids of all messages that an owner finds when it reads the files."""
        seen = self.disk().names_seen
        return {ident for name in self._names() for ident in _idents(bytes(seen[name].seen))}

    def is_durable(self, ident: str) -> bool:
        """Return whether a message is in a file, and stays there when the power is cut."""
        files = [file for name, file in self.disk().names_durable.items() if sf.is_spool(name)]
        return any(ident in _idents(file.durable) for file in files)

    def left(self) -> int:
        """Return how many files are not taken in."""
        return len(self._names())

    # --- what owners do with them ------------------------------------------------------------------------------------------

    def found_at_start(self, executor: SimulatedExecutor) -> set[str]:
        """Return what an owner that starts now must take in before its handlers begin; nothing where it may be hindered."""
        found, disk = self.waiting(), self.disk()
        return set() if disk.faults or executor.kill_after or executor.die_after else found

    def note_left(self, fault_counts: Counter[str]) -> None:
        """Count that an owner's start has left something in the files, for which it had no room, or no answer in time."""
        if self.left():
            fault_counts["a spool waits for room"] += 1

    # --- what goes wrong with them -----------------------------------------------------------------------------------------

    def tear(self, pick: int, size: int) -> bool:
        """Leave the beginning of a record behind what is whole, as a writer that dies does; return whether there was a file."""
        file = self._pick(pick)
        if file is None or len(file.seen) < sf.HEADER_BYTES:  # its writer died before it had anything to tear
            return False
        data = sf.pack_record(bytes(file.seen[: sf.HEADER_BYTES]), 1 << 20, [b"never acknowledged" * 4])
        torn = data[: 1 + size % (len(data) - 1)]
        file.seen += torn
        file.durable += torn
        return True

    def flip(self, pick: int, at: int) -> bool:
        """Flip one bit behind the header of a file, as a rotten disk does; return whether there was a file.

        What was in that record is lost, unless it is on record. All others must be taken in.
        """
        file, name = self._pick(pick), self._picked(pick)
        if file is None or len(file.durable) <= sf.HEADER_BYTES or bytes(file.seen) != file.durable:
            return False
        before = _idents(file.durable)
        changed = bytearray(file.durable)
        changed[sf.HEADER_BYTES + at % (len(changed) - sf.HEADER_BYTES)] ^= 1 << (at % 8)
        file.seen, file.durable = changed, bytes(changed)
        lost = before - _idents(file.durable)
        self._log.acknowledged -= lost
        self._log.uncertain |= lost
        if sf.parse(file.durable).problem:  # the last record of a file looks like a torn one
            self._damaged.add(name)
        return True

    def _picked(self, pick: int) -> str:
        names = sorted(self._names())
        return names[pick % len(names)] if names else ""

    def _pick(self, pick: int) -> Any:
        return self.disk().names_seen.get(self._picked(pick))

    # --- what must hold ----------------------------------------------------------------------------------------------------

    def check_kept(self) -> None:
        """Check that nothing is left of the spool but damaged files, each under its other name.

        Raises:
            BrokenContract: a file is left, or a damaged one is gone.
        """
        names = self.disk().names_seen.keys()
        require(not self.left(), f"never taken in: {sorted(self._names())}")
        gone = [name for name in self._damaged if f"{name}.damaged" not in names]
        require(not gone, f"damaged spool files are not kept: {gone}")


def _idents(data: bytes) -> set[str]:
    publishes = [OBJECTS.object(item) for item in sf.parse(data).items]
    return {draft.id for publish in publishes if isinstance(publish, Publish) for draft in publish.drafts}
