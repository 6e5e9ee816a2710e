"""Proofs from types: which objects of a message class are sure to arrive equal, because of the types of their values.

A proof spares most messages the slow check in `fidelity`, which decodes the payload and compares.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import types
import typing
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import attrs
import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    Proof = Callable[[Any], bool]

__all__ = ["prove"]

SURE = frozenset({int, str, float, bool, bytes, UUID, Decimal, dt.date, type(None)})
"""A value of exactly one of these types is decoded as an equal value, wherever that type is expected."""
KEYS = frozenset({int, str})
ELEMENTS = SURE - {float, Decimal}
"""Types of a set's elements. Without floats: two sets with NaN in them are not equal."""
_HOLDERS = (list, set, frozenset, tuple)
_HOOKS = ("__attrs_pre_init__", "__attrs_post_init__", "__post_init__")
"""Methods that may change an object when it is decoded."""


def prove(cls: type) -> Proof | None:
    """Return a function that proves that an object of a class arrives equal; None where the types cannot prove it.

    Where the function returns False, the object may arrive equal all the same: decode and compare it. The function may raise
    AttributeError for an object that lacks a field.
    """
    try:
        return _Prover().of_class(cls)
    except Exception:  # noqa: BLE001 - annotations that Python cannot evaluate prove nothing
        return None


class _Prover:
    """Writes one expression about the types of each class's fields; evaluating it costs less than half of encoding."""

    def __init__(self) -> None:
        self._scope: dict[str, Any] = {"map": map, "set": set, "all": all}
        self._classes: dict[type, Proof | None] = {}

    def of_class(self, cls: type) -> Proof | None:
        """See `prove`. A class that contains itself has no proof."""
        if cls not in self._classes:
            self._classes[cls] = None
            self._classes[cls] = self._make(cls)
        return self._classes[cls]

    def _make(self, cls: type) -> Proof | None:
        names = _fields(cls)
        if names is None:
            return None
        hints = typing.get_type_hints(cls, include_extras=True)
        parts = [f"x.__class__ is {self._name(cls)}"]
        for name in names:
            part = self._of(hints.get(name), f"x.{name}")
            if part is None:
                return None
            parts.append(part)
        return self._function(" and ".join(parts))

    def _of(self, hint: Any, value: str) -> str | None:
        """Return the expression that proves a value with this annotation; None where there is none."""
        while isinstance(hint, typing.NewType):
            hint = hint.__supertype__
        origin = typing.get_origin(hint)
        if hint is types.NoneType:
            return f"{value} is None"
        if origin in (typing.Union, types.UnionType):
            return self._of_union(typing.get_args(hint), value)
        if origin is not None:
            return self._of_holder(origin, typing.get_args(hint), value)
        if not isinstance(hint, type):
            return None
        if hint in SURE or (issubclass(hint, enum.Enum) and not issubclass(hint, enum.Flag)):
            return f"{value}.__class__ is {self._name(hint)}"
        if (
            hint is dt.datetime
        ):  # in UTC it may lie in another year, and there are years that have no UTC; a naive one loses its fold
            return f"({value}.__class__ is {self._name(hint)} and 1 < {value}.year < 9999 and not {value}.fold)"
        made = self.of_class(hint)
        return None if made is None else f"{self._name(made)}({value})"

    def _of_union(self, members: tuple[Any, ...], value: str) -> str | None:
        if SURE.issuperset(members):
            return f"{value}.__class__ in {self._name(frozenset(members))}"
        rest = [member for member in members if member is not types.NoneType]
        if len(rest) != 1 or len(members) != 2:  # noqa: PLR2004 - something or None
            return None
        part = self._of(rest[0], value)
        return None if part is None else f"({value} is None or {part})"

    def _of_holder(self, origin: Any, args: tuple[Any, ...], value: str) -> str | None:
        if origin is dict and args[0] in KEYS:
            values = self._all_of(args[1], f"{value}.values()")
            is_dict = f"{value}.__class__ is {self._name(dict)} and {self._all_of(args[0], value)}"
            return None if values is None else f"({is_dict} and {values})"
        if origin is tuple and args[1:] != (Ellipsis,):
            return None
        if origin in (set, frozenset) and args[0] not in ELEMENTS:
            return None
        if origin in _HOLDERS:
            elements = self._all_of(args[0], value)
            return None if elements is None else f"({value}.__class__ is {self._name(origin)} and {elements})"
        return None

    def _all_of(self, hint: Any, values: str) -> str | None:
        members = frozenset(typing.get_args(hint)) if typing.get_origin(hint) in (typing.Union, types.UnionType) else {hint}
        if SURE.issuperset(members):
            return f"{self._name(frozenset(members))}.issuperset(map({self._name(type)}, {values}))"
        part = self._of(hint, "x")
        return None if part is None else f"all(map({self._name(self._function(part))}, {values}))"

    def _function(self, expression: str) -> Proof:
        made: Proof = eval(f"lambda x: {expression}", self._scope)  # noqa: S307 - made of this module's own words and of field names only
        return made

    def _name(self, thing: Any) -> str:
        name = f"_{len(self._scope)}"
        self._scope[name] = thing
        return name


def _fields(cls: type) -> list[str] | None:
    """Return the names of a class's fields; None unless each is encoded as it is, and decoded into the same field."""
    if any(hasattr(cls, hook) for hook in _HOOKS):
        return None
    if attrs.has(cls):
        if any(field.validator is not None for field in attrs.fields(cls)):
            return None  # validators run again when the message is decoded, and the object may have changed since it was made
        made = [(field.name, field.init) for field in attrs.fields(cls)]
    elif dataclasses.is_dataclass(cls):
        made = [(field.name, field.init) for field in dataclasses.fields(cls)]
    elif issubclass(cls, msgspec.Struct):
        made = [(name, True) for name in cls.__struct_fields__]
    else:
        return None
    names = [name for name, _ in made]
    plain = all(init and name.isidentifier() and not name.startswith("_") for name, init in made)
    return names if plain else None
