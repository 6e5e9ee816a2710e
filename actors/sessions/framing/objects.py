"""Commands and answers as they cross to another process: each class has a number, and its fields go by position.

Only classes of the tables cross, so a peer can ask for nothing else. Every field is checked against its annotation before an
object is made of it: what a peer sends is never trusted. Frames are in `wire`; what each command may do for a peer is in `session`.
"""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Union, get_args, get_origin

import attrs
import msgspec

from perdure.actors.sessions.framing.weight import is_too_heavy
from perdure.events import errors
from perdure.events.structures.id_index import IdRun

__all__ = ["BadObject", "Objects"]

ERROR = 1
TUPLE = 2
ID_RUN = 3
INT_MAX = (1 << 63) - 1
SHAPES_MAX = 64
"""Combinations of the classes of a class's fields that are remembered: a peer may send many, and few are common."""


class BadObject(ValueError):
    """What a peer sent is no command or answer of this version."""


def _fields(kind: type) -> tuple[str, ...]:
    if hasattr(kind, "_fields"):
        return tuple(kind._fields)
    if issubclass(kind, msgspec.Struct):
        return kind.__struct_fields__
    if attrs.has(kind):
        return tuple(field.name for field in attrs.fields(kind) if field.init)
    return ()


class Objects:
    """An encoder and a decoder of the objects of some classes. Safe in any thread.

    Args:
        kinds: by number, which is never given to another class, a class, or a class with the names of its fields that cross.
        namespace: what the annotations of these classes name.
        later: classes whose last field came later; it is left out where it is None, so that an older version reads them then.
    """

    def __init__(
        self,
        kinds: Mapping[int, type | tuple[type, tuple[str, ...]]],
        namespace: Mapping[str, Any],
        later: Collection[type] = (),
    ) -> None:
        self._later = frozenset(later)
        shapes = {n: kind if isinstance(kind, tuple) else (kind, _fields(kind)) for n, kind in kinds.items()}
        self._number_of = {kind: number for number, (kind, _) in shapes.items()}
        self._fields = dict(shapes.values())
        self._make: dict[int, Callable[[list[Any]], Any]] = {
            **{number: _Maker(kind, fields, namespace).make for number, (kind, fields) in shapes.items()},
            TUPLE: tuple,
            ID_RUN: _id_run,
            ERROR: self._error_of,
        }
        """By number, what makes an object of its fields."""
        self._errors: dict[str, type[BaseException]] = {
            **{
                name: kind
                for name, kind in vars(errors).items()
                if isinstance(kind, type) and issubclass(kind, errors.PerdureError)
            },
            "ValueError": ValueError,
            "TimeoutError": TimeoutError,
        }
        self._decoder = msgspec.msgpack.Decoder(ext_hook=self._of_ext)

    def packed(self, value: Any) -> bytes:
        """Return the bytes that `object` reads.

        Raises:
            TypeError: it holds an object of a class that does not cross.
        """
        return _encode(self.plain(value))

    def plain(self, value: Any) -> Any:
        """Return a value as MessagePack has it.

        Raises:
            TypeError: it holds an object of a class that does not cross.
        """
        kind = value.__class__
        if kind in _SCALARS:
            return value
        if kind is list:
            return value if _SCALARS.issuperset(map(type, value)) else [self.plain(item) for item in value]
        if kind is dict:
            return {key: self.plain(item) for key, item in value.items()}
        number = self._number_of.get(kind)
        if number is not None:
            fields = [getattr(value, name) for name in self._fields[kind]]
            if kind in self._later and fields[-1] is None:
                fields.pop()
            return _ext(number, [field if field.__class__ in _SCALARS else self.plain(field) for field in fields])
        if kind is tuple:
            return _ext(TUPLE, [self.plain(item) for item in value])
        if kind is IdRun:
            return _ext(ID_RUN, [value.prefix, value.start, value.n])
        if isinstance(value, Exception):
            return self.error(value)
        msg = f"{kind.__qualname__} does not cross to another process"
        raise TypeError(msg)

    def error(self, error: BaseException) -> Any:
        """Return an error as MessagePack has it; one that is not perdure's as a plain `PerdureError` with its text."""
        name = error.__class__.__name__
        if self._errors.get(name) is not error.__class__:
            return _ext(ERROR, ["PerdureError", f"{name}: {error}"])
        return _ext(ERROR, [name, *map(self._argument, error.args)])

    @staticmethod
    def _argument(value: Any) -> Any:
        if value.__class__ is tuple:
            return _ext(TUPLE, [str(item) for item in value])
        return value if value.__class__ in _SCALARS else str(value)

    def object(self, raw: bytes) -> Any:
        """Return what bytes of `plain` stand for.

        Raises:
            BadObject: they are of no class of the table, or a field is not what its annotation says.
        """
        if raw == NIL:
            return None  # of most answers
        if is_too_heavy(raw):
            msg = f"{len(raw):,} bytes in more parts than are taken here"
            raise BadObject(msg)
        try:
            return self._decoder.decode(raw)
        except BadObject:
            raise
        except (msgspec.DecodeError, TypeError, ValueError, RecursionError) as error:
            raise BadObject(str(error)) from error

    def _of_ext(self, number: int, data: memoryview) -> Any:
        elements = self._decoder.decode(data)
        if elements.__class__ is not list:
            msg = "an object without fields"
            raise BadObject(msg)
        make = self._make.get(number)
        if make is None:
            msg = f"an object of the unknown class {number}"
            raise BadObject(msg)
        return make(elements)

    def _error_of(self, elements: list[Any]) -> BaseException:
        if not elements or not isinstance(elements[0], str):
            msg = "an error without a name"
            raise BadObject(msg)
        name, *args = elements
        kind = self._errors.get(name, errors.PerdureError)
        try:
            error: BaseException = kind(*args)
        except TypeError:
            error = errors.PerdureError(f"{name}: {args}")
        return error


