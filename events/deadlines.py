"""Which times the queue waits for: delays, times to live, leases, windows, results. All derived; nothing here changes a meaning."""

from __future__ import annotations

from heapq import heapify, heappop
from typing import TYPE_CHECKING

from perdure.events.message import Status
from perdure.events.queue_state import FOREVER

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.events.queue_state import QueueState

__all__ = ["fading_at", "is_delayed_until", "is_expiring_at", "settle_deadlines"]

DELAYED, LEASED = Status.DELAYED, Status.LEASED


def is_delayed_until(state: QueueState, due_us: int, number: int) -> bool:
    """Tell whether an entry of `delayed` still holds."""
    message = state.messages.get(number)
    return message is not None and message.status is DELAYED and message.due_us == due_us


def is_expiring_at(state: QueueState, expires_us: int, number: int) -> bool:
    """Tell whether an entry of `expiring` still holds."""
    message = state.messages.get(number)
    return message is not None and message.status is not LEASED and message.published.expires_us == expires_us


def fading_at(state: QueueState, until_us: int, name: str, key: str) -> bool:
    """Tell whether an entry of `fading` still holds."""
    if key:
        held = state.held_keys.get((name, key))
        return held is not None and held[1] == until_us
    kept = state.results.get(name)
    return kept is not None and kept.until_us == until_us


def settle_deadlines(state: QueueState, now_us: int) -> None:
    """Bring what is only derived up to date: drop stale deadlines, look up the next lease to end. Changes no meaning."""
    _tidy(state.delayed, lambda due, number: is_delayed_until(state, due, number))
    _tidy(state.expiring, lambda due, number: is_expiring_at(state, due, number))
    while state.fading and not fading_at(state, *state.fading[0]):
        heappop(state.fading)
    if len(state.delayed) > 2 * state.live + 1024:
        state.delayed = [entry for entry in state.delayed if is_delayed_until(state, *entry)]
        heapify(state.delayed)
    if len(state.expiring) > 2 * state.live + 1024:
        state.expiring = [entry for entry in state.expiring if is_expiring_at(state, *entry)]
        heapify(state.expiring)
    if state.lease_horizon_us <= now_us:
        state.lease_horizon_us = min((m.until_us for m in state.leased.values() if m.until_us), default=FOREVER)


def _tidy(heap: list[tuple[int, int]], holds: Callable[[int, int], bool]) -> None:
    """Drop entries at the front that no longer hold."""
    while heap and not holds(*heap[0]):
        heappop(heap)
