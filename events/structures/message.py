"""A live message as the queue holds it: what was published, and what happened to it since.

Only folds change it (`queue/folding/folds`, `queue/folding/placement`).
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from perdure.events.vocabulary import FailureNote, Leased, Published

__all__ = ["Message", "QueuePart", "Status"]


class Status(IntEnum):
    """The status of a live message."""

    READY = 0
    """In the ready queue of its type."""
    DELAYED = 1
    """Waits for its due time: a delay or a retry."""
    HELD = 2
    """Waits for another message to end: of its key, or before it in its group."""
    LEASED = 3
    """Out: leased to a worker or a manual consumer."""


class QueuePart(IntEnum):
    """Which part of a priority level holds a ready message."""

    NONE = 0
    IN_ORDER = 1
    LATE = 2


@attrs.define(eq=False, slots=True)
class Message:
    """One live message. `rank` orders messages of equal priority: its number, or the rank of the message that it superseded."""

    published: Published
    number: int
    rank: int
    due_us: int = 0
    attempts: int = 0
    status: Status = Status.READY
    queue_part: QueuePart = QueuePart.NONE
    lease: Leased | None = None
    until_us: int = 0
    crashes: int = 0
    free_worker_only: bool = False
    percent: float | None = None
    note: str = ""
    failures: list[FailureNote] | None = None
    settled: int = 0
    """The last attempt whose report was accepted; a repeated report changes nothing. A report of a lost attempt is refused."""
    forgiven: int = 0
    """How many of its `attempts` do not count: they were given back, or came before a replay from zero. Their numbers stay used."""
