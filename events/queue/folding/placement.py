"""Where a live message stands: ready, delayed, held or leased; and which messages its end releases (keys, groups, slots).

Called only while an event is folded (`folds`); no decision is made here. Plain messages are in `plain_messages`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.events.queue.folding.plain_messages import ready_queue_of
from perdure.events.queue.folding.retention import remember
from perdure.events.queue.state import KeyHolder, KeySlots
from perdure.events.structures.group import Group
from perdure.events.structures.heap_set import HeapSet
from perdure.events.structures.message import Message, Status

if TYPE_CHECKING:
    from perdure.events import vocabulary as ev
    from perdure.events.queue.state import QueueState

__all__ = ["end_message", "enter", "hand_out_one", "lease_until", "place", "requeue", "restore", "unplace"]

READY, DELAYED, HELD, LEASED = Status.READY, Status.DELAYED, Status.HELD, Status.LEASED


def enter(state: QueueState, message: Message) -> None:
    """Add a message that is not plain, or is replayed."""
    published, number = message.published, message.number
    state.messages[number] = message
    state.ids.put(published.id, number)
    state.payload_bytes += len(published.payload)
    if published.expires_us:
        state.expiring.add((published.expires_us, number))
    if published.group is not None:
        group = state.groups.get(published.group)
        if group is None:
            group = state.groups[published.group] = Group()
            group.add(number)
        else:
            first = group.head
            group.add(number)
            if group.head != first:  # replayed: it stands before those published after it, but behind one that is out
                _hold(state, state.messages[first])
    if published.key is not None and published.dedup != "append":
        key = (published.type, published.key)
        holder = state.keys.get(key)
        if holder is None:
            state.keys[key] = KeyHolder(number)
        else:
            if holder.waiting:
                older = state.messages[holder.waiting]
                message.rank = older.rank if older.published.priority == published.priority else number
            holder.waiting = number
    place(state, message)


def _hold(state: QueueState, message: Message) -> None:
    """Hold a ready message that is no longer the first of its group."""
    if message.queue_part:
        unplace(state, message)
        _set_status(state, message, HELD)
        _fill_slots(state, message.published)


def place(state: QueueState, message: Message) -> None:
    """Put a waiting message where it belongs now: delayed, held or ready."""
    published = message.published
    if message.due_us:
        state.delayed.add((message.due_us, message.number))
        _set_status(state, message, DELAYED)
        return
    if published.group is not None and state.groups[published.group].head != message.number:
        _set_status(state, message, HELD)
        return
    if published.key is not None and published.dedup != "append":
        running = state.keys[published.type, published.key].running
        if running and running != message.number:
            _set_status(state, message, HELD)
            return
    elif published.key is not None and published.extras is not None and not _takes_slot(state, message):
        _set_status(state, message, HELD)
        return
    message.status = READY
    state.counts(published.type).ready += 1
    ready_queue_of(state, published.type).add(message)
    if message.number in state.quarantined:
        state.isolated.setdefault(published.type, HeapSet()).add(message.number)


def _takes_slot(state: QueueState, message: Message) -> bool:
    """Return whether the message has a slot of its key; if not, it waits for one."""
    published = message.published
    limit = published.extras.key_parallelism if published.extras is not None else 0
    if not limit or published.key is None:
        return True
    slots = state.slots.setdefault((published.type, published.key), KeySlots())
    if message.number in slots.taken:
        return True
    if len(slots.taken) < limit:
        slots.taken.add(message.number)
        return True
    slots.waiting.add(_turn(message))
    return False


def _turn(message: Message) -> tuple[int, int, int]:
    """Return the order of a message among those that wait for a slot."""
    return -message.published.priority, message.rank, message.number


def _fill_slots(state: QueueState, published: ev.Published) -> None:
    """Give the free slots of a key to the messages that wait for them."""
    key = (published.type, published.key or "")
    slots = state.slots.get(key)
    if slots is None or published.extras is None:
        return
    while slots.waiting and len(slots.taken) < published.extras.key_parallelism:
        following = state.messages[slots.waiting.first[2]]
        unplace(state, following)
        place(state, following)
    if not slots.taken and not slots.waiting:
        del state.slots[key]


def restore(state: QueueState, message: Message) -> None:
    """Put a waiting message of a snapshot where it belongs, once all messages that it may wait for are known."""
    if message.published.expires_us:
        state.expiring.add((message.published.expires_us, message.number))
    place(state, message)


def _set_status(state: QueueState, message: Message, status: Status) -> None:
    message.status = status
    counts = state.counts(message.published.type)
    if status is DELAYED:
        counts.delayed += 1
    else:
        counts.held += 1


def unplace(state: QueueState, message: Message) -> None:
    """Remove a message from where it stands, and from the counts and indexes of that status."""
    published = message.published
    counts = state.counts(published.type)
    status = message.status
    if published.extras is not None and (slots := state.slots.get((published.type, published.key or ""))) is not None:
        slots.taken.discard(message.number)
        slots.waiting.discard(_turn(message))
    if message.number in state.quarantined:
        _not_alone(state, message)
    if status is LEASED:
        counts.in_flight -= 1
        lease = message.lease
        if lease is not None and lease.holder:
            state.holders.pop(lease.holder, None)
        else:
            counts.out -= 1
        message.lease = None
        lease_until(state, message, 0)
        if message.percent is not None:
            message.percent, message.note = None, ""
            state.reporting.discard(message.number)
        del state.leased[message.number]
        if published.key is not None and published.dedup != "append":
            state.keys[published.type, published.key].running = 0
    elif status is READY:
        counts.ready -= 1
        message.status = HELD
        state.ready_queues[published.type].remove(message)
    elif status is DELAYED:
        counts.delayed -= 1
        state.delayed.discard((message.due_us, message.number))
    else:
        counts.held -= 1


def _not_alone(state: QueueState, message: Message) -> None:
    isolated = state.isolated.get(message.published.type)
    if isolated is not None:
        isolated.discard(message.number)
        if not isolated:
            del state.isolated[message.published.type]


def lease_until(state: QueueState, message: Message, until_us: int) -> None:
    """Set the time at which a message's lease ends; 0: it has no end, or is over."""
    if message.until_us:
        state.lease_ends.discard((message.until_us, message.number))
    message.until_us = until_us
    if until_us:
        state.lease_ends.add((until_us, message.number))


