"""The queue's state as plain values for a snapshot, and back.

Only what cannot be derived is written: ready queues, deadlines, keys and groups are built anew. Message blocks and lease batches
are in `block_snapshot`.
"""

from __future__ import annotations

from typing import Any

import attrs

from perdure.events import vocabulary as ev
from perdure.events.codec.block_snapshot import dump_blocks, dump_lease_batches, load_blocks, load_lease_batches
from perdure.events.codec.wire import decode_rows, encode_rows
from perdure.events.queue.folding.folds import evolve
from perdure.events.queue.folding.placement import restore
from perdure.events.queue.state import Dead, KeyHolder, KeySlots, QueueState, TypeCounts
from perdure.events.structures.bulk import Bulk
from perdure.events.structures.group import Group
from perdure.events.structures.heap_set import HeapSet
from perdure.events.structures.message import Message, Status

__all__ = ["dump_queue", "dump_queue_with", "load_queue"]

_OWN = ("number", "rank", "due_us", "attempts", "until_us", "crashes", "free_worker_only", "percent", "note", "failures", "settled")
_DERIVED = ("ready", "delayed", "held", "in_flight", "out")
_TOTALS = tuple(field.name for field in attrs.fields(TypeCounts) if field.name not in _DERIVED)


def dump_queue(state: QueueState) -> dict[str, Any]:
    """Return the queue's state as plain values; two states are equal exactly when these are."""
    return dump_queue_with(state, list(dump_blocks(state)))


def dump_queue_with(state: QueueState, blocks: Any) -> dict[str, Any]:
    """Return the queue's state as plain values, with `blocks` in the place of the blocks."""
    messages = sorted(state.messages.values(), key=lambda m: m.number)
    return {
        "next_number": state.next_number,
        "published": encode_rows([m.published for m in messages]),
        "own": [[getattr(m, name) for m in messages] for name in _OWN],
        "leases": encode_rows([m.lease for m in messages if m.lease is not None]),
        "parcels": blocks,
        "flights": dump_lease_batches(state),
        "finished": [
            [entry, *state.finished.get(entry, (None, 0))] if isinstance(entry, int) else [entry.first]
            for entry in state.finished_order
        ],
        "past": state.past.dump(),
        "ids_remembered": state.past.kept_max,
        "fates": dict(sorted(state.fates.items())),
        "finished_max": state.finished_max,
        "suspects": sorted(state.quarantined),
        "dead": [[number, dead.id, dead.type] for number, dead in state.dead.items()],
        "totals": {name: [getattr(c, total) for total in _TOTALS] for name, c in sorted(state.by_type.items())},
        "forgiven": [[m.number, m.forgiven] for m in messages if m.forgiven],
        "uncounted": [[*ended] for ended in sorted(state.uncounted.items())],
        "late_results": state.late_results,
        "held_keys": sorted([*key, *held] for key, held in state.held_keys.items()),
        "results": encode_rows(list(state.results.values())),
        "paces": dict(sorted(state.paces.items())),
        "ticks": dict(sorted(state.ticks.items())),
        "bulks": [list(attrs.astuple(bulk, recurse=False)) for bulk in state.bulks.values()],
        "slots": sorted(number for slots in state.slots.values() for number in slots.taken),
    }


def load_queue(plain: dict[str, Any], state: QueueState | None = None) -> QueueState:
    """Return the queue's state from what `dump_queue` returned. `state`: an empty one that knows where payloads go."""
    state = state or QueueState()
    state.finished_max, state.next_number = plain["finished_max"], plain["next_number"]
    state.past.kept_max = plain.get("ids_remembered", 0)
    if "past" in plain:
        state.past.load(plain["past"])
    state.late_results = plain["late_results"]
    for name, totals in plain["totals"].items():
        state.by_type[name] = TypeCounts(**dict(zip(_TOTALS, totals, strict=False)))  # totals are only ever added at the end
    blocks = load_blocks(state, plain["parcels"])
    for number, *ended in plain["finished"]:
        if not ended:
            state.finished_order.append(blocks[number])
            state.finished_count += blocks[number].n
            continue
        ident, attempt = ended
        state.finished_order.append(number)
        state.finished_count += 1
        if ident is not None:
            state.finished[number] = (ident, attempt)
            state.ids.put(ident, number)
    # A snapshot of an older version lacks how they ended.
    state.fates = plain["fates"] if "fates" in plain else dict.fromkeys(state.finished, "ended")
    for number, ident, type_name in plain["dead"]:
        state.dead[number] = Dead(ident, type_name)
        state.ids.put(ident, number)
    leases = {lease.number: lease for lease in decode_rows(plain["leases"]) if isinstance(lease, ev.Leased)}
    own = [dict(zip(_OWN, row, strict=True)) for row in zip(*plain["own"], strict=True)]
    messages = []
    for published, rest in zip(decode_rows(plain["published"]), own, strict=True):
        if not isinstance(published, ev.Published):
            msg = f"a {type(published).__name__} where a published message should be"
            raise TypeError(msg)
        failures = rest.pop("failures")
        notes = None if failures is None else [ev.FailureNote(*note) for note in failures]
        messages.append(Message(published=published, failures=notes, **rest))
    by_number = {message.number: message.published for message in messages}
    for number in plain.get("slots", ()):
        published = by_number[number]
        state.slots.setdefault((published.type, published.key or ""), KeySlots()).taken.add(number)
    state.uncounted = dict(plain.get("uncounted", ()))
    forgiven = dict(plain.get("forgiven", ()))
    for message in messages:
        message.forgiven = forgiven.get(message.number, 0)
    state.quarantined = set(plain["suspects"])
    _restore_messages(state, messages, leases)
    load_lease_batches(state, plain.get("flights", []))
    for type_name, key, ident, until_us in plain.get("held_keys", ()):
        evolve(state, ev.KeyHeld(type_name, key, ident, until_us))
    for kept in decode_rows(plain.get("results", [])):
        evolve(state, kept)
    state.bulks = {row[0]: Bulk(*row) for row in plain.get("bulks", ())}
    state.paces, state.ticks = dict(plain.get("paces", {})), dict(plain.get("ticks", {}))
    return state


def _restore_messages(state: QueueState, messages: list[Message], leases: dict[int, ev.Leased]) -> None:
    """Put every message where it belongs: first those that others may wait for, then those that may have to wait."""
    for message in messages:
        published = message.published
        state.messages[message.number] = message
        state.ids.put(published.id, message.number)
        state.payload_bytes += len(published.payload)
        lease = leases.get(message.number)
        if published.key is not None and published.dedup != "append":
            holder = state.keys.setdefault((published.type, published.key), KeyHolder())
            if lease is None:
                holder.waiting = message.number
            else:
                holder.running = message.number
        if published.group is not None:
            group = state.groups.setdefault(published.group, Group())
            group.add(message.number)
            if lease is not None:
                group.let_out(message.number)
        if lease is not None:
            message.lease, message.status = lease, Status.LEASED
            state.leased[message.number] = message
            counts = state.counts(published.type)
            counts.in_flight += 1
            counts.out += not lease.holder
            if lease.holder:
                state.holders[lease.holder] = message.number
            if message.percent is not None:
                state.reporting.add(message.number)
            if message.until_us:
                state.lease_ends.add((message.until_us, message.number))
            if message.number in state.quarantined:
                state.isolated.setdefault(published.type, HeapSet()).add(message.number)
    for message in sorted(messages, key=lambda m: (m.rank, m.number)):
        if message.lease is None:
            restore(state, message)
