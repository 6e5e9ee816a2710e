"""A snapshot's bytes: the states of queue, handlers and dead letters at one sequence number, and back.

Only what cannot be derived is written; lines, deadlines, keys and groups are built anew. Files and checksums are the store's.

Format 3: the bytes `PdS3`, the length of a MessagePack map (8 bytes, little endian), the map, and then each parcel: its length (8
bytes) and MessagePack of its own; the map's `queue.blocks` says how many there are. So no single call, which would hold the
interpreter, has much to do, and what waits on the disk passes through memory parcel by parcel, on its way out and back in.
Format 2, `PdS2`, had the lengths of the parcels in the map. Format 1 was one MessagePack map.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import msgspec

from perdure.events import vocabulary as ev
from perdure.events.codec.block_snapshot import dump_blocks, dump_lease_batches, load_blocks, load_lease_batches
from perdure.events.codec.runs import Run, count, expand
from perdure.events.codec.wire import NOT_OURS, Batch, decode_rows, encode_rows
from perdure.events.errors import StoreCorrupt
from perdure.events.handlers import registry as handlers
from perdure.events.queue import dead_letters as letters
from perdure.events.queue.folds import evolve, evolve_all
from perdure.events.queue.message import Message, Status
from perdure.events.queue.placement import restore
from perdure.events.queue.state import Dead, KeyHolder, KeySlots, QueueState, TypeCounts
from perdure.events.structures.group import Group
from perdure.events.structures.heap_set import HeapSet

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from perdure.events.structures.message_block import PayloadSpill

__all__ = ["ALL_PARTS", "States", "dump_queue", "fold", "pack", "unpack"]

MAGIC = b"PdS3"
MAGIC_2 = b"PdS2"
LENGTH = 8
FORMAT = 3
READABLE = (1, 2, 3)
"""Format 1 knew no parcels: each message stood for itself."""
ALL_PARTS = frozenset({"queue", "dispatcher", "dead_letters"})
_OWN = ("number", "rank", "due_us", "attempts", "until_us", "crashes", "free_worker_only", "percent", "note", "failures", "settled")
_DERIVED = ("ready", "delayed", "held", "in_flight", "out")
_TOTALS = tuple(field.name for field in attrs.fields(TypeCounts) if field.name not in _DERIVED)


@attrs.define(eq=False)
class States:
    """The whole system's state at one point of the log: the fold of all events up to `seq`."""

    queue: QueueState = attrs.field(factory=QueueState)
    handlers: handlers.HandlersState = attrs.field(factory=handlers.HandlersState)
    dead_letters: letters.DeadLettersState = attrs.field(factory=letters.DeadLettersState)
    seq: int = 0
    at_us: int = 0
    parts: frozenset[str] = ALL_PARTS
    """Which of the states are kept up to date; an actor folds only its own."""

    def encode(self) -> bytes:
        """Give the snapshot's bytes."""
        return b"".join(self.chunks())

    def chunks(self) -> Iterator[bytes]:
        """Give the snapshot's bytes piece by piece, which takes little more memory than the largest piece; the states must rest."""
        plain = {
            "format": FORMAT,
            "seq": self.seq,
            "at_us": self.at_us,
            "queue": _dump_queue_with(self.queue, len(self.queue.blocks)),
            "handlers": dump_handlers(self.handlers),
            "dead_letters": dump_dead_letters(self.dead_letters),
        }
        return _packed(plain, dump_blocks(self.queue))

    @classmethod
    def decode(
        cls,
        body: bytes | Iterable[bytes],
        *,
        parts: frozenset[str] = ALL_PARTS,
        spill: PayloadSpill | None = None,
        resident_max: int = 0,
    ) -> States:
        """Build the states from a snapshot's bytes, or from pieces of them; without the queue's where that is not among the parts.

        With a `spill`, payloads beyond `resident_max` bytes go there as they come.

        Raises:
            StoreCorrupt: the bytes are not what `encode` gives.
        """
        try:
            source = _Source(iter((body,)) if isinstance(body, bytes) else iter(body))
            plain, size = _unpacked(source)
            if plain["format"] not in READABLE:
                msg = f"a snapshot of format {plain['format']}; this version of perdure reads format {FORMAT}"
                raise StoreCorrupt(msg)
            _check_lengths(plain, size)
            queue, buried = QueueState(spill=spill, resident_max=resident_max), load_dead_letters(plain["dead_letters"])
            if "queue" in parts:
                load_queue(plain["queue"], queue)
                source.expect_end()
            for number, letter in buried.letters.items():
                if number in queue.dead:
                    size = letters.letter_bytes(letter.event)
                    queue.dead[number] = queue.dead[number]._replace(death=letters.death(letter.event), bytes=size)
                    queue.dead_bytes += size
            return cls(queue, load_handlers(plain["handlers"]), buried, plain["seq"], plain["at_us"])
        except NOT_OURS as error:
            msg = f"a snapshot cannot be decoded: {error!r}"
            raise StoreCorrupt(msg) from error


