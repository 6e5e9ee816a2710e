"""The name of the rules by which messages are spread over the partitions of a queue. The rules are in `perdure.cluster.routing`."""

from __future__ import annotations

__all__ = ["ROUTING"]

ROUTING = "blake2b-64/uuid7-12"
"""On record with each queue. Another way to spread messages needs another name, and a queue of its own."""
