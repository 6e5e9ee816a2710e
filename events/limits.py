"""The bounds that the queue's rules keep (law 7); a host sets them by its options."""

from __future__ import annotations

import attrs

__all__ = ["Limits"]


@attrs.frozen
class Limits:
    """The bounds that the rules keep."""

    backlog: int = 1_000_000
    """Messages that may wait; children of a handler are let in above it, since their parent could not complete otherwise."""
    backlog_bytes: int = 1 << 30
    dead_letters: int = 100_000
    dead_letters_bytes: int = 1 << 30
    """With their texts, as they stand on record."""
    results: int = 100_000
    results_bytes: int = 256 << 20
    held_keys: int = 1_000_000
    drop_newest: bool = False
    """At the bound of dead letters the new one is purged, not the oldest."""
