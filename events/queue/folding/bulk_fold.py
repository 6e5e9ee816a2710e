"""How the events of a bulk act change the queue's state. What they follow from is in `events/queue/bulk_acts`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from perdure.events import vocabulary as ev
from perdure.events.structures.bulk import Bulk

if TYPE_CHECKING:
    from perdure.events.queue.state import QueueState

__all__ = ["KEPT_MAX", "evolve_bulk"]

KEPT_MAX = 64
"""Bulk acts that are remembered, with how they ended."""


def evolve_bulk(state: QueueState, event: ev.Event) -> None:
    """Fold an event of a bulk act into the queue's state."""
    match event:
        case ev.BulkBegun():
            state.bulks[event.bulk] = Bulk.of(event)
            over = [ident for ident, bulk in state.bulks.items() if bulk.is_over]
            for ident in over[: max(0, len(state.bulks) - KEPT_MAX)]:
                del state.bulks[ident]
        case ev.BulkAdvanced():
            bulk = state.bulks[event.bulk]
            changed, passed_over = bulk.changed + event.changed, bulk.passed_over + event.passed_over
            state.bulks[event.bulk] = attrs.evolve(bulk, upto=event.upto, changed=changed, passed_over=passed_over)
        case ev.BulkEnded():
            state.bulks[event.bulk] = attrs.evolve(state.bulks[event.bulk], is_over=True, outcome=event.outcome)