def pack(plain: dict[str, Any]) -> bytes:
    """Give the bytes of a snapshot's plain values, in today's format."""
    blocks = plain["queue"]["parcels"]
    return b"".join(_packed({**plain, "queue": {**plain["queue"], "parcels": len(blocks)}}, blocks))


def _packed(plain: dict[str, Any], blocks: Iterable[list[Any]]) -> Iterator[bytes]:
    head = msgspec.msgpack.encode(plain)
    yield b"".join((MAGIC, len(head).to_bytes(LENGTH, "little"), head))
    for row in blocks:
        encoded = msgspec.msgpack.encode(row)
        yield b"".join((len(encoded).to_bytes(LENGTH, "little"), encoded))


def unpack(body: bytes) -> dict[str, Any]:
    """Give a snapshot's plain values, whatever its format. Of hostile bytes it may raise what `decode` turns into StoreCorrupt."""
    source = _Source(iter((body,)))
    plain, _ = _unpacked(source)
    plain["queue"]["parcels"] = list(plain["queue"]["parcels"])
    source.expect_end()
    return plain


def _unpacked(source: _Source) -> tuple[dict[str, Any], int]:
    """Give a snapshot's plain values, its parcels still to be read from the source, and the size of all else."""
    magic = source.take(len(MAGIC))
    if magic not in (MAGIC, MAGIC_2):
        body = magic + source.rest()
        plain: dict[str, Any] = msgspec.msgpack.decode(body)
        plain["queue"]["parcels"] = []
        return plain, len(body)
    size = source.length()
    plain = msgspec.msgpack.decode(source.take(size))
    blocks = plain["queue"]["parcels"]
    lengths = iter(blocks) if magic == MAGIC_2 else (source.length() for _ in range(blocks))
    plain["queue"]["parcels"] = (msgspec.msgpack.decode(source.take(length)) for length in lengths)
    return plain, size


class _Source:
    """Bytes that come in pieces of any size."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._piece = memoryview(b"")

    def take(self, size: int) -> bytes:
        """Give the next `size` bytes. Raises ValueError where there are fewer, after taking no more memory than there are bytes."""
        taken: list[memoryview] = []
        left = size
        while left > 0:
            if not self._piece:
                piece = next(self._pieces, None)
                if piece is None:
                    msg = f"{size - left} bytes where {size} should be"
                    raise ValueError(msg)
                self._piece = memoryview(piece)
            part, self._piece = self._piece[:left], self._piece[left:]
            taken.append(part)
            left -= len(part)
        return b"".join(taken)

    def length(self) -> int:
        """Give a length that stands next."""
        return int.from_bytes(self.take(LENGTH), "little")

    def rest(self) -> bytes:
        """Give all that is left."""
        rest = b"".join((self._piece, *self._pieces))
        self._piece = memoryview(b"")
        return rest

    def expect_end(self) -> None:
        """Raise ValueError where there is more."""
        if self.rest():
            msg = "there is more behind the last parcel"
            raise ValueError(msg)


def _check_lengths(plain: dict[str, Any], body_bytes: int) -> None:
    """Refuse runs that claim more rows than the body has bytes, before a row is built.

    A constant column takes a few bytes, whatever its length claims to be; but of each message a snapshot holds at least one.
    """
    queue = plain["queue"]
    runs = [queue["published"], queue["leases"], queue.get("results", []), plain["dead_letters"]["facts"]]
    for run in (*runs, *(rows for rows, *_ in plain["handlers"]["handlers"])):
        if run and not 0 < run[2] <= body_bytes:
            msg = f"a run claims {run[2]} rows in a snapshot of {body_bytes} bytes"
            raise ValueError(msg)


def fold(states: States, batches: list[Batch], first_seq: int) -> States:
    """Fold the events of one frame into all states; those at or before `states.seq` are skipped."""
    seq = first_seq
    with_queue, with_handlers, with_letters = (part in states.parts for part in ("queue", "dispatcher", "dead_letters"))
    for at_us, events in batches:
        size = count(events)
        if seq + size - 1 <= states.seq:
            seq += size
            continue
        fresh = events if seq > states.seq else expand(events)[states.seq - seq + 1 :]
        if with_queue:
            evolve_all(states.queue, fresh)
        if with_handlers or with_letters:
            for event in fresh:
                if isinstance(event, Run):
                    continue  # of plain messages, which are neither handlers nor dead letters
                if with_handlers:
                    handlers.evolve(states.handlers, event)
                if with_letters:
                    letters.evolve(states.dead_letters, event, at_us)
        seq += size
        states.seq, states.at_us = seq - 1, at_us
    return states


# --- queue ---------------------------------------------------------------------------------------------------------------


def dump_queue(state: QueueState) -> dict[str, Any]:
    """Give the queue's state as plain values; two states are equal exactly when these are."""
    return _dump_queue_with(state, list(dump_blocks(state)))


