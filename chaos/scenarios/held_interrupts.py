"""Hold SIGINT and SIGTERM back while code runs that must not be interrupted, and deliver them where that is safe.

A signal handler that raises does so between any two instructions. In the middle of `concurrent.futures` that leaves a lock held
for which the pool's own thread waits, and the process hangs at its exit.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["held_interrupts"]

HELD = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def held_interrupts() -> Iterator[Callable[[], None]]:
    """Hold the signals back within the block; yields a function that delivers one that came to its own handler.

    What came last is delivered at the end of the block too. Outside of the main thread, where no signal arrives, it does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    came: list[tuple[int, Any]] = []
    before = {number: signal.signal(number, lambda n, frame: came.append((n, frame))) for number in HELD}

    def deliver() -> None:
        if came:
            number, frame = came.pop()
            came.clear()
            handler = before[signal.Signals(number)]
            if callable(handler):
                handler(number, frame)
            elif handler == signal.SIG_DFL:
                signal.signal(number, handler)
                signal.raise_signal(number)

    try:
        yield deliver
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        deliver()
