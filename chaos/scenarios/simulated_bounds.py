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


@contextlib.contextmanager
def simulated_bounds(*, small: bool) -> Iterator[None]:
    """Set the bounds of a scenario, and restore the usual ones at the end. They are global to the process."""
    bounds = [*STEADY, *(SMALL if small else ())]
    usual = [getattr(module, name) for module, name, _ in bounds]
    for module, name, bound in bounds:
        setattr(module, name, bound)
    try:
        yield
    finally:
        for (module, name, _), bound in zip(bounds, usual, strict=True):
            setattr(module, name, bound)
