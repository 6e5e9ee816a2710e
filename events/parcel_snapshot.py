"""Parcels and flights as plain values for a snapshot, and back. All else of a snapshot is in `snapshot`."""

from __future__ import annotations

from array import array
from itertools import accumulate, groupby, pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from perdure.events.id_index import IdRun
from perdure.events.parcel import Flight, Parcel
from perdure.events.parcel_index import stretches
from perdure.events.plain import line_of, take_off
from perdure.events.spilling import put_away

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from perdure.events.queue_state import QueueState

OPEN_MAX = 1 << 16
"""A parcel that is over, or holds nothing yet that is live, has no more messages than this."""

__all__ = ["dump_flights", "dump_parcels", "load_flights", "load_parcels"]


def dump_parcels(state: QueueState) -> Iterator[list[Any]]:
    """Give all parcels, one after the other; payloads only of what has not ended."""
    return (_dump(state, parcel) for parcel in state.parcels.values())


def _dump(state: QueueState, parcel: Parcel) -> list[Any]:
    ids = [[ids.prefix, ids.start, ids.n] if isinstance(ids, IdRun) else list(ids) for _, ids in parcel.chunks]
    payloads: list[bytes | None] = []
    if parcel.live:
        payloads = [*parcel.payloads[:]]  # those on the disk are read at once
        for i in {*range(parcel.head), *parcel.gone}:
            number = parcel.numbers[i]
            if number not in state.leased or number in state.messages:
                payloads[i] = None
    row = [parcel.first, parcel.type, ids, payloads, parcel.size, parcel.head, sorted(parcel.gone), parcel.live, parcel.sealed]
    return row if isinstance(parcel.numbers, range) else [*row, _gaps(parcel.numbers)]


def _gaps(numbers: Sequence[int]) -> list[int]:
    """Give how far each number is from the one before it."""
    return [number - before for before, number in pairwise(numbers)]


def _numbers(first: int, n: int, gaps: list[int]) -> range | array[int]:
    if not gaps:
        return range(first, first + n)
    numbers = array("q", accumulate(gaps, initial=first))
    if len(numbers) != n or min(gaps) < 1:
        msg = f"a parcel of {n} messages with {len(numbers)} numbers, which must count up"
        raise ValueError(msg)
    return numbers


def load_parcels(state: QueueState, rows: Iterable[list[Any]]) -> dict[int, Parcel]:
    """Enter parcels into a state that has nothing but counts yet; those in line stand in line. Gives them by first number.

    What is too much for the memory goes to the disk at once.
    """
    for first, type_name, ids, payloads, size, head, gone, live, sealed, *gaps in rows:
        parcel = Parcel(first, type_name, size=size, head=head, gone=set(gone), live=live, sealed=sealed)
        for chunk in ids:
            is_run = len(chunk) == 3 and isinstance(chunk[1], int)  # noqa: PLR2004 - prefix, start, count
            piece = IdRun(*chunk) if is_run else list(chunk)
            parcel.chunks.append((parcel.n, piece))
            parcel.n += len(piece)
        parcel.numbers = _numbers(first, parcel.n, *gaps) if gaps else range(first, first + parcel.n)
        for offset, own in parcel.chunks:
            if isinstance(own, IdRun):
                state.ids.put_all(own, parcel.numbers[offset])
            else:
                for number, ident in zip(parcel.numbers[offset:], own, strict=False):
                    state.ids.put(ident, number)
        if len(payloads) != parcel.n and (live or parcel.n > OPEN_MAX):
            msg = f"a parcel of {parcel.n} messages with {len(payloads)} payloads"
            raise ValueError(msg)
        if not (sealed and not live):  # of what is over, no payload is there; else each keeps its place
            parcel.payloads = [payload or b"" for payload in payloads] or [b""] * parcel.n
        state.parcels[first] = parcel
        state.plain += live
        counts = state.counts(type_name)
        in_line = parcel.n - head - len(parcel.gone)
        counts.ready += in_line
        waits = parcel.bytes_of([i for i in range(head, parcel.n) if i not in parcel.gone])
        if in_line:
            line_of(state, type_name).lane(0).add_parcel(parcel)
            state.payload_bytes += waits
        if not sealed:
            state.open_parcels[type_name] = parcel
        elif live and state.shelf is not None and state.payload_bytes - state.shelved_bytes > state.resident_max:
            put_away(state, parcel, [*parcel.payloads], waits)  # what of it is out is counted with the leases
    firsts = {start: parcel for parcel in state.parcels.values() for start in stretches(parcel)}
    for start, parcel in sorted(firsts.items(), key=itemgetter(0)):
        state.parcel_index.add(start, parcel)
    return state.parcels


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
        take_off(state, Flight(parcel, until_us, retries, ahead, numbers, len(numbers)))
        counts = state.counts(parcel.type)
        counts.in_flight += len(numbers)
        counts.out += len(numbers)
        size = parcel.bytes_of(parcel.places(numbers))
        state.payload_bytes += size
        if parcel.is_shelved:
            parcel.shelved_bytes += size
            state.shelved_bytes += size
