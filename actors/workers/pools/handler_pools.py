"""The pools of all handlers of one run, by message type, and of those in other processes: `HandlerPools`.

It outlives every actor. One pool is described in `pool`; how many workers it has is decided in `dispatcher`.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from perdure.actors.workers.pools.result_waits import Waits

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from perdure.actors.workers.pools.member_pool import MemberPool
    from perdure.actors.workers.pools.pool import Pool

__all__ = ["HandlerPools"]

LEFT_MAX = 16


class HandlerPools:
    """Message types to the pools of their handlers. Safe in any thread."""

    def __init__(self) -> None:
        self.by_type: dict[str, Pool] = {}
        """Never changed in place: a change makes another dict, so a thread that iterates is not disturbed."""
        self.elsewhere: tuple[MemberPool, ...] = ()
        """What stands here for the pools of other processes, for as long as they are connected; never changed in place either."""
        self.left: tuple[MemberPool, ...] = ()
        """The last ones whose connection ended. Their processes may live, and run what they were handed."""
        self.version_of: Callable[[str], int] = lambda _: 0
        """Returns the newest version of a type that this process knows; 0: others need not be asked, since there are none."""
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

    def all(self) -> Iterator[Pool]:
        """Return the pools of this process and of others."""
        yield from self.by_type.values()
        yield from self.elsewhere

    def handled(self) -> Collection[str]:
        """Return the types that have a handler in some process."""
        others = self.elsewhere
        return self.by_type.keys() | {pool.type for pool in others} if others else self.by_type

    def join(self, pool: MemberPool) -> None:
        """Add a pool of another process."""
        with self._lock:
            self.elsewhere = (*self.elsewhere, pool)

    def leave(self, pool: MemberPool) -> None:
        """Remove a pool of another process."""
        with self._lock:
            self.left = (*(other for other in self.left if other is not pool), pool)[-LEFT_MAX:]
            self.elsewhere = tuple(other for other in self.elsewhere if other is not pool)

    def holding(self) -> Iterator[Pool]:
        """Return all pools whose workers may hold deliveries: `all`, and those that left last."""
        yield from self.all()
        yield from self.left
