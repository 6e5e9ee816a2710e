"""What outlives a message that has ended: its key for the length of a window, its result for who asked.

Part of the queue's rules, and pure like them.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from perdure.events import vocabulary as ev

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from perdure.events.limits import Limits
    from perdure.events.queue.state import QueueState

__all__ = ["afterwards", "excess", "full_of_letters", "no_result", "result", "results", "without_result"]

T = TypeVar("T")
Outcome: TypeAlias = "tuple[bytes, str, str]"
"""A result: its value, or, where that is empty, the exception's type and message."""


def afterwards(state: QueueState, published: ev.Published, value: bytes, now_us: int, limits: Limits) -> list[ev.Event]:
    """Keep what outlives a completed message: its key for the length of a window, its result for who asked for it."""
    events: list[ev.Event] = []
    terms = published.terms
    if terms is not None and terms.window_us and published.key is not None:
        if len(state.held_keys) >= limits.held_keys:
            events.append(ev.KeyFreed(*next(iter(state.held_keys))))
        events.append(ev.KeyHeld(published.type, published.key, published.id, now_us + terms.window_us))
    return events + result(state, published, (value, "", ""), now_us, limits)


def result(state: QueueState, published: ev.Published, outcome: Outcome, now_us: int, limits: Limits) -> list[ev.Event]:
    """Keep an ended message's (value, exception, message) where somebody asked; at the bound the oldest makes room."""
    if published.terms is None or not published.terms.result_us:
        return []
    return results(state, [(published, outcome)], now_us, limits)


def results(state: QueueState, endings: Iterable[tuple[ev.Published, Outcome]], now_us: int, limits: Limits) -> list[ev.Event]:
    """As `result`, of messages that end together: each takes its room from the oldest that is kept then."""
    events: list[ev.Event] = []
    kept = len(state.results)
    oldest = iter(state.results)
    new: deque[str] = deque()
    for published, outcome in endings:
        if published.terms is None or not published.terms.result_us:
            continue
        for _ in range(min(2, kept + 1 - limits.results)):  # two, so that what was once beyond the bound comes back within it
            dropped = next(oldest, None) or (new.popleft() if new else None)
            if dropped is not None:
                events.append(ev.ResultDropped(dropped))
                kept -= 1
        events.append(ev.ResultKept(published.number, published.id, *outcome, now_us + published.terms.result_us))
        new.append(published.id)
        kept += 1
    return events


def no_result(state: QueueState, published: ev.Published, fate: str, now_us: int, limits: Limits) -> list[ev.Event]:
    """Tell who waits for its result that a message ended without being handled to the end."""
    return result(state, published, without_result(fate), now_us, limits)


def without_result(fate: str) -> Outcome:
    """Give the outcome of a message that ended without being handled to the end."""
    return b"", f"perdure.{fate}", f"the message was {fate.lower()}"


def excess(state: QueueState, limits: Limits, at_most: int) -> list[ev.Event]:
    """Drop, some at a time, what is kept beyond a bound that was higher before, or was once passed.

    The oldest go first; of dead letters the newest, where it is the newest that has no room.
    """
    events: list[ev.Event] = [ev.ResultDropped(ident) for ident in _first(state.results, limits.results, at_most)]
    events += [ev.KeyFreed(*key) for key in _first(state.held_keys, limits.held_keys, at_most - len(events))]
    over = min(at_most - len(events), len(state.dead) - limits.dead_letters)
    dead = reversed(state.dead) if limits.drop_newest else iter(state.dead)
    return events + [ev.Purged(number, full_of_letters(limits)) for number in islice(dead, max(0, over))]


def _first(kept: Collection[T], most: int, at_most: int) -> Iterator[T]:
    return islice(kept, max(0, min(at_most, len(kept) - most)))


def full_of_letters(limits: Limits) -> str:
    """Return why a dead letter has no room."""
    return f"the bound of {limits.dead_letters:,} dead letters"
