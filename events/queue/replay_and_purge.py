"""Dead letters that are replayed to the queue or purged.

Pure. How a message becomes a dead letter is in `outcomes`; `searching` finds the dead letters that an expression selects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from perdure.events import vocabulary as ev
from perdure.events.commands import Purge
from perdure.events.errors import DuplicateKey, UnknownMessage
from perdure.events.queue.admission import publishing

if TYPE_CHECKING:
    from perdure.events.commands import Death, Replay, ReplayItem
    from perdure.events.limits import Limits
    from perdure.events.queue.state import QueueState

__all__ = ["done_for", "held_by", "purge", "replay", "replayed"]

Events: TypeAlias = list[ev.Event]


def _is_dead(state: QueueState, death: Death) -> bool:
    """Return whether a message is still this dead letter, and not one that was replayed and died again."""
    dead = state.dead.get(death.number)
    return dead is not None and dead.death == death


def replay(state: QueueState, command: Replay, _now_us: int, _limits: Limits) -> Events:
    """Return all dead letters of the command to the queue, or none.

    Raises:
        UnknownMessage: one of them was replayed or purged since.
        DuplicateKey: the key of one of them is held by a live message.
    """
    events: Events = []
    keys: set[tuple[str, str]] = set()
    for item in command.items:
        published = item.published
        if not _is_dead(state, item.death):
            if command.again or command.skips:
                continue
            msg = (
                f"message {published.id} is not the dead letter that was meant any more: it was replayed or purged since. "
                "`dead_letters.list()` shows today's."
            )
            raise UnknownMessage(msg)
        if live_id := held_by(state, published, keys):
            msg = (
                f"message {published.id} cannot be replayed: its key {published.key!r} is held by the newer message "
                f"{live_id}. Replay it when that one has ended, or purge it."
            )
            raise DuplicateKey(msg, live_id)
        events.append(replayed(state, item))
    return events


def replayed(state: QueueState, item: ReplayItem) -> ev.Replayed:
    """Return the replay of a dead letter. Its next attempt gets a new number even where attempts count from zero again.

    An earlier attempt may still run: a handler that outlived its timeout, or one of a process that hangs.
    """
    number = item.death.number
    uncounted = max(0, state.dead[number].last - item.attempts)
    return ev.Replayed(number, item.published, item.attempts, item.failures, item.edited, uncounted)


def held_by(state: QueueState, published: ev.Published, keys: set[tuple[str, str]]) -> str:
    """Return the id of the message that holds the key of a dead letter, so that it cannot return; empty if it can.

    `keys`: the keys of the letters that return in the same commit. The key of this one is added if it can return.
    """
    if published.key is None or published.dedup == "append":
        return ""
    key = (published.type, published.key)
    waits, running = publishing.live(state, key)
    if waits or running or key in keys:
        return running or (state.messages[waits].published.id if waits else published.id)
    keys.add(key)
    return ""


def done_for(state: QueueState, command: Replay | Purge, events: Events, *, again: bool) -> int:
    """Return for how many dead letters the command is done.

    A command that is sent again may have been done before, so a dead letter that no longer exists counts as done. The exception: a
    replay of a dead letter that is known to be purged does not count.
    """
    if not again:
        return len(events)
    if isinstance(command, Purge):
        return len(command.deaths)
    return sum(state.fates.get(item.death.number) != "purged" for item in command.items)


def purge(state: QueueState, command: Purge, _now_us: int, _limits: Limits) -> Events:
    """Remove those dead letters of the command that still exist."""
    return [ev.Purged(death.number, command.reason) for death in command.deaths if _is_dead(state, death)]
