"""What outlives a message that has ended: its key for the length of a window, and its result.

Pure. Which attempt ends a message is in `outcomes`.
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
"""How many are dropped for a new one at the bound by number: two, so that a lowered bound is reached again."""
ROOM_MAX = 1_000
"""How many are dropped for a new one at most, so that one decision stays bounded; later ones drop the rest."""
Outcome: TypeAlias = "tuple[bytes, str, str]"
"""A result: its value, the exception's type, the exception's message. The last two are empty where there is a value."""


def after_completion(state: QueueState, published: ev.Published, value: bytes, now_us: int, limits: Limits) -> list[ev.Event]:
    """Keep what outlives a completed message: its key for the length of a window, and its result if it was asked for."""
    events: list[ev.Event] = []
    extras = published.extras
    if extras is not None and extras.window_us and published.key is not None:
        if len(state.held_keys) >= limits.held_keys:
            events.append(ev.KeyFreed(*next(iter(state.held_keys))))
        events.append(ev.KeyHeld(published.type, published.key, published.id, now_us + extras.window_us))
    return events + result(state, published, (value, "", ""), now_us, limits)


def result(state: QueueState, published: ev.Published, outcome: Outcome, now_us: int, limits: Limits) -> list[ev.Event]:
    """Keep the result of an ended message if it was asked for; at a bound, the oldest results are dropped for it."""
    if published.extras is None or not published.extras.result_us:
        return []
    return results(state, [(published, outcome)], now_us, limits)


def results(state: QueueState, endings: Iterable[tuple[ev.Published, Outcome]], now_us: int, limits: Limits) -> list[ev.Event]:
    """Keep the results of messages that end together, as `result` does for each in turn."""
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
    """Keep, as its result, that a message ended without being completed."""
    return result(state, published, without_result(fate), now_us, limits)


def without_result(fate: str) -> Outcome:
    """Return the result of a message that ended without being completed."""
    return b"", f"perdure.{fate}", f"the message was {fate.lower()}"


def excess(state: QueueState, limits: Limits, at_most: int) -> list[ev.Event]:
    """Drop up to `at_most` of what is kept beyond a bound: the bound was lowered.

    The oldest are dropped first; with `drop_newest`, the newest dead letters.
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
    """Return what to drop so that `n` items and `size` bytes are gone, up to `at_most`."""
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
