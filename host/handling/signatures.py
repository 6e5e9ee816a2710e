"""How a handler is called, read from its signature when it is registered; a handler that could not be called is refused there.

Nothing is called here. `dependencies` puts message, context and services together for a call.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import types
import typing
from typing import TYPE_CHECKING, Any

import attrs

from perdure.actors.workers.context import Batch, BatchItem, Context
from perdure.events.errors import InvalidMessage
from perdure.events.seconds import shown
from perdure.handling.recurring.schedules import Tick
from perdure.payloads.type_names import name_of

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Signature", "check_hook", "label_of", "read"]

CONTEXT_NAMES = frozenset({"ctx", "context"})
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_NONE = inspect.Parameter.empty
_UNKNOWN: Any = object()
"""Stands for an annotation that is missing or cannot be evaluated."""


@attrs.frozen
class Signature:
    """How to call a handler."""

    is_async: bool
    """Whether it is known to be a coroutine function. Another function may still return an awaitable."""
    arguments: int
    """How many of (message, context) are passed by position."""
    context_name: str | None
    """The keyword for the context, if it is not passed by position."""
    services: dict[str, type]
    """The services that it asks for, by keyword."""


def label_of(handler: Any) -> str:
    """Return a handler's name for people: its module and qualified name."""
    if isinstance(handler, functools.partial):
        return f"functools.partial of {label_of(handler.func)}"
    name = getattr(handler, "__qualname__", None)
    if not isinstance(name, str):
        kind = type(handler)
        return f"an object of {kind.__module__}.{kind.__qualname__}"
    module = getattr(handler, "__module__", None)
    return f"{module}.{name}" if module else name


def read(handler: Any, takes: int, message_type: type | None) -> Signature:
    """Return how to call a handler: a function, a bound method, an object with `__call__`, or a class with a method `handle`.

    Args:
        handler: the function, object or class that the host registers.
        takes: 2 for (message, context), 1 for a batch alone.
        message_type: the type for which it is registered.

    Raises:
        InvalidMessage: it could not be called with what the system passes; names the parameter that is wrong, and what to write.
    """
    if not callable(handler):
        msg = f"handler: a function or a class, not {shown(handler)}"
        raise InvalidMessage(msg)
    label = label_of(handler)
    call, parameters = _own(handler, label)
    _check_runs(call, label)
    shape = _Shape(label, "(batch)" if takes == 1 else "(message, context)", call, parameters)
    expected = Batch if takes == 1 else message_type
    shape.check_first(expected, takes)
    arguments, context_name, used = shape.context(takes, handler)
    services: dict[str, type] = {}
    if inspect.isclass(handler):
        shape.refuse(p for p in shape.required if p.name not in used)
        made = _parameters(handler)
        services = _Shape(label, "services", handler.__init__, made).services(made)
    else:
        services = shape.services([p for p in shape.required if p.name not in used])
    return Signature(_is_async(call), arguments, context_name, services)


def check_hook(hook: Any) -> None:
    """Check that a start or stop hook can be called without arguments.

    Raises:
        InvalidMessage: it takes parameters, or calling it would not run its code.
    """
    label = label_of(hook)
    if not callable(hook):
        msg = f"hook: a function without parameters, plain or `async def`, not {shown(hook)}"
        raise InvalidMessage(msg)
    _check_runs(hook, label)
    if any(p.default is _NONE and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in _parameters(hook, ())):
        msg = f"hook: {label} takes parameters, and a hook is called without any"
        raise InvalidMessage(msg)


def _own(handler: Any, label: str) -> tuple[Any, list[inspect.Parameter]]:
    """Return the function that takes the message, and its parameters without its own object."""
    if not inspect.isclass(handler):
        return handler, _parameters(handler)
    call = getattr(handler, "handle", None)
    if call is None:
        msg = f"handler: the class {label} has no method `handle(message, context)`"
        raise InvalidMessage(msg)
    if not callable(call):
        msg = f"handler: `handle` of the class {label} is {call!r}; make it a method `handle(self, message, context)`"
        raise InvalidMessage(msg)
    bound = isinstance(inspect.getattr_static(handler, "handle"), (staticmethod, classmethod))
    parameters = _parameters(call)
    return call, parameters if bound else parameters[1:]


