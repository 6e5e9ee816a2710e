"""Other bounds for perdure while a scenario runs. With the usual ones it would reach none, and look at the clock without end."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from perdure.actors.core.threads import mailbox
from perdure.actors.journal import journal
from perdure.actors.queue import decision_pass
from perdure.actors.services import timer
from perdure.events.queue import deadlines, leasing
from perdure.events.structures import message_block
from perdure.runtime import spool_source
from perdure.store.spool import spool_file

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["simulated_bounds"]

SMALL = (
    (message_block, "BLOCK_MESSAGES", 3),
    (journal, "FRAME_EVENTS_MAX", 6),
    (mailbox, "BATCH_MAX", 3),
    (decision_pass, "PASS_EVENTS", 2),
    (decision_pass, "PASS_BYTES", 400),
    (deadlines, "LOOK_MAX", 1),
    (leasing, "LEASES_MAX", 3),
)
STEADY = ((timer, "LOOK_S", 1e9), (spool_source.SpoolSource, "every_s", 600.0))
"""Simulated time does not jump within a process, and nothing is spooled. Looking whether it did would be half of all turns."""
SPOOLED = ((spool_source.SpoolSource, "every_s", 20.0),)
SMALL_SPOOL = (
    (spool_source, "ROWS_MAX", 3),
    (spool_file, "FILE_BYTES_MAX", 500),
    (spool_file, "FOLDER_BYTES_MAX", 2_500),
    (spool_file, "FILES_MAX", 6),
)


@contextlib.contextmanager
def simulated_bounds(*, small: bool, spools: bool = False) -> Iterator[None]:
    """Set the bounds of a scenario, and restore the usual ones at the end. They are global to the process."""
    bounds: list[tuple[object, str, float]] = [*STEADY[:1], *(SPOOLED if spools else STEADY[1:]), *(SMALL if small else ())]
    bounds += SMALL_SPOOL if small and spools else ()
    usual = [getattr(module, name) for module, name, _ in bounds]
    for module, name, bound in bounds:
        setattr(module, name, bound)
    try:
        yield
    finally:
        for (module, name, _), bound in zip(bounds, usual, strict=True):
            setattr(module, name, bound)