_SCALARS = frozenset({type(None), bool, int, float, str, bytes})
_encode = msgspec.msgpack.Encoder().encode
NIL = _encode(None)


def _ext(number: int, elements: list[Any]) -> msgspec.msgpack.Ext:
    return msgspec.msgpack.Ext(number, _encode(elements))


def _id_run(elements: list[Any]) -> IdRun:
    if [*map(type, elements)] == [str, int, int]:
        prefix, start, n = elements
        if len(prefix) <= 64 and 0 <= start <= INT_MAX and 0 <= n <= 1 << 20:  # noqa: PLR2004 - what is made here is not longer
            return IdRun(prefix, start, n)
    msg = "a malformed run of ids"
    raise BadObject(msg)


class _Maker:
    """Makes objects of one class of plain fields, each checked against its annotation."""

    def __init__(self, kind: type, fields: tuple[str, ...], namespace: Mapping[str, Any]) -> None:
        self._kind: Callable[..., Any] = kind
        annotations = {
            name: hint for base in reversed(kind.__mro__) for name, hint in vars(base).get("__annotations__", {}).items()
        }
        self._fields = fields
        hints = [_evaluated(annotations[name], {**namespace, kind.__name__: kind}) for name in fields]
        self._checks = [(_sure_of(hint), _check_of(hint)) for hint in hints]
        """For each field: the classes of which any object will do, and what checks all others."""
        self._left: dict[tuple[type, ...], tuple[tuple[int, Callable[[Any], bool]], ...]] = {}
        """By the classes of all fields, which have to be checked and how: found out once for each that comes."""
        self._takes_positions = fields == getattr(kind, "__match_args__", ())[: len(fields)]

    def make(self, elements: list[Any]) -> Any:
        """Make one; fields that are missing at the end have their defaults.

        Raises:
            BadObject: there are too many, or one is not what it should be.
        """
        if len(elements) > len(self._checks):
            msg = f"{self._kind.__qualname__}: {len(elements)} fields, of {len(self._checks)}"
            raise BadObject(msg)
        classes = tuple(map(type, elements))
        left = self._left.get(classes)
        if left is None:
            left = self._left_of(classes)
        for i, holds in left:
            element = elements[i]
            if not holds(element):
                shown = (
                    element if element.__class__ in (int, float, bool) else type(element).__name__
                )  # else it may be of any length
                msg = f"{self._kind.__qualname__}.{self._fields[i]}: not {shown}"
                raise BadObject(msg)
        if self._takes_positions:
            return self._kind(*elements)
        return self._kind(**dict(zip(self._fields, elements, strict=False)))

    def _left_of(self, classes: tuple[type, ...]) -> tuple[tuple[int, Callable[[Any], bool]], ...]:
        """Return the places of the fields of which the class does not say enough, with what checks them."""
        found = tuple(
            (i, holds) for i, (kind, (sure, holds)) in enumerate(zip(classes, self._checks, strict=False)) if kind not in sure
        )
        if len(self._left) < SHAPES_MAX:
            self._left[classes] = found
        return found


