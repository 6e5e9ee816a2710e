"""`lock_of`: a lock of an object that may be used in a forked child, where it is free whatever thread held it at the fork.

Locks of what ends with a fork (runs, actors, connections) need it not: no call in the child reaches them.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["lock_of"]

_owners: weakref.WeakValueDictionary[tuple[int, str, Callable[[], Any]], object] = weakref.WeakValueDictionary()
"""By the object's `id`, the attribute, and what makes the lock."""


def lock_of(owner: object, name: str, make: Callable[[], Any] = threading.Lock) -> Any:
    """Return a new lock for an attribute of an object (or of a module); a forked child gives the attribute another one.

    All other callbacks of a fork find the locks free: their modules import this one, and callbacks run in the order of their
    registration.

    Args:
        owner: it can be referred to weakly.
        name: the attribute that the caller gives the lock to.
        make: `threading.Lock`, `threading.RLock`, or `threading.Condition`.
    """
    _owners[id(owner), name, make] = owner
    return make()


def _in_a_forked_child() -> None:
    for (_, name, make), owner in list(_owners.items()):
        setattr(owner, name, make())


os.register_at_fork(after_in_child=_in_a_forked_child)
