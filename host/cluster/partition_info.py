"""One line of `Cluster.partitions()`."""

from __future__ import annotations

import attrs

from perdure.events.public_names import public

__all__ = ["PartitionInfo"]


@public
@attrs.frozen(kw_only=True)
class PartitionInfo:
    """One partition, and which process owns it."""

    number: int
    owner: str
    """Host and process; empty: none."""
    is_here: bool
    """This process owns it."""
    epoch: int
    """How often the partition was taken over; 0: never."""
    lag: int
    """How many publishes its owner has not taken in yet."""
    doing: str = ""
    """What this process does with the partition; empty: nothing."""
