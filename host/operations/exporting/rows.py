"""An event of the log as plain values: the columns of every export, and all fields of the event as JSON.

Payloads are decoded as plain MessagePack; other bytes, and what no text can hold, become base64.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import attrs
import msgspec

from perdure.payloads.codecs import MessagePack

if TYPE_CHECKING:
    import datetime as dt

    from perdure.operations.reading.record import Record

__all__ = ["COLUMNS", "Row", "row_of"]

COLUMNS = ("seq", "at", "event", "actor", "message_id", "type", "key", "attempt", "data")


@attrs.frozen
class Row:
    """One event."""

    seq: int
    at: dt.datetime
    event: str
    actor: str
    message_id: str | None
    type: str | None
    """The type of its message, or of the handler that it is about."""
    key: str | None
    attempt: int | None
    data: dict[str, Any]
    """All fields of the event that are not empty, as JSON knows them."""

    @property
    def json(self) -> bytes:
        """The fields of the event as JSON."""
        return msgspec.json.encode(self.data)

    @property
    def time(self) -> str:
        """The time as RFC 3339 has it, in UTC."""
        return f"{self.at:%Y-%m-%dT%H:%M:%S.%f}Z"


def row_of(record: Record, kind: str | None) -> Row:
    """Return the row of an event; `kind` is the type of its message."""
    kind_of_event: Any = type(record.event)
    fields: dict[str, Any] = {
        field.name: _plain(value)
        for field in attrs.fields(kind_of_event)
        if (value := getattr(record.event, field.name)) is not None and value not in ("", (), [], {})
    }
    published = fields.get("published", fields)

    def text(name: str) -> str | None:
        found = published.get(name, fields.get(name))
        return found if isinstance(found, str) else None

    return Row(
        seq=record.seq,
        at=record.at,
        event=record.name,
        actor=record.actor,
        message_id=record.message_id,
        type=kind or text("type"),
        key=text("key"),
        attempt=found if isinstance(found := fields.get("attempt"), int) else None,
        data=_readable(fields),
    )


def _readable(fields: dict[str, Any]) -> dict[str, Any]:
    """Return fields with the payload of the message in them decoded."""
    if isinstance(payload := fields.get("payload"), bytes):
        fields = {**fields, "payload": _decoded(payload)}
    if isinstance(published := fields.get("published"), dict):
        fields = {**fields, "published": _readable(published)}
    plain: dict[str, Any] = _as_json(fields)
    return plain


def _plain(value: Any) -> Any:
    return attrs.asdict(value, filter=lambda _, found: found is not None and found != "") if attrs.has(type(value)) else value


def _decoded(payload: bytes) -> Any:
    try:
        return MessagePack().decode(payload, None)
    except (ValueError, TypeError, RecursionError):  # another codec's
        return payload


def _as_json(value: Any) -> Any:
    """Return a value as JSON holds it, whatever the host has put into a payload."""
    if isinstance(value, dict):
        return {key if isinstance(key, str) else str(key): _as_json(found) for key, found in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_as_json(one) for one in value]
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"base64": base64.b64encode(value).decode("ascii")}
    if attrs.has(type(value)):
        return _as_json(attrs.asdict(value, recurse=False))
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):  # noqa: PLR0124 - not a number
        return str(value)
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")  # a lone surrogate has no bytes
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return str(value)
