"""`all_locks_held`: a moment at which other threads hold all locks that objects of this library have, for tests of forks."""

from __future__ import annotations

import contextlib
import gc
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

LOCKS: Any = (type(threading.Lock()), type(threading.RLock()))


def _names_of(one: object) -> set[str]:
    names: set[str] = set()
    for kind in type(one).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        names.update((slots,) if isinstance(slots, str) else slots)
    with contextlib.suppress(TypeError):
        names.update(vars(one))
    return names


def _locks() -> list[Any]:
    """Return the locks that are attributes of modules and objects of this library, or of their events and conditions."""
    found: dict[int, Any] = {}

    def look(value: object) -> None:
        if isinstance(value, LOCKS):
            found[id(value)] = value
        elif isinstance(value, threading.Event | threading.Condition):
            for part in vars(value).values():
                look(part)

    for name, module in list(sys.modules.items()):
        if name.startswith("perdure"):
            for value in list(vars(module).values()):
                look(value)
    for one in gc.get_objects():
        if str(getattr(type(one), "__module__", "")).startswith("perdure"):
            for name in _names_of(one):
                with contextlib.suppress(AttributeError):
                    look(object.__getattribute__(one, name))
    return list(found.values())


@contextlib.contextmanager
def all_locks_held() -> Iterator[int]:
    """Hold all locks that are free, in another thread, as if a fork came in the middle of what each protects; yield how many."""
    taken, over = threading.Event(), threading.Event()
    held: list[Any] = []

    def hold() -> None:
        held.extend(lock for lock in _locks() if lock.acquire(blocking=False))
        taken.set()
        over.wait()
        for lock in held:
            lock.release()

    holder = threading.Thread(target=hold)
    holder.start()
    taken.wait()
    try:
        yield len(held)
    finally:
        over.set()
        holder.join()