def _parameters(call: Any, unknown: tuple[str, ...] = ("message", "context")) -> list[inspect.Parameter]:
    """Return a callable's parameters; those of a decorator's wrapper, unless the wrapper takes `*args` and passes them on."""
    try:
        own = list(inspect.signature(call, follow_wrapped=False).parameters.values())
        if hasattr(call, "__wrapped__") and any(p.kind is p.VAR_POSITIONAL for p in own):
            return list(inspect.signature(call).parameters.values())
    except (TypeError, ValueError):  # some callables written in C have no signature; they get message and context
        with contextlib.suppress(TypeError, ValueError):
            if hasattr(call, "__wrapped__"):  # `functools.lru_cache` is one, and passes on what it gets
                return list(inspect.signature(call).parameters.values())
        return [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in unknown]
    return own


def _target(call: Any) -> Any:
    """Return the function that runs when this is called."""
    while isinstance(call, functools.partial):
        call = call.func
    if inspect.isroutine(call) or inspect.isclass(call):
        return call
    return getattr(type(call), "__call__", call)  # noqa: B004 - what runs is the class's


def _is_async(call: Any) -> bool:
    return inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(_target(call))


def _check_runs(call: Any, label: str) -> None:
    target = _target(call)
    flags = getattr(getattr(target, "__code__", None), "co_flags", 0)
    if flags & inspect.CO_ITERABLE_COROUTINE:
        return  # `types.coroutine`: what it makes can be awaited
    if inspect.isgeneratorfunction(target) or inspect.isasyncgenfunction(target):
        msg = (
            f"handler: {label} has a `yield`, so calling it runs nothing: it makes a generator, which nothing iterates over. "
            "Write a function without `yield`; publish more with `context.publish(...)`."
        )
        raise InvalidMessage(msg)


class _Shape:
    """The parameters of one callable, and the checks of them."""

    def __init__(self, label: str, wanted: str, call: Any, parameters: list[inspect.Parameter]) -> None:
        self.label = label
        self.wanted = wanted
        self.positional = [p for p in parameters if p.kind in _POSITIONAL]
        self.named = [p for p in parameters if p.kind is p.KEYWORD_ONLY]
        self.takes_any = any(p.kind is p.VAR_POSITIONAL for p in parameters)
        self.required = [p for p in [*self.positional, *self.named] if p.default is _NONE]
        function = inspect.unwrap(_target(call))
        self.scope: dict[str, Any] = getattr(getattr(function, "__func__", function), "__globals__", {})

    def error(self, problem: str) -> InvalidMessage:
        return InvalidMessage(f"handler: {self.label} {problem}; a handler is called with {self.wanted}")

    def annotation(self, parameter: inspect.Parameter) -> Any:
        """Return what a parameter is annotated with, or `_UNKNOWN`."""
        wanted = parameter.annotation
        if isinstance(wanted, str):
            try:
                wanted = eval(wanted, self.scope)  # noqa: S307 - the host's own annotation, as `typing.get_type_hints` would
            except Exception:  # noqa: BLE001 - a name for type checkers only, or one of a function's own
                return _UNKNOWN
        return _UNKNOWN if wanted is _NONE else wanted

    def check_first(self, expected: type | None, takes: int) -> None:
        """Refuse a handler whose first parameter cannot take the message, or the batch."""
        if not self.positional:
            if self.takes_any:
                return
            msg = "takes no argument for the message" if takes > 1 else "takes no argument for the batch"
            raise self.error(msg)
        first = self.positional[0]
        if first.name in ("self", "cls") and first.annotation is _NONE:
            msg = f"takes {first.name!r} first: it is a method without its object, register that of an object, or the class"
            raise self.error(msg)
        wanted = self.annotation(first)
        if takes > 1 and (_is_context(wanted) or (wanted is _UNKNOWN and _is_context_name(first.name))):
            what = "tick" if expected is Tick else "message"
            msg = f"takes the context first, as {first.name!r}: the {what} comes first, then the context"
            raise self.error(msg)
        if expected is not None and not _fits(wanted, expected):
            msg = f"takes {first.name!r} as {_shown(wanted)}, but gets {expected.__qualname__}: it is registered for another type"
            if takes == 1:
                msg = f"takes {first.name!r} as {_shown(wanted)}, but gets a perdure.Batch, whose `.messages` are the messages"
            raise self.error(msg)

    def context(self, takes: int, handler: Any) -> tuple[int, str | None, set[str]]:
        """Return how many arguments go by position, the keyword of the context, and the names of the parameters so filled."""
        first = {p.name for p in self.positional[:1]}
        if takes == 1:
            return 1, None, first
        second = self.positional[1] if len(self.positional) > 1 else None
        if second is None:
            if self.takes_any:
                return 2, None, first
        elif second.default is _NONE or self._means_context(second):
            wanted = self.annotation(second)
            if wanted is not _UNKNOWN and not _may_be_context(wanted):
                msg = f"takes {second.name!r} as {_shown(wanted)} in second place, where the context comes"
                raise self.error(msg)
            return 2, None, first | {second.name}
        fixed = handler.keywords if isinstance(handler, functools.partial) else {}
        for parameter in [*self.positional[2:], *self.named]:
            if parameter.kind is parameter.POSITIONAL_ONLY or parameter.name in fixed:
                continue
            if self._means_context(parameter):
                return 1, parameter.name, first | {parameter.name}
        return 1, None, first

    def _means_context(self, parameter: inspect.Parameter) -> bool:
        wanted = self.annotation(parameter)
        return _is_context(wanted) or (_is_context_name(parameter.name) and (wanted is _UNKNOWN or _may_be_context(wanted)))

    def refuse(self, parameters: Iterable[inspect.Parameter]) -> None:
        """Refuse parameters that no argument fills."""
        for parameter in parameters:
            msg = f"takes {parameter.name!r}, for which there is no argument (services go to the class's `__init__`)"
            raise self.error(msg)

    def services(self, parameters: Iterable[inspect.Parameter]) -> dict[str, type]:
        """Return the services for which parameters without a default ask, by name."""
        needs: dict[str, type] = {}
        for parameter in parameters:
            if parameter.default is not _NONE or parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
                continue
            wanted = self.annotation(parameter)
            if wanted is _UNKNOWN and isinstance(parameter.annotation, str):
                msg = f"asks for {parameter.name}: {parameter.annotation}, which cannot be found in its module"
                raise self.error(msg)
            if not isinstance(wanted, type) or wanted is Any:
                msg = f"takes {parameter.name!r}, which names no service by its annotation"
                raise self.error(msg)
            if parameter.kind is parameter.POSITIONAL_ONLY:
                msg = f"takes the service {parameter.name!r} by its place only; services are given by name"
                raise self.error(msg)
            needs[parameter.name] = wanted
        return needs


