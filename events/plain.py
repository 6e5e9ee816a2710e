"""What happens to plain messages while facts are folded: many enter, are handed out and end at a time.

A plain message that becomes special is singled out here, and is `placing`'s from then on.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from perdure.events.id_index import IdRun
from perdure.events.lane import Line
from perdure.events.message import Message, Status, Where
from perdure.events.parcel import Flight, Parcel
from perdure.events.remembering import close_parcel
from perdure.events.spilling import shelve, take_out

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from perdure.events.queue_state import QueueState

__all__ = ["complete", "enter_plain", "lease", "line_of", "single", "take_off"]

LEASED = Status.LEASED


def line_of(state: QueueState, type_name: str) -> Line:
    """Give the line of a type, made at first use."""
    line = state.lines.get(type_name)
    if line is None:
        line = state.lines[type_name] = Line()
    return line


def enter_plain(state: QueueState, first: int, type_name: str, ids: Sequence[str], payloads: list[bytes]) -> None:
    """Let plain messages stand at the end of their line."""
    n = len(payloads)
    counts = state.counts(type_name)
    counts.published += n
    counts.ready += n
    state.next_number = first + n
    if type(ids) is IdRun and n > 1:
        state.past.see_run(ids)
    else:
        for ident in ids:
            state.past.see(ident)
    state.plain += n
    state.payload_bytes += sum(map(len, payloads))
    lane = line_of(state, type_name).lane(0)
    done = 0
    while done < n:
        parcel = state.open_parcels.get(type_name)
        if parcel is None:
            parcel = _begin_parcel(state, type_name, first + done)
        rest = payloads[done:] if done else payloads
        took = parcel.room(rest)
        # A run of one is no run: so it does not matter whether it was read from the log by itself.
        piece = ids[done : done + took] if took > 1 else [ids[done]]
        state.ids.put_all(piece, first + done)
        parcel.add(first + done, piece, rest[:took])
        state.parcel_index.add(first + done, parcel)
        lane.add_parcel(parcel)
        done += took
        if parcel.full:
            _seal(state, parcel)


def _begin_parcel(state: QueueState, type_name: str, first: int) -> Parcel:
    parcel = state.open_parcels[type_name] = state.parcels[first] = Parcel(first, type_name)
    return parcel


def _seal(state: QueueState, parcel: Parcel) -> None:
    """It takes no more; if nothing in it is live, it is over."""
    del state.open_parcels[parcel.type]
    parcel.sealed = True
    if not parcel.live:
        close_parcel(state, parcel)
    elif state.shelf is not None and state.payload_bytes - state.shelved_bytes > state.resident_max:
        shelve(state, parcel)


def single(state: QueueState, number: int) -> Message:
    """Give a live message to be changed; a plain one is singled out, and leaves the line if it stood there."""
    message = state.messages.get(number)
    if message is not None:
        return message
    message = state.look(number)
    parcel = state.parcel_of(number)
    if message is None or parcel is None:
        raise KeyError(number)
    i = parcel.place(number)
    take_out(state, parcel, (i,))  # its payload is in memory now
    state.messages[number] = message
    state.ids.put(message.published.id, number)
    if message.status is LEASED:
        _land(state, state.leased[number], 1)
        state.leased[number] = message
        if message.until_us:
            state.lease_ends.add((message.until_us, number))
    else:
        message.where = Where.NOWHERE
        parcel.leave(i)
        state.lines[parcel.type].trim(parcel)
    parcel.blank((i,))
    state.plain -= 1
    parcel.live -= 1
    if parcel.sealed and not parcel.live:
        close_parcel(state, parcel)
    return message


def lease(state: QueueState, numbers: range, until_us: int, retries: int, ahead: bool) -> None:  # noqa: FBT001 - hot
    """Hand out plain messages that are in line."""
    while numbers:
        parcel = state.parcel_of(numbers[0])
        if parcel is None:
            raise KeyError(numbers[0])
        i = parcel.place(numbers[0])
        n = parcel.row(i, len(numbers))
        here, numbers = numbers[:n], numbers[n:]
        if i == parcel.head:
            parcel.advance(n)
        else:
            for k in range(i, i + n):
                parcel.leave(k)
        take_off(state, Flight(parcel, until_us, retries, ahead, here, n))
        counts = state.by_type[parcel.type]
        counts.ready -= len(here)
        counts.in_flight += len(here)
        counts.out += len(here)
        state.lines[parcel.type].trim(parcel)


def take_off(state: QueueState, flight: Flight) -> None:
    """Let all of a flight be out."""
    state.leased.update(dict.fromkeys(flight.numbers, flight))
    if flight.until_us:
        first = flight.numbers[0]
        state.flights[first] = flight
        state.lease_ends.add((flight.until_us, -first))


def _land(state: QueueState, flight: Any, n: int) -> None:
    """Of a flight, `n` are no longer out as they went."""
    flight.out -= n
    if not flight.out and flight.until_us:
        first = flight.numbers[0]
        del state.flights[first]
        state.lease_ends.discard((flight.until_us, -first))


def complete(state: QueueState, numbers: Iterable[int]) -> None:
    """End plain messages that are out."""
    take: Callable[[int], Any] = state.leased.pop
    for flight, group in groupby(numbers, take):
        here = list(group)
        parcel, n = flight.parcel, len(here)
        counts = state.by_type[parcel.type]
        counts.completed += n
        counts.in_flight -= n
        counts.out -= n
        places = parcel.places(here)
        state.payload_bytes -= take_out(state, parcel, places)
        state.plain -= n
        parcel.live -= n
        _land(state, flight, n)
        if parcel.sealed and not parcel.live:
            close_parcel(state, parcel)
        else:
            parcel.blank(places)
