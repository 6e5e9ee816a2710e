"""`Bulk`: how far a bulk act of an operator has come. What follows from it is in `events/queue/bulk_acts`."""

from __future__ import annotations

import attrs

from perdure.events.vocabulary import BulkPlan

__all__ = ["Bulk"]

PLAN = tuple(field.name for field in attrs.fields(BulkPlan))


@attrs.frozen
class Bulk(BulkPlan):
    """A bulk act as the log has it: its plan, and how far it has come."""

    upto: int = 0
    """All that died up to this sequence number is dealt with; of `cancel`, all up to this message."""
    changed: int = 0
    passed_over: int = 0
    is_over: bool = False
    outcome: str = ""
    """Why it was stopped; empty if it was not."""

    @classmethod
    def of(cls, plan: BulkPlan) -> Bulk:
        """Return an act that has just begun."""
        return cls(*(getattr(plan, name) for name in PLAN))
