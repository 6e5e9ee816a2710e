"""How facts become bytes and come back: MessagePack, a column for each field, a stable tag for each event class.

No compression, no checksum, no file: those belong to the store. No class path is ever written or looked up.

A frame's body is an array of batches, one for each decision pass: `[at_us, [run, ...]]`. A run holds consecutive events of
one class: `[tag, version, n, column, ...]`, columns in the order of the class's fields. A column is an array of n values, or
`{0: value}` for n equal ones, or `{1: start}` for start, start + 1, ... Columns are what makes this fast in Python (each is
gathered and spread by C code) and small once compressed. Rows of an older version go through `upcast`.
"""

from __future__ import annotations

from itertools import groupby, repeat
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import attrs
import msgspec

from perdure.events import vocabulary as ev
from perdure.events.errors import StoreCorrupt, StoreUnavailable
from perdure.events.upcast import OLD_FIELDS, upcast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["Batch", "decode", "decode_rows", "encode", "encode_rows"]

Batch = tuple[int, list[ev.Event]]
"""What one decision pass decided, and when (`at_us`)."""

_NOT_OURS = (
    msgspec.DecodeError,
    TypeError,
    ValueError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    RecursionError,
)
"""What reading bytes that `encode` did not write may raise."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder()


def _fields(cls: type) -> tuple[str, ...]:
    return tuple(field.name for field in attrs.fields(cls))


_PUBLISHED_FIELDS = _fields(ev.Published)
_TERMS = _PUBLISHED_FIELDS.index("terms")
_published_row = attrgetter(*_PUBLISHED_FIELDS)

# How a field that is no plain value is written and read back.
_WRITERS: dict[str, Callable[[Any], Any]] = {"published": _published_row}
_READERS: dict[str, Callable[[Any], Any]] = {
    "published": lambda row: _published(*row),
    "failures": lambda rows: [ev.FailureNote(*row) for row in rows],
    "terms": lambda row: None if row is None else ev.Terms(*row),
}


def _gatherers(cls: type) -> list[Callable[[Any], Any]]:
    made: list[Callable[[Any], Any]] = []
    for name in _fields(cls):
        get = attrgetter(name)
        write = _WRITERS.get(name)
        made.append(get if write is None else _composed(get, write))
    return made


def _composed(get: Callable[[Any], Any], write: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda event: write(get(event))


_GATHER = {cls: _gatherers(cls) for cls in ev.VOCABULARY.values()}
_SPREAD = {cls: [_READERS.get(name) for name in _fields(cls)] for cls in ev.VOCABULARY.values()}


def encode(batches: Sequence[Batch]) -> bytes:
    """Encode the batches of one frame."""
    return _encoder.encode([[at_us, [_run(cls, list(run)) for cls, run in groupby(events, type)]] for at_us, events in batches])


def encode_rows(events: Sequence[ev.Event]) -> list[Any]:
    """Give events of one class as one run of plain values, for a snapshot."""
    return _run(type(events[0]), list(events)) if events else []


def _run(cls: type[ev.Event], events: list[ev.Event]) -> list[Any]:
    n = len(events)
    if n == 1:
        return [cls.TAG, cls.VERSION, 1, *([gather(events[0])] for gather in _GATHER[cls])]
    return [cls.TAG, cls.VERSION, n, *(_column(list(map(gather, events)), n) for gather in _GATHER[cls])]


def _column(values: list[Any], n: int) -> Any:
    first = values[0]
    if values[-1] == first:
        return {0: first} if values.count(first) == n else values
    if type(first) is int and values[-1] == first + n - 1 and values == list(range(first, first + n)):
        return {1: first}
    return values


def decode(body: bytes, count: int) -> list[Batch]:
    """Decode a frame's body that must hold exactly `count` events.

    Raises:
        StoreCorrupt: the body is not what `encode` writes; memory taken stays within a small multiple of the body.
        StoreUnavailable: it holds facts that only a newer perdure knows.
    """
    try:
        batches = _decoder.decode(body)
        # Counted before anything is built: a constant column takes a few bytes, whatever its length claims to be.
        claimed = sum(run[2] for _, runs in batches for run in runs)
        if claimed != count or any(run[2] < 1 for _, runs in batches for run in runs):
            msg = f"the frame claims {count} events and its body {claimed}"
            raise StoreCorrupt(msg)
        return [(int(at_us), [event for run in runs for event in decode_rows(run)]) for at_us, runs in batches]
    except (
        msgspec.DecodeError,
        TypeError,
        ValueError,
        KeyError,
        IndexError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        msg = f"the events of a frame cannot be decoded: {error}"
        raise StoreCorrupt(msg) from error


def decode_rows(run: list[Any]) -> list[ev.Event]:
    """Build the events of one run.

    Raises:
        StoreUnavailable: its tag or version belongs to a newer perdure.
        TypeError, ValueError, KeyError, IndexError: it is not what `encode` writes.
    """
    if not run:
        return []
    tag, version, n, *columns = run
    cls = ev.VOCABULARY.get(tag)
    if cls is None or version > cls.VERSION or (version == cls.VERSION and len(columns) > len(_SPREAD[cls])):
        msg = (
            f"the log holds events (tag {tag}, version {version}) that this version of perdure does not know; it was "
            "written by a newer one. Upgrade perdure, or open another folder."
        )
        raise StoreUnavailable(msg)
    if version < cls.VERSION:
        names = OLD_FIELDS[tag, version]
        rows = zip(*(_values(column, n) for column in columns), strict=True)
        today = [upcast(tag, version, cls.VERSION, dict(zip(names, row, strict=True))) for row in rows]
        return [cls(**{name: _read(name, value) for name, value in row.items()}) for row in today]
    spread: Iterator[Any] = (
        _values(column, n) if read is None else _read_column(read, column, n)
        for column, read in zip(columns, _SPREAD[cls], strict=False)
    )
    return list(map(cls, *spread))


def _published(*row: Any) -> ev.Published:
    terms = row[_TERMS] if len(row) > _TERMS else None
    published = ev.Published(*row[:_TERMS])
    return published if terms is None else attrs.evolve(published, terms=ev.Terms(*terms))  # type: ignore[misc]


def _read_column(read: Callable[[Any], Any], column: Any, n: int) -> Iterator[Any]:
    if isinstance(column, dict) and 0 in column:
        return repeat(read(column[0]), n)
    return map(read, _values(column, n))


def _read(name: str, value: Any) -> Any:
    read = _READERS.get(name)
    return value if read is None else read(value)


def _values(column: Any, n: int) -> Any:
    if isinstance(column, list):
        if len(column) != n:
            msg = f"a column of {len(column)} values in a run of {n}"
            raise ValueError(msg)
        return column
    ((kind, value),) = column.items()
    if kind == 0:
        return repeat(value, n)
    if kind == 1:
        return range(value, value + n)
    msg = f"a column of the unknown kind {kind!r}"
    raise ValueError(msg)
