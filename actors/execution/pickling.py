"""What a worker and its child process agree on: how handlers, messages and outcomes are pickled, and one signal.

By cloudpickle, so that code of the host's main script travels too. Which end sends what is in `child_process` and `child_main`.
"""

from __future__ import annotations

import io
import pickle
import signal
from typing import Any

import cloudpickle
import msgspec

__all__ = ["CANCEL_SIGNAL", "ProcessError", "kind_name", "pack", "rebuilt", "sendable"]

CANCEL_SIGNAL = signal.SIGUSR1
"""Sent to a child: the message it is at was cancelled."""

MSGSPEC_CACHE = "__msgspec_cache__"
"""What msgspec notes in an attrs class or dataclass that it has decoded; it cannot be pickled, and is made anew when missed."""


class _Pickler(cloudpickle.Pickler):
    """Leaves msgspec's notes out of the classes that are packed whole, because no module of theirs can be imported."""

    def reducer_override(self, obj: Any) -> Any:
        """Return how to make an object again; see `pickle.Pickler.reducer_override`."""
        reduced = super().reducer_override(obj)
        if not isinstance(obj, type) or not isinstance(reduced, tuple):
            return reduced  # no class, or one that is packed as the place where it can be imported
        if issubclass(obj, msgspec.Struct):
            msg = f"the struct {obj.__qualname__} cannot travel to another process from {obj.__module__}: move it into a module"
            raise TypeError(msg)  # packed whole it would lose its fields, and fail as a wrong call of its class
        if MSGSPEC_CACHE in vars(obj):
            members, _slots = reduced[2]
            members.pop(MSGSPEC_CACHE, None)
        return reduced


def pack(value: Any) -> bytes:
    """Return the bytes of which `pickle.loads` makes the value again, in another process too.

    Raises:
        Whatever the value's own pickling does; TypeError or `pickle.PicklingError` for what cannot be pickled at all.
    """
    buffer = io.BytesIO()
    _Pickler(buffer).dump(value)
    return buffer.getvalue()


class ProcessError(RuntimeError):
    """An exception of a process handler whose class cannot travel to its parent; `kinds` are the names of what it was."""

    def __init__(self, text: str, kinds: tuple[str, ...]) -> None:
        super().__init__(f"{kinds[0]}: {text}" if kinds else text)
        self.text = text
        self.kinds = kinds

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how to make it again."""
        return type(self), (self.text, self.kinds)

    def is_one_of(self, kinds: tuple[type[BaseException], ...]) -> bool:
        """Return whether the exception was of one of these classes."""
        return any(kind_name(kind) in self.kinds for kind in kinds)


def kind_name(kind: type) -> str:
    """Return an exception class's name as it stands on record: of a class inside perdure, that of its nearest public base."""
    if str(kind.__module__).startswith("perdure."):  # a class may say None
        kind = next((base for base in kind.__mro__ if base.__module__ == "perdure"), kind)
    return kind.__qualname__ if kind.__module__ in ("builtins", None) else f"{kind.__module__}.{kind.__qualname__}"


def sendable(value: Any) -> Any:
    """Return a value, or its repr where it cannot be pickled and read back."""
    try:
        pickle.loads(pack(value))  # noqa: S301 - our own bytes
    except Exception:  # noqa: BLE001 - foreign code
        try:
            return repr(value)
        except Exception as error:  # noqa: BLE001 - as above
            return f"a {type(value).__qualname__} whose repr raised {type(error).__qualname__}"
    return value


def rebuilt(kind: type[BaseException], args: tuple[Any, ...], state: dict[str, Any]) -> BaseException:
    """Make an exception again without its `__init__`, which may want other arguments than those that it passed on."""
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error
