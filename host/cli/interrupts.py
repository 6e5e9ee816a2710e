"""Signals that end a command: SIGTERM interrupts it as SIGINT does, and neither is lost.

Not here: what a command prints when it is interrupted (`progress`).
"""

from __future__ import annotations

import _thread
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["Terminated", "interrupt_on_sigterm"]

AGAIN_S = 0.01
"""Seconds after which a signal whose exception was lost is delivered again: the code that swallowed it has ended by then."""


class Terminated(KeyboardInterrupt):
    """SIGTERM ended the command; handled as SIGINT is, with an exit status of its own."""


def interrupt_on_sigterm() -> None:
    """Make SIGTERM interrupt the main thread as SIGINT does. To be called in the main thread.

    A signal arrives at any instruction of the main thread. Where that is in a callback of a weak reference, in a `__del__` or in a
    callback of the garbage collector, CPython prints what is raised there, and goes on: the signal is delivered again then.
    """

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise Terminated

    signal.signal(signal.SIGTERM, interrupt)
    before = sys.unraisablehook

    def lost(what: sys.UnraisableHookArgs) -> None:
        is_interrupt = isinstance(what.exc_value, KeyboardInterrupt)
        if is_interrupt and threading.current_thread() is threading.main_thread():
            _deliver_again(signal.SIGTERM if isinstance(what.exc_value, Terminated) else signal.SIGINT)
        else:
            before(what)

    sys.unraisablehook = lost


def _deliver_again(number: signal.Signals) -> None:
    def deliver() -> None:
        time.sleep(AGAIN_S)
        signal.pthread_kill(main, number)  # wakes it, too

    # In another thread: the main one is still within what swallows exceptions. It may hold locks of `threading`, which
    # Thread.start() would wait for.
    main = threading.main_thread().ident or 0
    _thread.start_new_thread(deliver, ())
