"""What outlives a message that has ended: its key for the length of a window, its result for who asked.

Part of the queue's rules, and pure like them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.events import vocabulary as ev

if TYPE_CHECKING:
    from perdure.events.limits import Limits
    from perdure.events.queue_state import QueueState

__all__ = ["afterwards", "no_result", "result"]


def afterwards(state: QueueState, published: ev.Published, value: bytes, now_us: int, limits: Limits) -> list[ev.Event]:
    """Keep what outlives a completed message: its key for the length of a window, its result for who asked for it."""
    events: list[ev.Event] = []
    terms = published.terms
    if terms is not None and terms.window_us and published.key is not None:
        if len(state.held_keys) >= limits.held_keys:
            events.append(ev.KeyFreed(*next(iter(state.held_keys))))
        events.append(ev.KeyHeld(published.type, published.key, published.id, now_us + terms.window_us))
    return events + result(state, published, (value, "", ""), now_us, limits)


def result(
    state: QueueState, published: ev.Published, outcome: tuple[bytes, str, str], now_us: int, limits: Limits
) -> list[ev.Event]:
    """Keep an ended message's (value, exception, message) where somebody asked; at the bound the oldest makes room."""
    if published.terms is None or not published.terms.result_us:
        return []
    room: list[ev.Event] = []
    if len(state.results) >= limits.results:
        room = [ev.ResultDropped(next(iter(state.results)))]
    return [*room, ev.ResultKept(published.number, published.id, *outcome, now_us + published.terms.result_us)]


def no_result(state: QueueState, published: ev.Published, fate: str, now_us: int, limits: Limits) -> list[ev.Event]:
    """Tell who waits for its result that a message ended without being handled to the end."""
    return result(state, published, (b"", f"perdure.{fate}", f"the message was {fate.lower()}"), now_us, limits)
