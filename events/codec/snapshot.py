"""The states of queue, handlers and dead letters at one sequence number, their fold, and a snapshot's bytes.

Only what cannot be derived is written. The queue's part is in `queue_snapshot`, the layout of the bytes in `snapshot_framing`;
files and checksums are in `store/format`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from perdure.events import vocabulary as ev
from perdure.events.codec.block_snapshot import dump_blocks
from perdure.events.codec.queue_snapshot import dump_queue_with, load_queue
from perdure.events.codec.snapshot_framing import Source, packed, unpacked
from perdure.events.codec.wire import NOT_OURS, Batch, decode_rows, encode_rows
from perdure.events.errors import StoreCorrupt
from perdure.events.handlers import registry as handlers
from perdure.events.queue import dead_letters as letters
from perdure.events.queue.folding.folds import evolve_all
from perdure.events.queue.state import QueueState
from perdure.events.runs import Run, count, expand

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from perdure.events.structures.message_block import PayloadSpill

__all__ = ["ALL_PARTS", "States", "dump_dead_letters", "dump_handlers", "fold"]

FORMAT = 3
READABLE = (1, 2, 3)
"""Format 1 has no blocks: each message is a row of its own."""
ALL_PARTS = frozenset({"queue", "dispatcher", "dead_letters"})


@attrs.define(eq=False)
class States:
    """The state of the whole system at one point of the log: the fold of all events up to `seq`."""

    queue: QueueState = attrs.field(factory=QueueState)
    handlers: handlers.HandlersState = attrs.field(factory=handlers.HandlersState)
    dead_letters: letters.DeadLettersState = attrs.field(factory=letters.DeadLettersState)
    seq: int = 0
    at_us: int = 0
    parts: frozenset[str] = ALL_PARTS
    """The actors whose states are kept up to date; an actor folds only its own."""

    def encode(self) -> bytes:
        """Return the snapshot's bytes."""
        return b"".join(self.chunks())

    def chunks(self) -> Iterator[bytes]:
        """Return the snapshot's bytes in pieces, with little more memory than the largest. The states must not change meanwhile."""
        plain = {
            "format": FORMAT,
            "seq": self.seq,
            "at_us": self.at_us,
            "queue": dump_queue_with(self.queue, len(self.queue.blocks)),
            "handlers": dump_handlers(self.handlers),
            "dead_letters": dump_dead_letters(self.dead_letters),
        }
        return packed(plain, dump_blocks(self.queue))

    @classmethod
    def decode(
        cls,
        body: bytes | Iterable[bytes],
        *,
        parts: frozenset[str] = ALL_PARTS,
        spill: PayloadSpill | None = None,
        resident_max: int = 0,
    ) -> States:
        """Return the states from a snapshot's bytes or pieces of them; the queue's is empty where it is not among the parts.

        With a `spill`, payloads beyond `resident_max` bytes are spilled as they come.

        Raises:
            StoreCorrupt: the bytes are not what `encode` returns.
        """
        try:
            source = Source(iter((body,)) if isinstance(body, bytes) else iter(body))
            plain, size = unpacked(source)
            if plain["format"] not in READABLE:
                msg = f"a snapshot of format {plain['format']}; this version of perdure reads format {FORMAT}"
                raise StoreCorrupt(msg)
            _check_lengths(plain, size)
            queue, dead_letters = QueueState(spill=spill, resident_max=resident_max), load_dead_letters(plain["dead_letters"])
            if "queue" in parts:
                load_queue(plain["queue"], queue)
                source.expect_end()
            for number, letter in dead_letters.letters.items():
                if number in queue.dead:
                    died, size = letter.event, letters.letter_bytes(letter.event)
                    last = died.attempts + died.uncounted
                    queue.dead[number] = queue.dead[number]._replace(death=letters.death(died), bytes=size, last=last)
                    queue.dead_bytes += size
            return cls(queue, load_handlers(plain["handlers"]), dead_letters, plain["seq"], plain["at_us"])
        except NOT_OURS as error:
            msg = f"a snapshot cannot be decoded: {error!r}"
            raise StoreCorrupt(msg) from error


def _check_lengths(plain: dict[str, Any], body_bytes: int) -> None:
    """Raise ValueError where a run claims more rows than the body has bytes, before a row is built.

    A constant column takes a few bytes, whatever length it claims; but a snapshot holds at least one byte for each message.
    """
    queue = plain["queue"]
    runs = [queue["published"], queue["leases"], queue.get("results", []), plain["dead_letters"]["facts"]]
    for run in (*runs, *(rows for rows, *_ in plain["handlers"]["handlers"])):
        if run and not 0 < run[2] <= body_bytes:
            msg = f"a run claims {run[2]} rows in a snapshot of {body_bytes} bytes"
            raise ValueError(msg)


def fold(states: States, batches: list[Batch], first_seq: int) -> States:
    """Fold the events of one frame into the states in place, and return them; events up to `states.seq` are skipped."""
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
            own_seq = seq + size - count(fresh) - 1
            for event in fresh:
                if isinstance(event, Run):
                    own_seq += count((event,))
                    continue  # plain messages are neither handlers nor dead letters
                own_seq += 1
                if with_handlers:
                    handlers.evolve(states.handlers, event)
                if with_letters:
                    letters.evolve(states.dead_letters, event, at_us, own_seq)
        seq += size
        states.seq, states.at_us = seq - 1, at_us
    return states


# --- handlers and dead letters -------------------------------------------------------------------------------------------


def dump_handlers(state: handlers.HandlersState) -> dict[str, Any]:
    """Return the handlers' state as plain values."""
    return {
        "handlers": [[encode_rows([h.registered]), h.scaled, h.adapted, h.changes] for _, h in sorted(state.handlers.items())],
        "paused": state.paused,
        "paused_types": sorted(state.paused_types),
    }


def load_handlers(plain: dict[str, Any]) -> handlers.HandlersState:
    """Return the handlers' state from what `dump_handlers` returned."""
    known: dict[str, handlers.Handler] = {}
    for rows, scaled, *later in plain["handlers"]:
        (registered,) = decode_rows(rows)
        if isinstance(registered, ev.HandlerRegistered):
            known[registered.type] = handlers.Handler(registered, scaled, *later)
    return handlers.HandlersState(known, plain["paused"], set(plain["paused_types"]))


def dump_dead_letters(state: letters.DeadLettersState) -> dict[str, Any]:
    """Return the dead letters as plain values."""
    kept = list(state.letters.values())
    return {
        "facts": encode_rows([letter.event for letter in kept]),
        "failed_us": [letter.failed_us for letter in kept],
        "seqs": [letter.seq for letter in kept],
    }


def load_dead_letters(plain: dict[str, Any]) -> letters.DeadLettersState:
    """Return the dead letters from what `dump_dead_letters` returned."""
    state = letters.DeadLettersState()
    # A snapshot of an older version lacks the sequence numbers. Any numbers will do that ascend and are not above its own.
    seqs = plain.get("seqs") or range(1, len(plain["failed_us"]) + 1)
    for event, failed_us, seq in zip(decode_rows(plain["facts"]), plain["failed_us"], seqs, strict=True):
        letters.evolve(state, event, failed_us, seq)
    return state
