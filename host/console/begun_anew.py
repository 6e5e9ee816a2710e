"""`begins_anew`: has a part of the console begin anew in a forked child: its threads are gone, and may have held its locks.

What a part had read may be half folded there, so it is read again.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol

from perdure.store.disk.each_alone import FORKED, call_each

__all__ = ["begins_anew"]


class Part(Protocol):
    """A part of a console that is used in several threads."""

    def begin_anew(self) -> None:
        """Forget what threads were doing, and make locks that are free. Called when it is made, and in a forked child."""


_parts: weakref.WeakSet[Part] = weakref.WeakSet()


def begins_anew(part: Part) -> None:
    """Have a part begin, now and in each forked child."""
    part.begin_anew()
    _parts.add(part)


def _in_a_forked_child() -> None:
    call_each(list(_parts), lambda part: part.begin_anew(), FORKED)


os.register_at_fork(after_in_child=_in_a_forked_child)
