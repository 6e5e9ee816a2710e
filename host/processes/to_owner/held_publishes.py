"""Publishes that wait until the owner has taken in what this process spooled before them, so that they keep their order.

An owner reads the spool when it starts. What is spooled after that, and before its welcome is here, it finds a moment later; and so
it does what was spooled beside it while it was silent. No file and no clock here: `exchange`, of which this is a part, is told the
time, and `spooling` knows which files are left.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from perdure.actors.requests.submit_batch import SubmitBatch
from perdure.events.commands import Publish

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.actors.requests.request import Request

__all__ = ["SPOOL_HELD_S", "HeldPublishes"]

SPOOL_HELD_S = 5.0
"""How long they wait at most: an owner whose backlog is full takes nothing in, and files may be there that it cannot read."""
LOOK_S = 0.02
"""How often it is looked whether the files are gone."""


class HeldPublishes:
    """Used by the thread that makes frames, but for `note_spooled`."""

    def __init__(self) -> None:
        self.is_on = False
        """Something was spooled, and is not known to be taken in: publishes are held instead of being sent."""
        self.is_left: Callable[[], bool] = lambda: False
        """Tells whether a file of this process is left."""
        self._requests: deque[Request] = deque()
        self._since_s: float | None = None
        self._look_s = 0.0

    def __len__(self) -> int:
        """Return how many are held."""
        return len(self._requests)

    def note_spooled(self) -> None:
        """Note that something was spooled. In any thread."""
        self.is_on = True

    def hold(self, request: Request) -> bool:
        """Hold a request behind those that are held, if it is a publish and they are to wait; return whether it is held."""
        if not self.is_on or not isinstance(request.command, (Publish, SubmitBatch)):
            return False
        self._requests.append(request)
        return True

    def begin(self) -> None:
        """The owner is lost: what has no answer is put in line anew for the next one."""
        self._requests.clear()
        self._since_s, self._look_s = None, 0.0

    def is_due(self, now_s: float) -> bool:
        """Return whether to look again for the sake of what is held."""
        return bool(self._requests) and now_s >= self._look_s

    def look(self, now_s: float) -> bool:
        """Look whether the owner has taken all in, or has had its time; then `is_on` ends.

        Return whether the owner is to be told that something is left: once.
        """
        if now_s < self._look_s:
            return False
        self._look_s = now_s + LOOK_S
        is_first = self._since_s is None
        if self._since_s is None:
            self._since_s = now_s
        self.is_on = False  # first: something may be spooled from here on
        if now_s < self._since_s + SPOOL_HELD_S and self.is_left():
            self.is_on = True
            return is_first
        self._since_s, self._look_s = None, 0.0
        return False

    def take(self) -> list[Request]:
        """Return what was held, in its order; it is held no more."""
        taken = [*self._requests]
        self._requests.clear()
        return taken
