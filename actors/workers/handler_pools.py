"""The pools of all handlers of one run, by message type: `HandlerPools`.

It outlives every actor. One pool is described in `pool`; how many workers it has is decided in `dispatcher`.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from perdure.actors.workers.result_waits import Waits

if TYPE_CHECKING:
    from perdure.actors.workers.pool import Pool

__all__ = ["HandlerPools"]


class HandlerPools:
    """Message types to the pools of their handlers. Safe in any thread."""

    def __init__(self) -> None:
        self.by_type: dict[str, Pool] = {}
        """Never changed in place: a change makes another dict, so a thread that iterates is not disturbed."""
        self.waits = Waits()
        """Which handlers wait for results."""
        self.is_open = True
        """Handlers may be given messages; False until the start hooks have run."""
        self._lock = threading.Lock()

    def add(self, pool: Pool) -> Pool:
        """Register a handler's pool; return the one that counts, which is the first of its type."""
        with self._lock:
            known = self.by_type.get(pool.type)
            if known is None:
                self.by_type = {**self.by_type, pool.type: pool}
            return known or pool
