"""What a worker and its child process agree on: how handlers, messages and what becomes of them are packed, and one signal.

By cloudpickle, so that what stands in the host's main script travels too. Who sends what is in `process` and `process_child`.
"""

from __future__ import annotations

import io
import signal
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
import msgspec

__all__ = ["CANCEL_SIGNAL", "pack"]

CANCEL_SIGNAL = signal.SIGUSR1
"""Sent to a child: the message it is at was cancelled."""

MSGSPEC_CACHE = "__msgspec_cache__"
"""What msgspec notes in an attrs class or dataclass that it has decoded; it cannot be pickled, and is made anew when missed."""


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Leaves msgspec's notes out of the classes that are packed whole, because no module of theirs can be imported."""

    def reducer_override(self, obj: Any) -> Any:
        """Give what an object is to be made of again; see `pickle.Pickler.reducer_override`."""
        reduced = super().reducer_override(obj)
        if not isinstance(obj, type) or not isinstance(reduced, tuple):
            return reduced  # no class, or one that is packed as the place where it can be imported
        if issubclass(obj, msgspec.Struct):
            msg = f"the struct {obj.__qualname__} cannot travel to another process from {obj.__module__}: move it into a module"
            raise TypeError(msg)  # packed whole it would lose its fields, and be told as a wrong call of its class
        if MSGSPEC_CACHE in vars(obj):
            members, _slots = reduced[2]
            members.pop(MSGSPEC_CACHE, None)
        return reduced


def pack(value: Any) -> bytes:
    """Give the bytes of which `pickle.loads` makes the value again, in another process too.

    Raises:
        Whatever the value's own pickling does; TypeError or `pickle.PicklingError` for what cannot be pickled at all.
    """
    buffer = io.BytesIO()
    _Pickler(buffer).dump(value)
    return buffer.getvalue()
