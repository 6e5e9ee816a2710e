"""Reports of a process on deliveries that this owner has not handed to it: which its workers still hold, and how others ended.

Part of the queue actor. What is left to such processes, and for how long, is in `orphans`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from perdure.events.commands import Done, Fail
from perdure.events.queue.outcomes import current, refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.actors.queue.orphans import Orphans
    from perdure.actors.workers.pools.member_pool import MemberPool
    from perdure.actors.workers.pools.pool import WorkerDelivery
    from perdure.events import vocabulary as ev
    from perdure.events.queue.state import QueueState

__all__ = ["Reattach", "reattached", "sorted_out"]


@attrs.define(eq=False)
class Reattach:
    """Bring together what a process holds and what the log says is out; the answer is what it may not go on with."""

    pool: MemberPool
    held: list[tuple[int, str, int]]
    """Number, id and attempt of each."""


def reattached(
    state: QueueState, command: Reattach, orphans: Orphans, delivery_of: Callable[[int], WorkerDelivery]
) -> list[tuple[int, str, int]]:
    """Enter what is still the process's among its open deliveries; return the rest. For the queue's thread.

    A process may claim what was out when this run began and no other one has claimed. What this run hands out has one holder from
    the decision on, long before it shows in a pool; and what a lost connection gave back no longer belongs to its process.
    """
    pool = command.pool
    refused = []
    for ref in command.held:
        number, _, attempt = ref
        known = pool.open.get(number)
        if known is not None and known.attempt_ref == ref:
            continue  # it is sent again
        if pool.is_gone or orphans.held.get(number) != attempt or current(state, *ref) is None:
            refused.append(ref)
        else:
            del orphans.held[number]
            pool.open[number] = delivery_of(number)
    if pool.is_gone:  # looked at after they were entered, as in `MemberPool.deliver`
        pool.port.give_back(pool, [*pool.open.values()])
    return refused


def sorted_out(state: QueueState, reports: list[Any], orphans: Orphans) -> tuple[list[Any], list[ev.Event]]:
    """Return which outcomes count of deliveries that this run has not handed to the process, and events that refuse the others.

    It may have held what was out when the run began. Any other lease that is in force is another holder's, though the attempt may
    have the same number: a failed sync can lose the first lease, and the message with it, which is then published again.
    """
    counted: list[Any] = []
    refused: list[ev.Event] = []
    for report in reports:
        number, ident, attempt = report[:3]
        if orphans.held.get(number) == attempt or current(state, number, ident, attempt) is None:
            counted.append(report)
        elif isinstance(report, Done | Fail):
            refused.append(refusal(report))
    return counted, refused
