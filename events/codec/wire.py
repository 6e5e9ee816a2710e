"""The bytes of events: MessagePack, a column for each field, a stable tag for each event class.

Not here: compression, checksums and files (`store/format`). No class path is ever written or looked up.

A frame's body is an array of batches, one for each decision pass: `[at_us, [run, ...]]`. A run holds consecutive events of
one class: `[tag, version, n, column, ...]`, columns in the order of the class's fields; last columns that hold only
defaults are left out. A column is an array of n values, or `{0: value}` for n equal ones, or `{1: start}` for start, start + 1,
..., or `{2: [prefix, start]}` for ids in a row. Columns are fast in Python (C code gathers and
spreads each) and small once compressed; the events of plain messages are never anything else (`runs`). Rows of an older version go
through `upcast`.
"""

from __future__ import annotations

from itertools import groupby, repeat, takewhile
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import attrs
import msgspec

from perdure.events import vocabulary as ev
from perdure.events.codec.upcast import OLD_FIELDS, upcast
from perdure.events.errors import StoreCorrupt, StoreUnavailable
from perdure.events.runs import CompletedRun, LeasedRun, PublishedRun, Run, expand
from perdure.events.structures.id_index import IdRun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["NOT_OURS", "Batch", "decode", "decode_rows", "decode_runs", "encode", "encode_rows"]

Batch = tuple[int, list[ev.Event]]
"""(at_us, events): when one decision pass decided which events."""

NOT_OURS = (
    msgspec.DecodeError,
    TypeError,
    ValueError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    RecursionError,
)
"""What may be raised while bytes are read that `encode` did not write."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder()


def _fields(cls: type) -> tuple[str, ...]:
    return tuple(field.name for field in attrs.fields(cls))


_PUBLISHED_FIELDS = _fields(ev.Published)
_published_row = attrgetter(*_PUBLISHED_FIELDS)
_FIRST_PUBLISHED_FIELDS = _PUBLISHED_FIELDS.index("subject")
"""Fields that a `Published` within another event always has; those that came later are left out where they are empty."""

# How fields that are not plain values are written and read.
_WRITERS: dict[str, Callable[[Any], Any]] = {"published": lambda event: _without_empty_end(_published_row(event))}
_READERS: dict[str, Callable[[Any], Any]] = {
    "published": lambda row: _published(*row),
    "failures": lambda rows: [_row(ev.FailureNote, row) for row in rows],
    "extras": lambda row: None if row is None else _row(ev.Extras, row),
}


def _without_empty_end(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the row of a `Published`, as an older version has it where nothing newer is in it."""
    end = len(row)
    while end > _FIRST_PUBLISHED_FIELDS and row[end - 1] is None:
        end -= 1
    return row[:end]


def _gatherers(cls: type) -> list[Callable[[Any], Any]]:
    made: list[Callable[[Any], Any]] = []
    for name in _fields(cls):
        get = attrgetter(name)
        write = _WRITERS.get(name)
        made.append(get if write is None else _composed(get, write))
    return made


