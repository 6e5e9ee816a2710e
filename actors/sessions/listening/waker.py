"""What wakes a thread that waits for sockets: a pipe that any thread may write to."""

from __future__ import annotations

import contextlib
import os

from perdure.events.errors import StoreUnavailable
from perdure.store.disk.advice import with_advice

__all__ = ["NoWaker", "Waker"]

_SUPPRESSED = contextlib.suppress(OSError)
"""Made once, as each answer to a peer wakes a thread. Safe in several threads: it has no state."""


class Waker:
    """Wakes one thread, from any other. Its pipe is closed once nothing can wake it any more.

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
        self._is_awake = False

    def fileno(self) -> int:
        """Return the descriptor that is readable once `wake` was called."""
        return self._out

    def wake(self) -> None:
        """Wake the thread; does not block."""
        if not self._is_awake:
            self._is_awake = True
            with _SUPPRESSED:  # full: it was woken often enough
                os.write(self._in, b"\0")

    def clear(self) -> None:
        """Be ready for the next call of `wake`. What was left for the thread before this call is to be looked at after it."""
        with _SUPPRESSED:  # nothing was written
            os.read(self._out, 4096)
        self._is_awake = False

    def clear_if_woken(self) -> None:
        """As `clear`, at no cost where nothing has called `wake`; also where what did was killed before anything was readable."""
        if self._is_awake:
            self.clear()

    def __del__(self) -> None:
        """Close the pipe, if there is one."""
        if self._out >= 0:
            os.close(self._out)
            os.close(self._in)


class NoWaker:
    """In place of a waker whose thread has ended: its pipe is closed once the last call of `wake` has returned."""

    def wake(self) -> None:
        """Do nothing."""
