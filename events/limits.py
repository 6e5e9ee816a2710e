"""The bounds that the queue's rules keep (law 7). A host sets them by `Options`."""

from __future__ import annotations

import attrs

__all__ = ["Limits"]


@attrs.frozen
class Limits:
    """The bounds that the rules keep; bytes are of payloads and texts."""

    backlog: int = 1_000_000
    """How many messages may wait. What a handler publishes is accepted above the bound: else its message could not complete."""
    backlog_bytes: int = 1 << 30
    dead_letters: int = 100_000
    dead_letters_bytes: int = 1 << 30
    """The size of all dead letters, with their texts, as they stand on record."""
    results: int = 100_000
    results_bytes: int = 256 << 20
    held_keys: int = 1_000_000
    drop_newest: bool = False
    """At the bound of dead letters, purge the new one instead of the oldest."""