def _evaluated(hint: Any, namespace: Mapping[str, Any]) -> Any:
    """Return an annotation as an object: these classes have it as text, and import what it names for checkers only."""
    if isinstance(hint, typing.ForwardRef):
        hint = hint.__forward_arg__
    return eval(hint, dict(namespace)) if isinstance(hint, str) else hint  # noqa: S307 - our own source


_CHECKS: dict[Any, Callable[[Any], bool]] = {
    Any: lambda _: True,
    None: lambda value: value is None,
    float: lambda value: value.__class__ in (int, float) and math.isfinite(value),
    int: lambda value: value.__class__ is int and -INT_MAX <= value <= INT_MAX,
}


def _sure_of(hint: Any) -> frozenset[type]:
    """Return the classes of which an annotation takes every object: a look at the class is enough, where `_check_of` is a call."""
    if get_origin(hint) in (Union, types.UnionType):
        return frozenset().union(*map(_sure_of, get_args(hint)))
    if hint is None:
        return frozenset({type(None)})
    return frozenset({hint}) if isinstance(hint, type) and get_origin(hint) is None and hint not in _CHECKS else frozenset()


def _check_of(hint: Any) -> Callable[[Any], bool]:
    """Return the function that returns whether a value conforms to an annotation."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        checks = [_check_of(arg) for arg in args]
        return lambda value: any(check(value) for check in checks)
    if origin is typing.Literal:
        return lambda value: value in args
    if origin in (list, tuple, Sequence, Iterable):
        return _check_of_many(origin, args)
    if origin in (dict, Mapping):
        key, item = _check_of(args[0]), _check_of(args[1])
        return lambda value: value.__class__ is dict and all(key(k) and item(v) for k, v in value.items())
    if hint in _CHECKS:
        return _CHECKS[hint]
    if not isinstance(hint, type):
        msg = f"no check for the annotation {hint!r}"
        raise TypeError(msg)
    return (lambda value: value.__class__ is hint) if hint in _SCALARS else (lambda value: isinstance(value, hint))


def _check_of_many(origin: Any, args: tuple[Any, ...]) -> Callable[[Any], bool]:
    """As `_check_of`, of a list, a tuple, or any sequence."""
    if origin is tuple and args[1:] != (...,):
        each = [_check_of(arg) for arg in args]
        return lambda value: (
            isinstance(value, tuple) and len(value) == len(each) and all(holds(v) for holds, v in zip(each, value, strict=True))
        )
    item = _check_of(args[0])
    kinds = {list: list, tuple: tuple}.get(origin, (list, tuple, IdRun))
    if args[0] in (str, bytes):  # often many
        only = {args[0]}
        return lambda value: isinstance(value, kinds) and (value.__class__ is IdRun or set(map(type, value)) <= only)
    return lambda value: isinstance(value, kinds) and (value.__class__ is IdRun or all(map(item, value)))
