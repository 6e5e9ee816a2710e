"""A live message as the queue holds it: what was published, plus what happened to it since.

Only data lives here; `queue_state` changes it, and only while folding an event.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from perdure.events.vocabulary import FailureNote, Leased, Published

__all__ = ["Message", "QueuePart", "Status"]


class Status(IntEnum):
    """Where a live message stands."""

    READY = 0
    """In line for its handler."""
    DELAYED = 1
    """Waits for a time: a delay, a schedule or a retry."""
    HELD = 2
    """Waits for another message to end: of its key, or before it in its group."""
    LEASED = 3
    """Out with a holder."""


class QueuePart(IntEnum):
    """Which part of a lane holds a ready message."""

    NONE = 0
    IN_ORDER = 1
    LATE = 2


@attrs.define(eq=False, slots=True)
class Message:
    """One live message. `rank` is its place among those of equal priority: its number, or that of the one it replaced."""

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
    """The last attempt whose outcome is recorded: a repeated report of it is harmless."""
