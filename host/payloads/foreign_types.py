"""Types that msgspec does not know: pydantic models, at the top or inside others, and paths.

msgspec itself knows attrs, dataclasses, its structs, dates, UUIDs and so on; the codec is in `codecs`.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import inspect
import sys
from functools import lru_cache
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, get_origin

import attrs
import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "Undecorated",
    "decode_hook",
    "dump_model",
    "encode_hook",
    "is_model",
    "model_reader",
    "undecodable_parts",
    "undecorated",
]

PLAIN = (dict, list, str, int, float, bool, bytes, type(None))
"""The types of untyped data after decoding."""
VALUES = {
    str: "`str.__str__(value)`",  # `str(value)` of Django's SafeString is one again
    float: "`float(value)`",
    int: "`int(value)`",
    bytes: "`bytes(value)`",
    dt.datetime: "as `value.to_pydatetime()` of pandas",
    dt.date: "`datetime.date(value.year, value.month, value.day)`",
    dt.time: "`datetime.time`",
    dt.timedelta: "as `value.to_pytimedelta()` of pandas",
}
"""Values of which libraries have classes of their own, and how to get one that no library needs."""


def is_model(cls: Any) -> bool:
    """Return whether a class is one of pydantic's models."""
    return hasattr(cls, "model_validate") and hasattr(cls, "model_dump")


def dump_model(model: Any) -> Any:
    """Return a pydantic model as plain data, of which `model_reader` makes an equal model, if one can be made.

    Fields have their own names, not their aliases, where pydantic can read these. Excluded fields and secrets are missing.
    """
    cls: Any = type(model)
    return model.model_dump(mode="json", by_alias=not _reads_names(cls), round_trip=True, warnings=False)


@lru_cache(maxsize=1024)
def _reads_names(cls: Any) -> bool:
    """Return whether a model can be made from its fields' own names in spite of aliases; from pydantic 2.11 on."""
    return "by_name" in inspect.signature(cls.model_validate).parameters


@lru_cache(maxsize=1024)
def model_reader(cls: Any) -> Callable[[Any], Any]:
    """Return a function that makes a model of plain data, also of data with aliases, as an older version wrote them."""
    if getattr(cls, "__pydantic_complete__", True) is False:
        cls.model_rebuild()
    validate = cls.model_validate
    by_name = {"by_alias": False, "by_name": True} if _reads_names(cls) else {}

    def read(plain: Any) -> Any:
        try:
            return validate(plain, **by_name)
        except ValueError as error:
            first = error
        try:  # from JSON, and only from JSON, a strict model takes a date as text
            return cls.model_validate_json(msgspec.json.encode(plain), **by_name)
        except (ValueError, TypeError):
            pass
        if by_name:
            try:
                return validate(plain)
            except ValueError:
                pass
        raise first

    return read


class Undecorated(TypeError):
    """A class lacks the decorator that says which fields it has, or is a library's own one of values; the text says what to do."""


def encode_hook(value: Any) -> Any:
    """Return plain data for a value that msgspec does not know.

    Raises:
        TypeError: the type is unknown.
    """
    if isinstance(value, PurePath):
        return str(value)
    if is_model(type(value)):
        return dump_model(value)
    kind = type(value)
    if why := undecorated(kind):
        raise Undecorated(f"there is no plain data for {kind.__module__}.{kind.__qualname__}: {why}")
    msg = f"there is no plain data for {kind.__module__}.{kind.__qualname__}"
    raise TypeError(msg)


def decode_hook(cls: type, plain: Any) -> Any:
    """Return an object of a class that msgspec does not know.

    Raises:
        ValueError, TypeError: these data do not fit the class.
    """
    cls = get_origin(cls) or cls
    if issubclass(cls, PurePath):
        return cls(plain)
    if is_model(cls):
        return model_reader(cls)(plain)
    if isinstance(plain, cls):  # `object`, `Hashable` and the like
        return plain
    msg = f"Expected `{cls.__qualname__}`, got `{type(plain).__qualname__}`"
    raise TypeError(msg)


def undecorated(cls: Any) -> str:
    """Return what a class lacks, where that is the decorator that says which fields it has; else an empty text.

    Of a class of values (NumPy's numbers, Django's SafeString) it is how to get a plain value.
    """
    if not isinstance(cls, type) or cls.__module__.partition(".")[0] in sys.stdlib_module_names or is_model(cls):
        return ""
    fields = vars(cls)
    if attrs.has(cls):
        if "__attrs_attrs__" in fields:
            return ""
        return "the class is no attrs class itself, only the one it inherits from; decorate it too, with @attrs.frozen"
    if dataclasses.is_dataclass(cls):
        if "__dataclass_fields__" in fields:
            return ""
        return "the class is no dataclass itself, only the one it inherits from; decorate it too, with @dataclass"
    if is_value := _of_values(cls):
        return is_value
    if issubclass(cls, BaseException) or inspect.isabstract(cls) or getattr(cls, "_is_protocol", False):
        return ""
    return "nothing says which fields it has; decorate it with @attrs.frozen (or @dataclass), and declare them as `name: type`"


def _of_values(cls: type) -> str:
    """Return how to get a plain value of a class of a library's own; an empty text where it is none of values."""
    if hasattr(cls, "tolist"):  # of NumPy, and what is made like it
        return "it is no type of Python's own; `value.tolist()` gives the plain value, or a list of plain values"
    found = next(((base, way) for base, way in VALUES.items() if issubclass(cls, base)), None)
    return "" if found is None else f"it is a subclass of {found[0].__name__}; give a plain {found[0].__name__}, {found[1]}"


def _can_be(cls: Any) -> bool:
    """Return whether any data can become an object of a class that msgspec does not know."""
    try:
        return issubclass(cls, PurePath) or is_model(cls) or any(issubclass(kind, cls) for kind in PLAIN)
    except TypeError:
        return False


def undecodable_parts(cls: type) -> Iterator[tuple[str, Any]]:
    """Yield the parts of a class that cannot be decoded from any data: the path of each, and its type."""
    if not is_model(cls):
        yield from _walk(msgspec.inspect.type_info(cls), "", set())


def _walk(node: Any, path: str, seen: set[Any]) -> Iterator[tuple[str, Any]]:
    if isinstance(node, msgspec.inspect.CustomType):
        if not _can_be(node.cls):
            yield path, node.cls
        return
    fields = getattr(node, "fields", None)
    if isinstance(fields, tuple):
        cls = getattr(node, "cls", node)
        if cls in seen:
            return
        seen.add(cls)
        if attrs.has(cls) and "__attrs_attrs__" not in vars(cls):
            yield path, cls  # its data can be read, but its objects cannot be written
            return
        for field in fields:
            yield from _walk(field.type, f"{path}.{field.name}" if path else field.name, seen)
    for name in ("item_type", "key_type", "value_type"):
        if (inner := getattr(node, name, None)) is not None:
            yield from _walk(inner, path, seen)
    for name in ("types", "item_types"):
        for inner in getattr(node, name, ()):
            yield from _walk(inner, path, seen)
