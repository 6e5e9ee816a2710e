"""What must be true of every recovered state, whatever happened before; checked once at each start.

The check sees the states alone, not the log. It repairs nothing.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from perdure.events.queue.endings import result_bytes
from perdure.events.structures.message_block import LeaseBatch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perdure.events.queue.dead_letters import DeadLettersState
    from perdure.events.queue.state import QueueState

__all__ = ["contradictions"]


def contradictions(queue: QueueState, dead_letters: DeadLettersState) -> list[str]:
    """Return in what the recovered states contradict each other or themselves.

    Takes time by the number of leases, dead letters and results, not of waiting messages.
    """
    return [*_dead_letters(queue, dead_letters), *_counts(queue), *_one_at_a_time(queue)]


def _dead_letters(queue: QueueState, dead_letters: DeadLettersState) -> Iterator[str]:
    """A message is live or dead, not both, and both states agree which."""
    letters = dead_letters.letters
    known = {(number, letter.event.published.id, letter.event.published.type) for number, letter in letters.items()}
    dead = {(number, entry.id, entry.type) for number, entry in queue.dead.items()}
    if known != dead:
        differing = {number for number, *_ in known ^ dead}
        yield f"queue and dead letters disagree about the messages of number {_some(differing)}"
    if both := [number for number in queue.dead if number in queue.leased or queue.look(number) is not None]:
        yield f"live and dead at the same time: the messages of number {_some(both)}"


def _counts(queue: QueueState) -> Iterator[str]:
    """Every published message is live, dead or ended; every message that is counted as out has a lease."""
    total: Counter[str] = Counter()
    for counts in queue.by_type.values():
        total["published"] += counts.published
        total["ended"] += counts.completed + counts.superseded + counts.expired + counts.cancelled + counts.purged
        total["waiting"] += counts.ready + counts.delayed + counts.held
        total["in_flight"] += counts.in_flight
    if total["in_flight"] != len(queue.leased):
        yield f"{total['in_flight']} messages are counted as in flight, {len(queue.leased)} have a lease"
    if total["waiting"] + total["in_flight"] != queue.live:
        yield f"{total['waiting'] + total['in_flight']} messages are counted as live, {queue.live} are"
    if total["published"] != total["ended"] + queue.live + len(queue.dead):
        yield (
            f"{total['published']} messages were published, but {total['ended']} have ended, {queue.live} are live and "
            f"{len(queue.dead)} dead letters"
        )
    if (size := sum(entry.bytes for entry in queue.dead.values())) != queue.dead_bytes:
        yield f"dead letters are counted as {queue.dead_bytes} bytes, and have {size}"
    if (size := sum(map(result_bytes, queue.results.values()))) != queue.results_bytes:
        yield f"results are counted as {queue.results_bytes} bytes, and have {size}"
    if late := [n for n in (*queue.messages, *queue.leased, *queue.dead) if n >= queue.next_number]:
        yield f"numbers that are yet to be given belong to messages: {_some(late)}"


def _one_at_a_time(queue: QueueState) -> Iterator[str]:
    """At most one message of a key, and of a group, is out. Plain messages have neither."""
    keys: Counter[tuple[str, str]] = Counter()
    groups: Counter[str] = Counter()
    for held in queue.leased.values():
        if isinstance(held, LeaseBatch):
            continue
        published = held.published
        if published.key is not None and published.dedup != "append":
            keys[published.type, published.key] += 1
        if published.group is not None:
            groups[published.group] += 1
    if doubled := [key for key, n in keys.items() if n > 1]:
        yield f"more than one message is out of the keys {_some(doubled)}"
    if doubled_groups := [group for group, n in groups.items() if n > 1]:
        yield f"more than one message is out of the groups {_some(doubled_groups)}"


def _some(things: list[int] | set[int] | list[str] | list[tuple[str, str]]) -> str:
    shown = sorted(things)[:5]
    more = len(things) - len(shown)
    return ", ".join(map(repr, shown)) + (f" and {more} more" if more else "")