def _dump_queue_with(state: QueueState, blocks: Any) -> dict[str, Any]:
    """Give the queue's state as plain values, with what is to stand for the parcels."""
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
        "late_results": state.late_results,
        "held_keys": sorted([*key, *held] for key, held in state.held_keys.items()),
        "results": encode_rows(list(state.results.values())),
        "paces": dict(sorted(state.paces.items())),
        "ticks": dict(sorted(state.ticks.items())),
        "slots": sorted(number for slots in state.slots.values() for number in slots.taken),
    }


def load_queue(plain: dict[str, Any], state: QueueState | None = None) -> QueueState:
    """Build the queue's state from what `dump_queue` gave; `state`: a new one that knows where payloads go."""
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
    # A snapshot of an older version does not tell how they ended.
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
    state.quarantined = set(plain["suspects"])
    _stand_in_line(state, messages, leases)
    load_lease_batches(state, plain.get("flights", []))
    for type_name, key, ident, until_us in plain.get("held_keys", ()):
        evolve(state, ev.KeyHeld(type_name, key, ident, until_us))
    for kept in decode_rows(plain.get("results", [])):
        evolve(state, kept)
    state.paces, state.ticks = dict(plain.get("paces", {})), dict(plain.get("ticks", {}))
    return state


def _stand_in_line(state: QueueState, messages: list[Message], leases: dict[int, ev.Leased]) -> None:
    """Let every message stand where it belongs: first all that others may wait for, then those that may have to wait."""
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


# --- handlers and dead letters -------------------------------------------------------------------------------------------


def dump_handlers(state: handlers.HandlersState) -> dict[str, Any]:
    """Give the handlers' state as plain values."""
    return {
        "handlers": [[encode_rows([h.registered]), h.scaled, h.adapted, h.changes] for _, h in sorted(state.handlers.items())],
        "paused": state.paused,
        "paused_types": sorted(state.paused_types),
    }


def load_handlers(plain: dict[str, Any]) -> handlers.HandlersState:
    """Build the handlers' state from what `dump_handlers` gave."""
    known: dict[str, handlers.Handler] = {}
    for rows, scaled, *later in plain["handlers"]:
        (registered,) = decode_rows(rows)
        if isinstance(registered, ev.HandlerRegistered):
            known[registered.type] = handlers.Handler(registered, scaled, *later)
    return handlers.HandlersState(known, plain["paused"], set(plain["paused_types"]))


def dump_dead_letters(state: letters.DeadLettersState) -> dict[str, Any]:
    """Give the dead letters as plain values."""
    kept = list(state.letters.values())
    return {"facts": encode_rows([letter.event for letter in kept]), "failed_us": [letter.failed_us for letter in kept]}


def load_dead_letters(plain: dict[str, Any]) -> letters.DeadLettersState:
    """Build the dead letters from what `dump_dead_letters` gave."""
    state = letters.DeadLettersState()
    for event, failed_us in zip(decode_rows(plain["facts"]), plain["failed_us"], strict=True):
        letters.evolve(state, event, failed_us)
    return state
