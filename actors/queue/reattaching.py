"""`Reattach`: a process says which deliveries its workers still hold, to an owner that has not handed them to it.

Part of the queue actor. What becomes of those that no process holds is in `deadlines.orphans`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from perdure.events.queue.outcomes import current

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from perdure.actors.workers.member_pool import MemberPool
    from perdure.actors.workers.pool import Pool, WorkerDelivery
    from perdure.events.queue.state import QueueState

__all__ = ["Reattach", "reattached"]


@attrs.define(eq=False)
class Reattach:
    """Bring together what a process holds and what the log says is out; the answer is what it may not go on with."""

    pool: MemberPool
    held: list[tuple[int, str, int]]
    """Number, id and attempt of each."""


def reattached(
    state: QueueState, command: Reattach, pools: Iterable[Pool], delivery_of: Callable[[int], WorkerDelivery]
) -> list[tuple[int, str, int]]:
    """Enter what is still the process's among its open deliveries; return the rest. For the queue's thread."""
    others = [pool for pool in pools if pool is not command.pool]
    refused = []
    for ref in command.held:
        number, ident, attempt = ref
        message = current(state, number, ident, attempt)
        is_free = message is not None and message.lease is not None and not message.lease.holder
        if not is_free or any(number in pool.open for pool in others) or command.pool.is_gone:
            refused.append(ref)
        elif number not in command.pool.open:
            command.pool.open[number] = delivery_of(number)
    return refused
