"""Handlers that wait for one another over all partitions of a process: a wait that could not end is refused at once.

The rule is the same as in one System (`perdure.actors.workers.pools.result_waits`).
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from perdure.actors.execution.invocation import CALLER
from perdure.actors.workers.pools.result_waits import Waits

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from perdure.cluster.owning.hosted import Hosting

__all__ = ["ClusterWaits"]


class ClusterWaits:
    """The waits of the handlers that run in this process. Its methods may be called in any thread.

    Args:
        hosting: the partitions that run here.
        partitions: how many the queue has.
    """

    def __init__(self, hosting: Hosting, partitions: int) -> None:
        self._hosting = hosting
        self._partitions = partitions
        self._waits = Waits()

    def wait(self, wanted: str) -> AbstractContextManager[None]:
        """Return a context manager within which the calling handler waits for a message of this type.

        If other processes own partitions, one of their workers may handle the message, and their waits are not on record here:
        nothing is refused. In this process no more workers of a type are at work than one partition has
        (`perdure.actors.workers.gates`), so the pools of one partition stand for all.

        Raises:
            WouldDeadlock: a handler waits, this process owns all partitions, and all workers that could handle it wait for one
                another, this one included.
        """
        caller, systems = CALLER.get(), self._hosting.systems()
        if caller is not None and len(systems) == self._partitions:
            for system in systems:
                pools = system.runtime.pools.by_type
                if pools.get(caller.pool.type) is caller.pool:
                    return self._waits.wait(pools, wanted)
        return nullcontext()
