"""Where a live message stands, and what its coming and going means for those that wait for it: keys, groups, slots.

Called only while a fact is folded (`queue_folds`); nothing is decided here. Plain messages have it easier, see `plain`.
"""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from perdure.events.message import Message, Status
from perdure.events.plain import line_of
from perdure.events.queue_state import KeyHolder, KeySlots
from perdure.events.remembering import remember

if TYPE_CHECKING:
    from perdure.events import vocabulary as ev
    from perdure.events.queue_state import QueueState

__all__ = ["back", "enter", "leave", "place", "stand_again", "unplace"]

READY, DELAYED, HELD, LEASED = Status.READY, Status.DELAYED, Status.HELD, Status.LEASED


def enter(state: QueueState, message: Message) -> None:
    """Let a message in that is not plain, or comes back from the dead letters."""
    published, number = message.published, message.number
    state.messages[number] = message
    state.ids.put(published.id, number)
    state.payload_bytes += len(published.payload)
    if published.expires_us:
        heappush(state.expiring, (published.expires_us, number))
    if published.group is not None:
        line = state.groups.setdefault(published.group, deque())
        if line and line[-1] > number:
            # A replayed message goes back before those published after it, but never before the one that is out.
            head_is_out = line[0] in state.leased
            rest = sorted([*line, number][1:] if head_is_out else [*line, number])
            state.groups[published.group] = deque([line[0], *rest] if head_is_out else rest)
            _hold_back(state, state.groups[published.group])
        else:
            line.append(number)
    if published.key is not None and published.dedup != "append":
        holder = state.keys.setdefault((published.type, published.key), KeyHolder())
        if holder.waiting:
            older = state.messages[holder.waiting]
            message.rank = older.rank if older.published.priority == published.priority else number
        holder.waiting = number
    place(state, message)


def _hold_back(state: QueueState, group: deque[int]) -> None:
    """Take out of line who is no longer first of its group."""
    for number in list(group)[1:]:
        message = state.messages.get(number)
        if message is not None and message.where:  # in line; the one just entering is not yet
            unplace(state, message)
            _stand(state, message, HELD)
            _fill_slots(state, message.published)


def place(state: QueueState, message: Message) -> None:
    """Let a waiting message stand where it belongs now."""
    published = message.published
    if message.due_us:
        heappush(state.delayed, (message.due_us, message.number))
        _stand(state, message, DELAYED)
        return
    if published.group is not None and state.groups[published.group][0] != message.number:
        _stand(state, message, HELD)
        return
    if published.key is not None and published.dedup != "append":
        running = state.keys[published.type, published.key].running
        if running and running != message.number:
            _stand(state, message, HELD)
            return
    elif published.key is not None and published.terms is not None and not _takes_slot(state, message):
        _stand(state, message, HELD)
        return
    message.status = READY
    state.counts(published.type).ready += 1
    line_of(state, published.type).add(message)


def _takes_slot(state: QueueState, message: Message) -> bool:
    """Give the message a slot of its key, or a place in the line for one."""
    published = message.published
    limit = published.terms.key_parallelism if published.terms is not None else 0
    if not limit or published.key is None:
        return True
    slots = state.slots.setdefault((published.type, published.key), KeySlots())
    if message.number in slots.taken:
        return True
    if len(slots.taken) < limit:
        slots.taken.add(message.number)
        return True
    heappush(slots.waiting, (-published.priority, message.rank, message.number))
    return False


def _fill_slots(state: QueueState, published: ev.Published) -> None:
    """Let those in line for a slot of a key have what has come free."""
    key = (published.type, published.key or "")
    slots = state.slots.get(key)
    if slots is None or published.terms is None:
        return
    while slots.waiting and len(slots.taken) < published.terms.key_parallelism:
        following = state.messages.get(heappop(slots.waiting)[2])
        if following is not None and following.status is HELD:
            unplace(state, following)
            place(state, following)
    if not slots.taken and not slots.waiting:
        del state.slots[key]


