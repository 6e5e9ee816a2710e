"""Limited rates: how many deliveries a handler's rate allows now, and when it allows the next one.

Pure. Which messages are delivered then is in `leasing`; how a rate is written is in `perdure.handling.options`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.events import vocabulary as ev
from perdure.events.queue.state import FOREVER, QueueState

if TYPE_CHECKING:
    from perdure.events.commands import Subscription

__all__ = ["allowed", "next_pace_us", "pace"]


def allowed(state: QueueState, subscription: Subscription, now_us: int) -> int:
    """Return how many deliveries a limited rate allows now (the generic cell rate algorithm, ITU-T I.371)."""
    ahead_us = _used_up_until(state, subscription, now_us) - now_us
    return max(0, (subscription.burst * subscription.interval_us - ahead_us) // subscription.interval_us)


def _used_up_until(state: QueueState, subscription: Subscription, now_us: int) -> int:
    """Return the time up to which a rate is used up.

    A recorded time that is further ahead than a burst can bring it comes from a slower rate, or from before the clock was set back.
    It is ignored: keeping to it would stop the handler until then.
    """
    until_us = state.paces.get(subscription.type, 0)
    return until_us if now_us < until_us <= now_us + subscription.burst * subscription.interval_us else now_us


def pace(state: QueueState, subscription: Subscription, count: int, now_us: int) -> ev.Paced:
    """Return the event that `count` deliveries of a handler with a limited rate went out."""
    return ev.Paced(subscription.type, _used_up_until(state, subscription, now_us) + count * subscription.interval_us)


def next_pace_us(state: QueueState, subscription: Subscription, now_us: int) -> int:
    """Return when a handler that its rate holds up may have the next message; `FOREVER` where it is not held up.

    If the rate allows a delivery and none went out, the handler waits for another reason (a quarantined message runs alone), and no
    time ends that wait.
    """
    counts = state.by_type.get(subscription.type)
    if not subscription.interval_us or counts is None or not counts.ready or subscription.window <= counts.out:
        return FOREVER
    due_us = state.paces.get(subscription.type, 0) - (subscription.burst - 1) * subscription.interval_us
    return due_us if due_us > now_us else FOREVER
