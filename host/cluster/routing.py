"""Which partition a message belongs to: pure rules, on record in the database, so that all hosts agree.

By its group, else by its key, else by its id. Ids that perdure makes tell their partition, so that it is found without asking.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import TYPE_CHECKING

from perdure.publishing.message_ids import Ids
from perdure.runtime.database.routing_name import ROUTING

if TYPE_CHECKING:
    import random

    from perdure.actors.core.clock import Clock

__all__ = ["PARTITIONS_MAX", "ROUTING", "PartitionIds", "of_id", "of_text", "search_order"]

PARTITIONS_MAX = 4096
"""As many as the twelve bits of an id tell apart."""
_MADE = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7([0-9a-f]{3})-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def of_text(text: str, partitions: int) -> int:
    """Return the partition of a group or a key."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest()) % partitions


def of_id(ident: str, partitions: int) -> int:
    """Return the partition of a message that was published without group and key; of one with an id that perdure made, always."""
    made = _MADE.fullmatch(ident)
    return of_text(ident, partitions) if made is None else int(made[1], 16) % partitions


def search_order(ident: str, partitions: int) -> tuple[int, ...]:
    """Return all partitions as a message is looked for in them: first the one that its id tells."""
    first = of_id(ident, partitions)
    return (first, *(number for number in range(partitions) if number != first))


class PartitionIds(Ids):
    """Makes ids of one partition, which `of_id` finds again: the twelve bits behind the version are its number."""

    def __init__(self, clock: Clock, rng: random.Random, partition: int) -> None:
        self._partition = partition
        super().__init__(clock, rng)

    def begin(self, epoch: int) -> None:
        """See `Ids.begin`."""
        super().begin(epoch)
        self._run = f"7{self._partition:03x}{self._run[4:]}"
