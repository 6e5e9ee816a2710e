"""Smaller bounds for perdure's internals while a scenario runs. With the usual ones a scenario would never reach a bound."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from perdure.actors.core import mailbox
from perdure.actors.journal import journal
from perdure.actors.queue import decision_pass
from perdure.events.queue import deadlines, leasing
from perdure.events.structures import message_block

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["small_bounds"]

SMALL = (
    (message_block, "BLOCK_MESSAGES", 3),
    (journal, "FRAME_EVENTS_MAX", 6),
    (mailbox, "BATCH_MAX", 3),
    (decision_pass, "PASS_EVENTS", 2),
    (decision_pass, "PASS_BYTES", 400),
    (deadlines, "TICK_MAX", 1),
    (leasing, "LEASES_MAX", 3),
)


@contextlib.contextmanager
def small_bounds() -> Iterator[None]:
    """Make the bounds small, and restore them at the end. They are global to the process."""
    usual = [getattr(module, name) for module, name, _ in SMALL]
    for module, name, bound in SMALL:
        setattr(module, name, bound)
    try:
        yield
    finally:
        for (module, name, _), bound in zip(SMALL, usual, strict=True):
            setattr(module, name, bound)
