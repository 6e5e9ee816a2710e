"""Whether a cluster fits what the database has on record of its queue."""

from __future__ import annotations

from perdure.cluster.routing import ROUTING
from perdure.events.errors import PerdureError

__all__ = ["check_fits"]


def check_fits(name: str, count: int, partitions: int, routing: str, beyond: int | None) -> None:
    """Check the number of partitions and the routing of a queue against those on record.

    Args:
        name: the queue.
        count: how many partitions this process was given.
        partitions: how many are on record.
        routing: the name of the rules on record by which messages find their partitions.
        beyond: the number of a partition above those on record that exists, or for which publishes wait; None: there is none.

    Raises:
        PerdureError: they differ, or `beyond` is given; the text names what is on record, and what to do.
    """
    if partitions != count:
        raise PerdureError(
            f"partitions: the queue {name!r} has {partitions} on record, and this Cluster has {count}. The number is "
            "for good, since keys would find other partitions: give the same number in all processes, or another name."
        )
    if routing != ROUTING:
        raise PerdureError(
            f"the queue {name!r} finds partitions by {routing!r}, and this perdure by {ROUTING!r}: run the version of the "
            "other processes here."
        )
    if beyond is not None:
        raise PerdureError(
            f"partitions: the queue {name!r} holds a partition {beyond}, which a System made by hand, or publishes that wait for "
            f"it, and {partitions} partitions end before it. Give the Cluster more of them or another name, or copy that partition "
            "elsewhere with perdure migrate."
        )
