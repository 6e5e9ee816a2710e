"""Which node owns which partition, and what a node does next: pure rules over what the database showed.

The thread that looks and acts is in `keeper`. Nothing here uses a clock, a connection or a lease of its own.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

__all__ = ["Plan", "Seen", "assigned", "plan"]


def assigned(nodes: Collection[str], partitions: int) -> dict[int, str]:
    """Return the node of each partition: the one with the highest score for it that does not have its share yet.

    A share is the number of partitions divided by the number of nodes. All nodes get it rounded down before one gets it rounded
    up. All nodes compute the same table. If a node comes or goes, most partitions stay where they are.
    """
    share, more = divmod(partitions, len(nodes)) if nodes else (0, 0)
    scores = sorted(((_score(node, number), node, number) for node in nodes for number in range(partitions)), reverse=True)
    found: dict[int, str] = {}
    load = dict.fromkeys(nodes, 0)
    for most in (share, share + (more > 0)):
        for _, node, number in scores:
            if number not in found and load[node] < most:
                found[number] = node
                load[node] += 1
    return found


def _score(node: str, number: int) -> bytes:
    return blake2b(f"{number}:{node}".encode(), digest_size=8).digest()


@attrs.frozen
class Seen:
    """A partition as the database showed it."""

    owner: str
    """Of its lease; empty: none."""
    is_free: bool
    """Its lease has passed, was given up, or belongs to a node that has died."""


@attrs.frozen
class Plan:
    """What a node does next."""

    take: tuple[int, ...]
    """Partitions to claim."""
    give: tuple[int, ...]
    """Partitions to close, and to free for the node that is to have them."""


def plan(me: str, nodes: Collection[str], partitions: int, seen: Mapping[int, Seen], mine: Sequence[int]) -> Plan:
    """Return what a node does next; `nodes` are those that live, this one among them; `mine` are the partitions that it runs.

    A partition is given up only to a living node, and taken only while it is free. So it may have no owner for a moment, and never
    has two.
    """
    wanted = assigned(nodes, partitions)
    take = (
        number
        for number in range(partitions)
        if wanted.get(number) == me and number not in mine and (number not in seen or seen[number].is_free)
    )
    return Plan(tuple(take), tuple(number for number in mine if wanted.get(number, me) != me))
