"""Which pool of workers takes which delivery, where a type is handled in several processes, and how many may be out in all.

Pure. How many may be out with one pool is in `subscription_window`; which message is next is a rule of the queue.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perdure.events.commands import Subscription

__all__ = ["Share", "capped", "divide", "summed"]


@attrs.frozen
class Share:
    """What one pool could take now."""

    free: int
    """Slots that have nothing to run."""
    room: int
    """Deliveries in all, those included that would wait behind others."""


def capped(subscription: Subscription) -> Subscription:
    """Return a subscription within its limit: no more is out than may run.

    What waits behind those that run counts as well, wherever it is: workers that come later, here or in a process that joins, would
    begin it beside them.
    """
    limit = subscription.limit
    if not limit:
        return subscription
    return attrs.evolve(subscription, window=min(subscription.window, limit), parallelism=min(subscription.parallelism, limit))


def summed(subscriptions: Sequence[Subscription], shares: Sequence[Share], out: int) -> Subscription:
    """Return the subscription of a type as a whole.

    Args:
        subscriptions: one of each pool. The newest one's options count, should they differ.
        shares: what each pool could take.
        out: how many deliveries of the type are out, those included that are with processes which have not subscribed.
    """
    window, parallelism = out + sum(share.room for share in shares), out + sum(share.free for share in shares)
    with_room = [s.version for s, share in zip(subscriptions, shares, strict=True) if share.room]
    version = max(with_room) if with_room and all(with_room) else 0
    elastic = any(s.elastic for s in subscriptions)
    whole = attrs.evolve(subscriptions[-1], window=window, parallelism=parallelism, elastic=elastic, version=version)
    return capped(whole)


def divide(count: int, shares: Sequence[Share], turn: int) -> list[tuple[int, int]]:
    """Divide `count` deliveries, in their order, among pools: return stretches of (which pool, how many).

    Free slots are filled first, then what may wait behind others; each time the pool with the most room of that kind comes first,
    so that none fills up while another is idle. `turn` breaks ties: any number that differs from time to time. If there are more
    deliveries than room, which the window prevents, the pool with the most room gets the rest.
    """
    found: list[tuple[int, int]] = []
    free = _levelled(count, [max(0, min(share.free, share.room)) for share in shares], turn)
    behind = [max(0, share.room - taken) for share, taken in zip(shares, free, strict=True)]
    rest = count - sum(free)
    waiting = _levelled(rest, behind, turn)
    rest -= sum(waiting)
    if rest:
        waiting[max(range(len(shares)), key=lambda i: shares[i].room)] += rest
    for taken in (free, waiting):
        found += [(i, n) for i, n in enumerate(taken) if n]
    return found


def _levelled(count: int, room: Sequence[int], turn: int) -> list[int]:
    """Return how many of `count` each pool takes, so that the room left over is as even as possible."""
    if count >= sum(room):
        return list(room)
    low, high = 0, max(room, default=0)
    while low < high:  # find the lowest level of room left over for which `count` suffices
        level = (low + high) // 2
        if sum(max(0, n - level) for n in room) <= count:
            high = level
        else:
            low = level + 1
    taken = [max(0, n - low) for n in room]
    left = count - sum(taken)
    for i in range(len(room)):
        at = (turn + i) % len(room)
        if left and room[at] > taken[at] and room[at] - taken[at] == low:
            taken[at] += 1
            left -= 1
    return taken
