"""`Departed`: processes that had checked something out, perhaps, and whose connection has ended. For the server's thread alone.

A connection may end though its process lives: one that connects again within a second keeps what it has.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Set as AbstractSet

__all__ = ["Departed", "is_gone"]

RETURN_S = 1.0
"""How long a process that lives, or of which that is not known, has to connect again."""


class Departed:
    """Judges each process that has left, until it is gone or back.

    Args:
        gone: called with the origin of a process that has died, or has not come back in time.
    """

    def __init__(self, gone: Callable[[str], None]) -> None:
        self._gone = gone
        self._left: dict[str, tuple[int, float]] = {}
        """By origin, its pid (0: not known here), and until when it may come back."""

    def left(self, origin: str, pid: int, now_s: float) -> None:
        """Note that the connection of a process has ended."""
        if origin:
            self._left[origin] = (pid, now_s + RETURN_S)

    def back(self, origin: str) -> None:
        """Note that a process is connected."""
        self._left.pop(origin, None)

    @property
    def waited_for(self) -> AbstractSet[str]:
        """The origins of the processes that are neither gone nor back."""
        return self._left.keys()

    def report_gone(self, now_s: float) -> None:
        """Report those that are gone. Called several times a second."""
        for origin, (pid, until_s) in list(self._left.items()):
            if now_s >= until_s or is_gone(pid):
                del self._left[origin]
                self._gone(origin)


def is_gone(pid: int) -> bool:
    """Return whether a process is known to have ended; one that only waits for its parent to take note has."""
    if pid <= 0:
        return False
    with contextlib.suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
