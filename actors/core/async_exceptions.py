"""Exceptions thrown into a thread from outside, and taken back by it. Who throws what, and when it may strike, is the callers'."""

from __future__ import annotations

import ctypes
import threading

__all__ = ["take_back", "throw"]


class _TakenBack(BaseException):
    """Thrown by a thread into itself, in place of what was thrown into it before."""


def throw(thread_id: int, error: type[BaseException]) -> None:
    """Have an exception raised in a thread at its next instruction, in place of one that has not struck yet."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread_id), ctypes.py_object(error))


def take_back() -> None:
    """Have nothing strike this thread that was thrown into it before; what is thrown later is raised as ever.

    To throw NULL would do that too, but leave CPython's "an exception may be waiting" set for all threads, which only one that is
    raised resets. Until 3.12 that makes a thread with a tracer (a debugger, coverage) turn for ever at its next call of a function:
    `CHECK_EVAL_BREAKER` in `DO_TRACING` goes back to the instruction it came from (Python/ceval.c).
    """
    try:
        throw(threading.get_ident(), _TakenBack)
        while True:
            pass  # it strikes here at the latest
    except _TakenBack:
        pass
