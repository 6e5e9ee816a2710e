"""Raising an exception in another thread, and taking it back there before it is raised. When to do so is up to the callers."""

from __future__ import annotations

import ctypes
import sys
import threading

__all__ = ["take_back", "throw"]


_set = ctypes.pythonapi.PyThreadState_SetAsyncExc


class _TakenBack(BaseException):
    """Thrown by a thread into itself, in place of an exception that is still to be raised in it."""


_FLAG_STOPS_TRACED_THREADS = sys.version_info < (3, 12)
"""Whether a traced thread (by a debugger, by coverage) turns for ever at its next call of a function while CPython's flag "an
exception may be waiting" is set: `CHECK_EVAL_BREAKER` in `DO_TRACING` goes back to where it came from (Python/ceval.c).

It is one flag for all threads, and only an exception that is raised resets it; the thread that it is meant for may sleep meanwhile.
"""

TURNS = 1_000
"""An exception that was thrown into this thread is raised at the first turn of a loop, or never will be.

It never is where CPython 3.11 has failed to start a thread ("can't start new thread") from this one: what it leaves behind has this
thread's id, and gets the exceptions in its place. Such an actor ends at its next message.
"""


def throw(thread_id: int, error: type[BaseException]) -> None:
    """Raise an exception in a thread at its next instruction, in place of one that was thrown and is not raised yet.

    One that waits in the calling thread is discarded: an actor that was killed looks at its `killed` after each message.
    """
    me = threading.get_ident()
    others, mine, own = ctypes.c_ulong(thread_id), ctypes.c_ulong(me), ctypes.py_object(_TakenBack)
    if not _FLAG_STOPS_TRACED_THREADS or thread_id == me:
        _set(others, ctypes.py_object(error))
        return
    try:
        # No function of Python is called between these. The other thread does not run now: when it takes the interpreter's lock
        # (`take_gil` in Python/ceval_gil.h), it sets the flag again for itself.
        _set(others, ctypes.py_object(error))
        _set(mine, own)
        for _ in range(TURNS):
            pass  # it is raised here at the latest, which resets the flag
    except _TakenBack:
        pass


def take_back() -> None:
    """Discard an exception that was thrown into this thread and is not raised yet; one that is thrown later is raised as usual.

    To throw NULL would do that too, but leave the flag set.
    """
    try:
        throw(threading.get_ident(), _TakenBack)
        for _ in range(TURNS):
            pass  # it is raised here at the latest
    except _TakenBack:
        pass
