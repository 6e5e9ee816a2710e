"""Parcels and flights as plain values for a snapshot, and back. All else of a snapshot is in `snapshot`."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from perdure.events.id_index import IdRun
from perdure.events.parcel import Flight, Parcel
from perdure.events.plain import line_of

if TYPE_CHECKING:
    from perdure.events.queue_state import QueueState

OPEN_MAX = 1 << 16
"""A parcel that is over, or holds nothing yet that is live, has no more messages than this."""

__all__ = ["dump_flights", "dump_parcels", "load_flights", "load_parcels"]


def dump_parcels(state: QueueState) -> list[list[Any]]:
    """Give all parcels; payloads only of what has not ended."""
    return [_dump(state, parcel) for parcel in state.parcels]


def _dump(state: QueueState, parcel: Parcel) -> list[Any]:
    ids = [[ids.prefix, ids.start, ids.n] if isinstance(ids, IdRun) else list(ids) for _, ids in parcel.chunks]
    payloads: list[bytes | None] = []
    if parcel.live:
        payloads = [*parcel.payloads]
        for i in {*range(parcel.head), *parcel.gone}:
            if parcel.first + i not in state.leased or parcel.first + i in state.messages:
                payloads[i] = None
    return [parcel.first, parcel.type, ids, payloads, parcel.size, parcel.head, sorted(parcel.gone), parcel.live, parcel.sealed]


def load_parcels(state: QueueState, rows: list[list[Any]]) -> dict[int, Parcel]:
    """Enter parcels into a state that has nothing but counts yet; those in line stand in line. Gives them by first number."""
    for first, type_name, ids, payloads, size, head, gone, live, sealed in rows:
        parcel = Parcel(first, type_name, [], [], size, head, set(gone), live, 0, sealed)
        for chunk in ids:
            is_run = len(chunk) == 3 and isinstance(chunk[1], int)  # noqa: PLR2004 - prefix, start, count
            piece = IdRun(*chunk) if is_run else list(chunk)
            parcel.chunks.append((parcel.n, piece))
            state.ids.put_all(piece, first + parcel.n)
            parcel.n += len(piece)
        if len(payloads) != parcel.n and (live or parcel.n > OPEN_MAX):
            msg = f"a parcel of {parcel.n} messages with {len(payloads)} payloads"
            raise ValueError(msg)
        if not (sealed and not live):  # of what is over, no payload is there; else each keeps its place
            parcel.payloads = [payload or b"" for payload in payloads] or [b""] * parcel.n
        state.parcels.append(parcel)
        state.parcel_firsts.append(first)
        state.plain += live
        counts = state.counts(type_name)
        in_line = parcel.n - head - len(parcel.gone)
        counts.ready += in_line
        if in_line:
            line_of(state, type_name).lane(0).add_parcel(parcel)
            state.payload_bytes += parcel.bytes_of([i for i in range(head, parcel.n) if i not in parcel.gone])
        if not sealed:
            state.open_parcels[type_name] = parcel
    return {parcel.first: parcel for parcel in state.parcels}


def dump_flights(state: QueueState) -> list[list[Any]]:
    """Give what is out of parcels, message by message, in columns: number, until_us, retries, ahead."""
    rows = [(n, f.until_us, f.retries, f.ahead) for n, f in sorted(state.leased.items()) if isinstance(f, Flight)]
    return [list(column) for column in zip(*rows, strict=True)]


def load_flights(state: QueueState, columns: list[list[Any]]) -> None:
    """Let what was out of parcels be out again."""
    rows = zip(*columns, strict=True)
    for (parcel, until_us, retries, ahead), group in groupby(rows, lambda row: (state.parcel_of(row[0]), *row[1:])):
        numbers = [row[0] for row in group]
        if parcel is None:
            raise KeyError(numbers[0])
        state.leased.update(dict.fromkeys(numbers, Flight(parcel, until_us, retries, ahead)))
        counts = state.counts(parcel.type)
        counts.in_flight += len(numbers)
        counts.out += len(numbers)
        state.payload_bytes += parcel.bytes_of([number - parcel.first for number in numbers])
        if until_us:
            state.lease_horizon_us = min(state.lease_horizon_us, until_us)
