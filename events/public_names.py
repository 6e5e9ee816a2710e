"""The names under which users know the classes of perdure: `perdure.X`, whichever module defines X.

Records, tracebacks, `repr` and pickles name a class by its `__module__`. So a renamed module changes none of them.
Not here: which names are public; that is `perdure.__all__`.
"""

from __future__ import annotations

import re
import typing
from typing import Any, TypeVar

__all__ = ["public", "with_public_names"]

T = TypeVar("T")

_RECORDED = re.compile(r"\bperdure(?:\.[a-z_]+)+\.([A-Z]\w*)")
_RECORDED_NAMES = frozenset(
    {
        "Cancelled",
        "DuplicateKey",
        "FolderMoved",
        "HandlerFailed",
        "HistoryDropped",
        "InvalidMessage",
        "LeaseLost",
        "LoopDied",
        "NotRunning",
        "PayloadTooLarge",
        "PerdureError",
        "ProcessDied",
        "PublishTimeout",
        "QueueFull",
        "Reject",
        "Retry",
        "StoreCorrupt",
        "StoreLocked",
        "StoreUnavailable",
        "UnknownMessage",
        "UnknownMessageType",
        "WouldDeadlock",
    }
)
"""Exceptions that older versions put on record under the module that defined them."""


def public(named: T) -> T:
    """Give a class or function the module `perdure`. As a decorator it stands above all others.

    Annotations are evaluated first, as they name things of the defining module. Where one cannot be evaluated at run time, all stay
    as they are.
    """
    thing: Any = named
    if isinstance(thing, type) and "__annotations__" in vars(thing):
        try:
            hints = typing.get_type_hints(thing, include_extras=True)
        except NameError:
            hints = {}
        thing.__annotations__ = {name: hints.get(name, hint) for name, hint in vars(thing)["__annotations__"].items()}
    thing.__module__ = "perdure"
    return named


def with_public_names(text: str) -> str:
    """Return a recorded text with today's names of perdure's exceptions: older versions recorded the defining module's."""
    return _RECORDED.sub(_public_name, text) if "perdure." in text else text


def _public_name(found: re.Match[str]) -> str:
    name = found[1]
    return f"perdure.{name}" if name in _RECORDED_NAMES else found[0]