def _composed(get: Callable[[Any], Any], write: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda event: write(get(event))


def _row_getter(cls: type) -> Callable[[Any], Sequence[Any]]:
    """Return a function of an event that returns the values of its fields, as they are written."""
    names = _fields(cls)
    if len(names) > 1 and _WRITERS.keys().isdisjoint(names):
        return attrgetter(*names)
    gatherers = _gatherers(cls)
    return lambda event: [gather(event) for gather in gatherers]


_GATHER = {cls: _gatherers(cls) for cls in ev.VOCABULARY.values()}
_ROW = {cls: _row_getter(cls) for cls in ev.VOCABULARY.values()}
_SPREAD = {cls: [_READERS.get(name) for name in _fields(cls)] for cls in ev.VOCABULARY.values()}
_PUBLISHED_READS = [(i, read) for i, read in enumerate(_SPREAD[ev.Published]) if read is not None]
_FIRST_READ = min(i for i, _ in _PUBLISHED_READS)
"""Of a `Published` within another event: the position of the first field that is not written as it is."""


_TRAILING = {
    cls: [
        field.default
        for field in takewhile(
            lambda field: field.default is not attrs.NOTHING and not isinstance(field.default, attrs.Factory),  # type: ignore[arg-type]  # attrs types it as a function
            reversed(ev.fields_of(cls)),
        )
    ]
    for cls in ev.VOCABULARY.values()
}
"""By class: the defaults of its last fields, in reverse order."""


def encode(batches: Sequence[Batch]) -> bytes:
    """Return the bytes of the batches of one frame."""
    return _encoder.encode([[at_us, _columns(events)] for at_us, events in batches])


def _columns(events: Sequence[ev.Event]) -> list[list[Any]]:
    columns: list[list[Any]] = []
    cls: type[ev.Event]
    for cls, run in groupby(events, type):
        if issubclass(cls, Run):
            columns += map(_of_run, run)
        else:
            columns.append(_run(cls, list(run)))
    return columns


def _of_run(run: Any) -> list[Any]:
    """Return the columns of a run, which are those of its events."""
    event_class, n = run.EVENT, len(run)
    match run:
        case PublishedRun(number, type_name, ids, payloads):
            plain_ids = {2: [ids.prefix, ids.start]} if type(ids) is IdRun else ids
            own = [{1: number}, plain_ids, {0: type_name}, _column(payloads, n)]
        case LeasedRun(numbers, until_us, retries, prefetched):
            own = [{1: numbers[0]}, {0: 1}, {0: until_us}, {0: retries}, {0: ""}, {0: prefetched}]
        case _:
            numbers = run.numbers
            own = [_column(numbers if isinstance(numbers, list) else list(numbers), n), {0: 1}]
    return [event_class.TAG, event_class.VERSION, n, *own]


def encode_rows(events: Sequence[ev.Event]) -> list[Any]:
    """Return events of one class as one run of plain values, for a snapshot."""
    return _run(type(events[0]), list(events)) if events else []


def _one(event: ev.Event) -> list[Any]:
    """Return one event as a run, faster than as columns: of a message that is published by itself, this is what is written."""
    cls = event.__class__
    row = _ROW[cls](event)
    end = len(row)
    for default in _TRAILING[cls]:
        if row[end - 1] != default:
            break
        end -= 1
    return [cls.TAG, cls.VERSION, 1, *[[value] for value in row[:end]]]


def _run(cls: type[ev.Event], events: list[ev.Event]) -> list[Any]:
    n = len(events)
    if n == 1:
        return _one(events[0])
    columns = [list(map(gather, events)) for gather in _GATHER[cls]]
    for default in _TRAILING[cls]:
        if columns[-1].count(default) < n:
            break
        columns.pop()
    return [cls.TAG, cls.VERSION, n, *(_column(column, n) for column in columns)]


def _column(values: list[Any], n: int) -> Any:
    first = values[0]
    if values[-1] == first:
        return {0: first} if values.count(first) == n else values
    if type(first) is int and values[-1] == first + n - 1 and values == list(range(first, first + n)):
        return {1: first}
    return values


def decode(body: bytes, events_count: int) -> list[Batch]:
    """Return the batches of a frame's body, which must hold exactly `events_count` events, one by one.

    Raises:
        As `decode_runs`.
    """
    return [(at_us, expand(events)) for at_us, events in decode_runs(body, events_count)]


def decode_runs(body: bytes, events_count: int) -> list[Batch]:
    """Return the batches of a frame's body, which must hold exactly `events_count` events; those of plain messages come in runs.

    Raises:
        StoreCorrupt: the body is not what `encode` writes; memory taken stays within a small multiple of the body.
        StoreUnavailable: it holds events of a newer perdure.
    """
    try:
        batches = _decoder.decode(body)
        # Counted before anything is built: a constant column takes a few bytes, whatever length it claims.
        claimed = sum(run[2] for _, runs in batches for run in runs)
        if claimed != events_count or any(run[2] < 1 for _, runs in batches for run in runs):
            msg = f"the frame claims {events_count} events and its body {claimed}"
            raise StoreCorrupt(msg)
        return [(int(at_us), [event for run in runs for event in _read_run(run)]) for at_us, runs in batches]
    except NOT_OURS as error:
        msg = f"the events of a frame cannot be decoded: {error}"
        raise StoreCorrupt(msg) from error


def _read_run(run: list[Any]) -> list[ev.Event]:
    tag, version, n, *columns = run
    if n > 1 and version == 1:
        match tag, columns:
            case ev.Published.TAG, [{1: int(number)}, ids, {0: str(type_name)}, payloads]:
                if isinstance(ids, dict):
                    ids = _id_run(ids, n)
                payloads = list(_values(payloads, n))
                if len(ids) == n and set(map(type, payloads)) == {bytes} and (type(ids) is IdRun or set(map(type, ids)) == {str}):
                    return [PublishedRun(number, type_name, ids, payloads)]
            case ev.Leased.TAG, [{1: int(number)}, {0: 1}, {0: int(until_us)}, {0: int(retries)}, *rest]:
                if rest in ([], [{0: ""}], [{0: ""}, {0: True}], [{0: ""}, {0: False}]):
                    return [LeasedRun(range(number, number + n), until_us, retries, rest[1:] == [{0: True}])]
            case ev.Completed.TAG, [numbers, {0: 1}]:
                numbers = list(_values(numbers, n))
                if set(map(type, numbers)) == {int}:
                    return [CompletedRun(numbers)]
    return decode_rows(run)


def _id_run(column: dict[int, Any], n: int) -> Sequence[str]:
    ((kind, value),) = column.items()
    if kind == 2:  # noqa: PLR2004 - see the docstring of this module
        prefix, start = value
        if type(prefix) is str and type(start) is int and start >= 0:
            return IdRun(prefix, start, n)
    return list(_values(column, n))


def decode_rows(run: list[Any]) -> list[ev.Event]:
    """Return the events of one run.

    Raises:
        StoreUnavailable: its tag or version belongs to a newer perdure.
        TypeError, ValueError, KeyError, IndexError: it is not what `encode` writes.
    """
    if not run:
        return []
    tag, version, n, *columns = run
    cls = ev.VOCABULARY.get(tag)
    if cls is None or version > cls.VERSION or (version == cls.VERSION and len(columns) > len(_SPREAD[cls])):
        raise _newer(f"events (tag {tag}, version {version})")
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


def _newer(what: str) -> StoreUnavailable:
    msg = (
        f"the log holds {what} that this version of perdure does not know; it was written by a newer one. Upgrade perdure, or open "
        "another folder."
    )
    return StoreUnavailable(msg)


def _row(cls: Any, row: Sequence[Any]) -> Any:
    """Return a value that is a row of its own within an event. Raises StoreUnavailable where it has more fields than are known."""
    if len(row) > len(cls._fields):
        raise _newer(f"{cls.__name__} of {len(row)} fields")
    return cls(*row)


def _published(*row: Any) -> ev.Published:
    n = len(row)
    if n > len(_PUBLISHED_FIELDS):
        raise _newer(f"Published of {n} fields")
    if n > _FIRST_READ:
        values = list(row)
        for i, read in _PUBLISHED_READS:
            if i < n:
                values[i] = read(values[i])
        return ev.Published(*values)
    return ev.Published(*row)


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
    if kind == 2:  # noqa: PLR2004 - see the docstring of this module
        return IdRun(str(value[0]), int(value[1]), n)
    msg = f"a column of the unknown kind {kind!r}"
    raise ValueError(msg)