def hand_out_one(state: QueueState, message: Message, lease: ev.Leased) -> None:
    """Lease a message that is ready, or was promoted just now."""
    published, number = message.published, message.number
    counts = state.counts(published.type)
    counts.ready -= 1
    counts.in_flight += 1
    state.ready_queues[published.type].remove(message)
    message.status, message.lease = LEASED, lease
    if lease.holder:
        state.holders[lease.holder] = number
    else:
        counts.out += 1
    lease_until(state, message, lease.until_us)
    state.leased[number] = message
    if published.expires_us:
        state.expiring.discard((published.expires_us, number))
    if published.group is not None:
        state.groups[published.group].let_out(number)
    if published.key is not None and published.dedup != "append":
        holder = state.keys[published.type, published.key]
        holder.waiting, holder.running = 0, number


def requeue(state: QueueState, message: Message) -> None:
    """Let a message that was out wait again; it is held where a newer one of its key waits, and then ends in the same frame."""
    published = message.published
    if published.expires_us:
        state.expiring.add((published.expires_us, message.number))
    if published.key is not None and published.dedup != "append":
        holder = state.keys[published.type, published.key]
        if holder.waiting:
            message.due_us = 0
            _set_status(state, message, HELD)
            return
        holder.waiting = message.number
    if published.group is not None:
        group = state.groups[published.group]
        group.take_back(message.number)
        if group.head != message.number:  # a message that was replayed while this one was out stands before it now
            _recheck(state, group.head)
    place(state, message)
    if published.extras is not None:
        _fill_slots(state, published)


def _recheck(state: QueueState, number: int) -> None:
    """Place a held message again: what it was held for may be over."""
    message = state.messages[number]
    if message.status is HELD:
        unplace(state, message)
        place(state, message)


def end_message(state: QueueState, message: Message, attempt: int, fate: str = "") -> None:
    """End a message: keep only its id, and place messages that waited for it. `fate`: how it ended; empty: completed or dead.

    A lost attempt is remembered as a negative number: none of its reports was accepted, and one that comes later is refused.
    """
    published, number = message.published, message.number
    unplace(state, message)
    del state.messages[number]
    if published.expires_us:
        state.expiring.discard((published.expires_us, number))
    state.payload_bytes -= len(published.payload)
    state.quarantined.discard(number)
    if published.key is not None and published.dedup != "append":
        _free_key(state, (published.type, published.key), number)
    if published.group is not None:
        _free_group(state, published.group, number)
    if published.extras is not None:
        _fill_slots(state, published)
    remember(state, number, published.id, attempt if message.settled == attempt else -attempt)
    if number not in state.finished:
        return
    if fate:
        state.fates[number] = fate
    if message.forgiven:
        state.uncounted[number] = message.forgiven


def _free_key(state: QueueState, key: tuple[str, str], number: int) -> None:
    holder = state.keys[key]
    if holder.waiting == number:
        holder.waiting = 0
    if holder.waiting and not holder.running:
        _recheck(state, holder.waiting)
    elif not holder.running:
        del state.keys[key]


def _free_group(state: QueueState, group: str, number: int) -> None:
    members = state.groups[group]
    was_head = members.head == number
    members.remove(number)
    if not members:
        del state.groups[group]
    elif was_head:
        _recheck(state, members.head)
