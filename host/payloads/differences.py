"""Where two objects differ, field by field and element by element, whatever their classes say about equality.

`fidelity` compares with it what was published with what its handler would get, and decides which messages need that.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import attrs
import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Difference", "difference"]

MISSING = type("MISSING", (), {"__repr__": lambda _self: "nothing"})()
"""Stands for a field that an object does not have."""
SHOWN_MAX = 80
_EXACT = frozenset({int, str, bytes, bool, type(None)})
"""Equal values of one of these classes are the same in every respect."""


class Difference(NamedTuple):
    """The first place where two objects differ; `path` is empty for the objects themselves."""

    path: str
    was: Any
    becomes: Any

    def __str__(self) -> str:
        """Return the difference as the end of a sentence."""
        where = self.path.removeprefix(".") or "it"
        was, becomes = _shown(self.was), _shown(self.becomes)
        if was == becomes:
            return f"{where} is {was}, and what would arrive only looks the same (secrets, for one, are written as asterisks)"
        return f"{where} is {was}, and would arrive as {becomes}"


def difference(a: Any, b: Any, path: str = "") -> Difference | None:
    """Return the first place where two objects differ, or None.

    Numbers are compared by value, datetimes by the instant, and NaN equals NaN. Objects of attrs classes, dataclasses, msgspec
    structs, pydantic models and named tuples differ if their classes do, and else by their fields.

    Raises:
        RecursionError: the objects are nested more deeply than Python's stack allows.
    """
    if a is b:
        return None
    if a.__class__ is b.__class__ and a.__class__ in _EXACT:
        return None if a == b else Difference(path, a, b)
    parts = _parts(a)
    if parts is not None:
        if type(a) is not type(b):
            return Difference(path, a, b)
        return _of_parts(parts, b, path)
    if isinstance(a, dict) and isinstance(b, dict):
        return _of_mappings(a, b, path)
    if isinstance(a, (list, tuple)) and isinstance(b, list if isinstance(a, list) else tuple):
        return _of_sequences(a, b, path)
    return None if _is_equal(a, b) else Difference(path, a, b)


def _parts(value: Any) -> Iterator[tuple[str, Any]] | None:
    """Return the names and values of an object's fields; None if its class has no fields."""
    cls = type(value)
    fields: Iterable[str]
    if attrs.has(cls):
        # A field that is neither an argument nor compared is a cache, as its author declared.
        fields = [field.name for field in attrs.fields(cls) if field.init or field.eq]
    elif dataclasses.is_dataclass(cls):
        fields = [field.name for field in dataclasses.fields(cls) if field.init or field.compare]
    elif isinstance(value, msgspec.Struct):
        fields = value.__struct_fields__
    elif hasattr(cls, "__pydantic_fields__") and hasattr(cls, "model_dump"):
        fields = [*cls.__pydantic_fields__, "__pydantic_extra__", "__pydantic_private__"]
    elif isinstance(value, tuple) and hasattr(cls, "_fields"):
        fields = cls._fields
    else:
        return None
    return ((name, getattr(value, name, MISSING)) for name in fields)


def _of_parts(parts: Iterator[tuple[str, Any]], b: Any, path: str) -> Difference | None:
    for name, part in parts:
        found = difference(part, getattr(b, name, MISSING), f"{path}.{name}")
        if found is not None:
            return found
    return None


def _of_mappings(a: dict[Any, Any], b: dict[Any, Any], path: str) -> Difference | None:
    if len(a) != len(b):
        return Difference(path, a, b)
    kinds = {key: key.__class__ for key in b}
    for key, value in a.items():
        if kinds.get(key) is not key.__class__ and not (key in kinds and isinstance(key, kinds[key])):
            return Difference(path, a, b)
        found = difference(value, b[key], f"{path}[{_shown(key)}]")
        if found is not None:
            return found
    return None


def _of_sequences(a: Any, b: Any, path: str) -> Difference | None:
    if len(a) != len(b):
        return Difference(path, a, b)
    for i, (x, y) in enumerate(zip(a, b, strict=True)):
        found = difference(x, y, f"{path}[{i}]")
        if found is not None:
            return found
    return None


def _is_equal(a: Any, b: Any) -> bool:
    if isinstance(a, bool) is not isinstance(b, bool):
        return False
    if isinstance(a, (dt.datetime, dt.time)) and isinstance(b, (dt.datetime, dt.time)):
        if (a.tzinfo is None) is not (b.tzinfo is None):
            return False  # `==` takes a time of a zone for one without: a zone has no offset where there is no date
        if a.utcoffset() is None and a.fold != b.fold:
            return False  # `==` ignores it, and it says which of the two hours of autumn is meant
        if isinstance(a, dt.datetime) and isinstance(b, dt.datetime) and None not in (a.utcoffset(), b.utcoffset()):
            return a.astimezone(dt.UTC) == b.astimezone(dt.UTC)  # `==` is false for the hour that comes twice (PEP 495)
    if isinstance(a, float) and isinstance(b, float) and math.isnan(a):
        return math.isnan(b)
    if isinstance(a, Decimal) and isinstance(b, Decimal) and a.is_nan():
        return str(a) == str(b)
    return bool(a == b)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN_MAX else f"{text[:SHOWN_MAX]}... ({type(value).__qualname__})"
