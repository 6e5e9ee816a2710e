"""`Bulk`: where a bulk act of an operator stands. What follows from it is in `events/queue/bulk_acts`."""

from __future__ import annotations

from typing import Any

import attrs

__all__ = ["Bulk"]


@attrs.frozen
class Bulk:
    """A bulk act as the log has it: its plan, and how far it is."""

    id: str
    action: str
    where: str
    seq: int
    """What died up to here is meant, if it is as the expression says."""
    count: int
    reset_retries: bool
    changes: dict[str, Any]
    principal: str
    origin: str
    reason: str
    upto: int = 0
    """All that died up to this sequence number is dealt with."""
    changed: int = 0
    passed_over: int = 0
    is_over: bool = False
    outcome: str = ""
    """Why it was stopped; empty if it was not."""
