"""What outlives a message that has ended: its key for the length of a window, its result for who asked.

Part of the queue's rules, and pure like them.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from perdure.events import vocabulary as ev

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from perdure.events.limits import Limits
    from perdure.events.queue.state import QueueState

__all__ = [
    "after_completion",
    "excess",
    "full_of_letters",
    "no_result",
    "result",
    "result_bytes",
    "results",
    "room_for_letter",
    "without_result",
]

T = TypeVar("T")
FOR_ONE = 2
"""So many go for one that comes, by number, so that what was once beyond the bound comes back within it."""
ROOM_MAX = 1_000
"""So many make room for one at most, so that what is decided together stays bounded; those that come next make the rest."""
Outcome: TypeAlias = "tuple[bytes, str, str]"
"""A result: its value, or, where that is empty, the exception's type and message."""


def after_completion(state: QueueState, published: ev.Published, value: bytes, now_us: int, limits: Limits) -> list[ev.Event]:
    """Keep what outlives a completed message: its key for the length of a window, its result for who asked for it."""
    events: list[ev.Event] = []
    extras = published.extras
    if extras is not None and extras.window_us and published.key is not None:
        if len(state.held_keys) >= limits.held_keys:
            events.append(ev.KeyFreed(*next(iter(state.held_keys))))
        events.append(ev.KeyHeld(published.type, published.key, published.id, now_us + extras.window_us))
    return events + result(state, published, (value, "", ""), now_us, limits)


def result(state: QueueState, published: ev.Published, outcome: Outcome, now_us: int, limits: Limits) -> list[ev.Event]:
    """Keep an ended message's (value, exception, message) where somebody asked; at the bound the oldest makes room."""
    if published.extras is None or not published.extras.result_us:
        return []
    return results(state, [(published, outcome)], now_us, limits)


def results(state: QueueState, endings: Iterable[tuple[ev.Published, Outcome]], now_us: int, limits: Limits) -> list[ev.Event]:
    """As `result`, of messages that end together: each takes its room from the oldest that is kept then."""
    events: list[ev.Event] = []
    kept, size = len(state.results), state.results_bytes
    oldest = iter(state.results.values())
    new: deque[ev.ResultKept] = deque()
    for published, outcome in endings:
        if published.extras is None or not published.extras.result_us:
            continue
        keeps = ev.ResultKept(published.number, published.id, *outcome, now_us + published.extras.result_us)
        more = result_bytes(keeps)
        for gone in range(ROOM_MAX):
            if size + more <= limits.results_bytes and (gone >= FOR_ONE or kept < limits.results):
                break
            dropped = next(oldest, None) or (new.popleft() if new else None)
            if dropped is None:
                break
            events.append(ev.ResultDropped(dropped.id))
            kept -= 1
            size -= result_bytes(dropped)
        events.append(keeps)
        new.append(keeps)
        kept += 1
        size += more
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
    n, size = len(state.results) - limits.results, state.results_bytes - limits.results_bytes
    sizes: Iterable[tuple[Any, int]] = ((ident, result_bytes(kept)) for ident, kept in state.results.items())
    events: list[ev.Event] = [ev.ResultDropped(ident) for ident in _beyond(sizes, n, size, at_most)]
    keys = ((key, 0) for key in state.held_keys)
    events += [ev.KeyFreed(*key) for key in _beyond(keys, len(state.held_keys) - limits.held_keys, 0, at_most - len(events))]
    dead = reversed(state.dead.items()) if limits.drop_newest else iter(state.dead.items())
    sizes = ((number, letter.bytes) for number, letter in dead)
    n, size = len(state.dead) - limits.dead_letters, state.dead_bytes - limits.dead_letters_bytes
    return events + [ev.Purged(number, full_of_letters(limits)) for number in _beyond(sizes, n, size, at_most - len(events))]


def _beyond(kept: Iterable[tuple[T, int]], n: int, size: int, at_most: int) -> Iterator[T]:
    """Give what must go so that `n` and `size` bytes are gone, some of it."""
    for item, took in islice(kept, max(0, at_most)):
        if n <= 0 and size <= 0:
            return
        yield item
        n -= 1
        size -= took


def room_for_letter(state: QueueState, size: int, limits: Limits) -> list[int]:
    """Return the numbers of the oldest dead letters that make room for one of so many bytes."""
    n = min(FOR_ONE, len(state.dead) + 1 - limits.dead_letters)
    sizes = ((number, letter.bytes) for number, letter in state.dead.items())
    return list(_beyond(sizes, n, state.dead_bytes + size - limits.dead_letters_bytes, ROOM_MAX))


def full_of_letters(limits: Limits) -> str:
    """Return why a dead letter has no room."""
    return f"the bound of {limits.dead_letters:,} dead letters and {limits.dead_letters_bytes:,} bytes of them"


def result_bytes(kept: ev.ResultKept) -> int:
    """Return what a result takes: its value and texts."""
    return len(kept.value) + len(kept.id) + len(kept.exception) + len(kept.message)
