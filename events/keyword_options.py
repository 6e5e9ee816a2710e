"""Keyword options that are declared once, as a `TypedDict`, and shown by every function that takes them.

Type checkers and editors read `**options: Unpack[...]`; `help()` and `inspect.signature` read what `shows` puts beside it. Nothing
is added to a call. The error text for an unknown option is here too. The options of a publish are in `publish_options`, those of
a handler in `perdure.handling.options.handler_options`.
"""

from __future__ import annotations

import difflib
import inspect
import re
from functools import wraps
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, cast, get_args, get_origin

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

__all__ = ["keyword_options", "no_such_option", "shows", "tells_misspelt", "tells_misspelt_fields"]

F = TypeVar("F", bound="Callable[..., Any]")
T = TypeVar("T")
FIRST = ("key", "id", "parallelism")
"""Shown first, as they are used most; all others in the order of their declaration."""


def no_such_option(call: str, name: str, known: Collection[str], elsewhere: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return the error text for an unknown option: its name, the most similar known one, and all known ones.

    Args:
        call: the name of the function that got it.
        name: the unknown option.
        known: the options that the function takes.
        elsewhere: options of other functions that may be meant, each with the name of its function.
    """
    close = difflib.get_close_matches(name, [*known, *elsewhere], n=1)
    of = f" of {elsewhere[close[0]]}" if close and close[0] not in known else ""
    meant = f", did you mean {close[0]!r}{of}?" if close else "."
    return f"{call}: there is no option {name!r}{meant} There are: {', '.join(sorted(known))}."


def keyword_options(function: Callable[..., Any]) -> list[str]:
    """Return the names of the keyword options that a function's signature shows."""
    return [name for name, parameter in inspect.signature(function).parameters.items() if parameter.kind is parameter.KEYWORD_ONLY]


def tells_misspelt(call: str) -> Callable[[F], F]:
    """Return a decorator: an unknown option of the function raises TypeError that suggests the most similar known one.

    CPython suggests one from 3.13 on. It costs a call more, so it is for functions that are called a few times in a process.
    """

    def tell(function: F) -> F:
        known = {name: None for name in inspect.signature(function).parameters if name != "self"}

        @wraps(function)
        def checked(*args: Any, **options: Any) -> Any:
            if unknown := options.keys() - known.keys():
                raise TypeError(no_such_option(call, min(unknown), known))
            return function(*args, **options)

        return cast("F", checked)

    return tell


def tells_misspelt_fields(cls: type[T]) -> type[T]:
    """As `tells_misspelt`, for a class whose `__init__` attrs has made."""
    made: Any = cls
    made.__init__ = tells_misspelt(cls.__name__)(made.__init__)
    return cls


class _Annotation(str):
    """The text of an annotation, which a signature shows without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def shows(*options: Any, defaults: Mapping[str, Any]) -> Callable[[F], F]:
    """Return a decorator that lists keyword options by name in a function's signature, in place of its `**options`.

    Args:
        options: the `TypedDict` that the function unpacks; several, where overloads take different ones.
        defaults: by option, where it is not None.
    """
    kinds = {name: kind for declared in reversed(options) for name, kind in declared.__annotations__.items()}
    named = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=defaults.get(name), annotation=_text(kind))
        for name, kind in kinds.items()
    ]
    named.sort(key=lambda parameter: FIRST.index(parameter.name) if parameter.name in FIRST else len(FIRST))

    def show(function: F) -> F:
        own = inspect.signature(function)
        kept = [
            parameter.replace(annotation=_text(parameter.annotation))
            for parameter in own.parameters.values()
            if parameter.kind is not parameter.VAR_KEYWORD
        ]
        shown: Any = function
        shown.__signature__ = own.replace(parameters=[*kept, *named], return_annotation=_text(own.return_annotation))
        return function

    return show


def _text(annotation: Any) -> Any:
    """Return an annotation as it stands in the code: what `Annotated` adds, and the modules of its names, are left out."""
    if get_origin(annotation) is Annotated:
        kind = get_args(annotation)[0]
        text = kind.__name__ if isinstance(kind, type) else re.sub(r"\b(?:\w+\.)+(?=\w)", "", repr(kind))
    else:
        text = getattr(annotation, "__forward_arg__", annotation)
    return _Annotation(text) if isinstance(text, str) else text