def stand_again(state: QueueState, message: Message) -> None:
    """Let a waiting message of a snapshot stand where it belongs, once all that it may wait for are known."""
    if message.published.expires_us:
        heappush(state.expiring, (message.published.expires_us, message.number))
    place(state, message)


def _stand(state: QueueState, message: Message, status: Status) -> None:
    message.status = status
    counts = state.counts(message.published.type)
    if status is DELAYED:
        counts.delayed += 1
    else:
        counts.held += 1


def unplace(state: QueueState, message: Message) -> None:
    """Take a message from where it stands, whatever that is."""
    published = message.published
    counts = state.counts(published.type)
    status = message.status
    if published.terms is not None and (slots := state.slots.get((published.type, published.key or ""))) is not None:
        slots.taken.discard(message.number)
    if status is LEASED:
        counts.in_flight -= 1
        lease = message.lease
        if lease is not None and lease.holder:
            state.holders.pop(lease.holder, None)
        else:
            counts.out -= 1
        message.lease = None
        message.until_us = 0
        message.percent, message.note = None, ""
        del state.leased[message.number]
        if published.key is not None and published.dedup != "append":
            state.keys[published.type, published.key].running = 0
    elif status is READY:
        counts.ready -= 1
        message.status = HELD  # no longer in line: what is left of it there is a husk
        state.lines[published.type].leave(message)
    elif status is DELAYED:
        counts.delayed -= 1
    else:
        counts.held -= 1


def back(state: QueueState, message: Message) -> None:
    """A message that was out waits again (unless a newer one of its key does: then its end follows in the same frame)."""
    published = message.published
    if published.expires_us:
        heappush(state.expiring, (published.expires_us, message.number))
    if published.key is not None and published.dedup != "append":
        holder = state.keys[published.type, published.key]
        if holder.waiting:
            message.due_us = 0
            _stand(state, message, HELD)
            return
        holder.waiting = message.number
    place(state, message)
    if published.group is not None:
        _order_group(state, published.group)
    if published.terms is not None:
        _fill_slots(state, published)


def _order_group(state: QueueState, group: str) -> None:
    """Nothing of the group is out any more: whoever was replayed before the one that was comes before it now.

    So a group stands in the order of its numbers, but for one that is out; a snapshot relies on that.
    """
    line = state.groups[group]
    if len(line) < 2 or line[0] < line[1]:  # noqa: PLR2004 - of one there is no order
        return
    ordered = state.groups[group] = deque(sorted(line))
    _hold_back(state, ordered)
    first = state.messages[ordered[0]]
    if first.status is HELD:
        unplace(state, first)
        place(state, first)


def leave(state: QueueState, message: Message, attempt: int) -> None:
    """A message ends: forget it but for its id, and let in who waited for it."""
    published, number = message.published, message.number
    unplace(state, message)
    del state.messages[number]
    state.payload_bytes -= len(published.payload)
    state.suspects.discard(number)
    if published.key is not None and published.dedup != "append":
        _free_key(state, (published.type, published.key), number)
    if published.group is not None:
        _free_group(state, published.group, number)
    if published.terms is not None:
        _fill_slots(state, published)
    remember(state, number, published.id, attempt)


def _free_key(state: QueueState, key: tuple[str, str], number: int) -> None:
    holder = state.keys[key]
    if holder.waiting == number:
        holder.waiting = 0
    if holder.waiting and not holder.running:
        newer = state.messages[holder.waiting]
        if newer.status is HELD:
            unplace(state, newer)
            place(state, newer)
    elif not holder.running:
        del state.keys[key]


def _free_group(state: QueueState, group: str, number: int) -> None:
    line = state.groups[group]
    was_head = line[0] == number
    line.remove(number)
    if not line:
        del state.groups[group]
    elif was_head:
        following = state.messages[line[0]]
        if following.status is HELD:
            unplace(state, following)
            place(state, following)
