"""The formats of an export, one class each: rows in, bytes of a file out, in pieces of bounded size."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, get_args

import msgspec

from perdure.events.errors import PerdureError
from perdure.operations.exporting.rows import COLUMNS

if TYPE_CHECKING:
    from typing import BinaryIO

    from perdure.operations.exporting.rows import Row

__all__ = ["FORMATS", "Format", "Writer", "writer_of"]

Format: TypeAlias = Literal["jsonl", "csv", "parquet", "cloudevents"]
FORMATS: tuple[Format, ...] = get_args(Format)
PIECE_ROWS = 10_000
PIECE_BYTES = 8 << 20
"""Rows of a Parquet file are gathered into groups of about this size."""


class Writer(Protocol):
    """Writes rows into an open file."""

    def write(self, row: Row) -> None:
        """Write a row."""

    def end(self) -> None:
        """Write what is left, and the end of the file."""


def writer_of(kind: Format, file: BinaryIO, source: str) -> Writer:
    """Return what writes a format into an open file; `source` names the log.

    Raises:
        PerdureError: the format needs a package that is not installed.
    """
    match kind:
        case "csv":
            return _Csv(file)
        case "parquet":
            return _Parquet(file)
        case "cloudevents":
            return _CloudEvents(file, source)
    return _JsonLines(file)


class _JsonLines:
    """An object for each event, one a line."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, row: Row) -> None:
        self._file.write(
            msgspec.json.encode(
                {
                    "seq": row.seq,
                    "at": row.time,
                    "event": row.event,
                    "actor": row.actor,
                    "message_id": row.message_id,
                    "type": row.type,
                    "key": row.key,
                    "attempt": row.attempt,
                    "data": row.data,
                }
            )
            + b"\n"
        )

    def end(self) -> None:
        pass


class _CloudEvents:
    """CloudEvents 1.0 in structured JSON, one a line."""

    def __init__(self, file: BinaryIO, source: str) -> None:
        self._file = file
        self._source = f"urn:perdure:{source}"

    def write(self, row: Row) -> None:
        event: dict[str, Any] = {
            "specversion": "1.0",
            "id": str(row.seq),
            "source": self._source,
            "type": f"perdure.{row.event}",
            "time": row.time,
            "sequence": f"{row.seq:020d}",  # compared as text, as the extension says
            "datacontenttype": "application/json",
            "data": {**row.data, "type": row.type} if row.type else row.data,
        }
        if row.message_id:
            event["subject"] = row.message_id
        self._file.write(msgspec.json.encode(event) + b"\n")

    def end(self) -> None:
        pass


class _Csv:
    """A table with a heading, as RFC 4180 has it; the fields of an event are JSON in the last column."""

    def __init__(self, file: BinaryIO) -> None:
        self._text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
        self._rows = csv.writer(self._text)
        self._rows.writerow(COLUMNS)

    def write(self, row: Row) -> None:
        self._rows.writerow(
            (row.seq, row.time, row.event, row.actor, row.message_id, row.type, row.key, row.attempt, row.json.decode())
        )

    def end(self) -> None:
        self._text.detach()  # the file stays open


class _Parquet:
    """A Parquet file; the fields of an event are JSON in the last column."""

    def __init__(self, file: BinaryIO) -> None:
        try:
            import pyarrow as pa  # noqa: PLC0415 - an extra
            import pyarrow.parquet as pq  # noqa: PLC0415 - as above
        except ImportError as error:
            raise PerdureError("a Parquet file needs the package pyarrow: pip install 'perdure[parquet]'") from error
        self._pa: Any = pa
        short = pa.dictionary(pa.int32(), pa.string())
        fields = [("seq", pa.int64()), ("at", pa.timestamp("us", tz="UTC")), ("event", short), ("actor", short)]
        fields += [
            ("message_id", pa.string()),
            ("type", short),
            ("key", pa.string()),
            ("attempt", pa.int64()),
            ("data", pa.string()),
        ]
        self._schema = pa.schema(fields)
        self._out: Any = pq.ParquetWriter(file, self._schema, compression="zstd")
        self._clear()

    def write(self, row: Row) -> None:
        data = row.json.decode()
        values = (row.seq, row.at, row.event, row.actor, row.message_id, row.type, row.key, row.attempt, data)
        for column, value in zip(self._columns, values, strict=True):
            column.append(value)
        self._bytes += len(data)
        if len(self._columns[0]) >= PIECE_ROWS or self._bytes >= PIECE_BYTES:
            self._flush()

    def end(self) -> None:
        self._flush()
        self._out.close()

    def _flush(self) -> None:
        if self._columns[0]:
            arrays = [self._pa.array(column, field.type) for column, field in zip(self._columns, self._schema, strict=True)]
            self._out.write_table(self._pa.Table.from_arrays(arrays, schema=self._schema))
        self._clear()

    def _clear(self) -> None:
        self._columns: list[list[Any]] = [[] for _ in COLUMNS]
        self._bytes = 0
