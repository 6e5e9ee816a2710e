"""What wakes a thread that waits for sockets: a pipe that any thread may write to."""

from __future__ import annotations

import contextlib
import os

from perdure.events.errors import StoreUnavailable
from perdure.store.disk.advice import with_advice

__all__ = ["Bell", "Silence"]


class Bell:
    """Rung in any thread, heard in one. Its pipe is closed once nothing can ring it any more.

    Raises:
        StoreUnavailable: this process has no descriptors left.
    """

    _out = _in = -1

    def __init__(self) -> None:
        try:
            self._out, self._in = os.pipe()
        except OSError as error:
            msg = f"no pipe can be made: {with_advice(error)}."
            raise StoreUnavailable(msg) from error
        os.set_blocking(self._out, False)
        os.set_blocking(self._in, False)
        self._is_rung = False

    def fileno(self) -> int:
        """Return the descriptor that is readable when it was rung."""
        return self._out

    def ring(self) -> None:
        """Wake the thread that hears; does not block."""
        if not self._is_rung:
            self._is_rung = True
            with contextlib.suppress(OSError):  # full: it was rung often enough
                os.write(self._in, b"\0")

    def hear(self) -> None:
        """Be ready for the next ring; what was left for the thread before this is to be looked at after it."""
        with contextlib.suppress(OSError):
            os.read(self._out, 4096)
        self._is_rung = False

    def __del__(self) -> None:
        """Close the pipe, if there is one."""
        if self._out >= 0:
            os.close(self._out)
            os.close(self._in)


class Silence:
    """In place of a bell that nothing hears any more: its pipe is closed once the last call of `ring` has returned."""

    def ring(self) -> None:
        """Do nothing."""
