"""`begins_anew`: resets a part of the console in each forked child, where its threads are gone and its locks may still be held.

A part may have been in the middle of a fold, so it reads the log again.
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
        """Discard the state of threads and create new locks. Called when the part is made, and in each forked child."""


_parts: weakref.WeakSet[Part] = weakref.WeakSet()


def begins_anew(part: Part) -> None:
    """Call `begin_anew` of a part, now and in each forked child."""
    part.begin_anew()
    _parts.add(part)


def _in_a_forked_child() -> None:
    call_each(list(_parts), lambda part: part.begin_anew(), FORKED)


os.register_at_fork(after_in_child=_in_a_forked_child)