def _is_context_name(name: str) -> bool:
    return name.strip("_") in CONTEXT_NAMES


def _choices(wanted: Any) -> tuple[Any, ...]:
    """Return the types that an annotation allows: the members of a union, the type inside `Annotated`, else itself."""
    origin = typing.get_origin(wanted)
    if origin is typing.Annotated:
        return _choices(typing.get_args(wanted)[0])
    if origin in (typing.Union, types.UnionType):
        return tuple(choice for member in typing.get_args(wanted) for choice in _choices(member))
    return (wanted,)


def _is_context(wanted: Any) -> bool:
    """Return whether an annotation names the context and nothing else."""
    kinds = [kind for kind in _choices(wanted) if kind is not type(None)]
    return bool(kinds) and all(isinstance(kind, type) and issubclass(kind, Context) for kind in kinds)


def _may_be_context(wanted: Any) -> bool:
    return any(_takes(kind, Context) or _takes(kind, BatchItem) for kind in _choices(wanted))


def _fits(wanted: Any, expected: type) -> bool:
    return wanted is _UNKNOWN or any(_takes(kind, expected) for kind in _choices(wanted))


def _takes(kind: Any, expected: type) -> bool:
    """Return whether an annotation allows an object of this class; True where that cannot be decided."""
    if kind is Any:
        return True  # a class in Python 3.11
    if kind is type(None) or kind is None:
        return expected is type(None)
    origin = typing.get_origin(kind) or kind
    if not isinstance(origin, type) or getattr(origin, "_is_protocol", False):
        return True  # a type variable, a NewType, a protocol: for type checkers
    if (expected, origin) in ((int, float), (int, complex), (float, complex)):
        return True
    try:
        return issubclass(expected, origin) or _same_name(origin, expected)
    except TypeError:
        return True


def _same_name(one: type, other: type) -> bool:
    """Return whether two classes are one class loaded twice, as in a notebook."""
    try:
        return name_of(one) == name_of(other)
    except InvalidMessage:
        return False


def _shown(wanted: Any) -> str:
    return wanted.__qualname__ if isinstance(wanted, type) else str(wanted)
