"""The messages and the effect that carry a handler's pool: between dispatcher, queue, supervisor and workers.

All other messages are in `actors/core/messages.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from perdure.actors.workers.pools.member_pool import MemberPool
    from perdure.actors.workers.pools.pool import Pool, WorkerDelivery
    from perdure.events.commands import Subscription

__all__ = ["Deliver", "PoolChanged", "StartWorker", "Subscribe", "WorkerDown"]


@attrs.define(eq=False)
class Deliver:
    """The effect that hands deliveries to the workers of one handler."""

    pool: Pool
    deliveries: list[WorkerDelivery]

    def release(self, _seq: int, /) -> None:
        """See `Effect.release`."""
        self.pool.deliver(self.deliveries)


@attrs.define(eq=False)
class Subscribe:
    """From the dispatcher to the queue: how many deliveries of one type may be out with a pool of workers (`window` 0: none)."""

    subscription: Subscription
    pool: Pool
    leaves: bool = False
    """The pool is no more."""


@attrs.define(eq=False)
class PoolChanged:
    """From a session to the dispatcher: another process has a pool, takes another number of deliveries, or is gone."""

    pool: MemberPool


@attrs.define(eq=False)
class StartWorker:
    """From the dispatcher to the supervisor: start a worker of this pool, unless one of this name runs."""

    name: str
    pool: Pool


@attrs.define(eq=False)
class WorkerDown:
    """From the supervisor to the dispatcher: a worker is dead. `restarted`: its name has a successor already."""

    pool: Pool
    name: str
    restarted: bool
