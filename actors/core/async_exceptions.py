"""Raising an exception in another thread, and taking it back there before it is raised. When to do so is up to the callers."""

from __future__ import annotations

import ctypes
import threading

__all__ = ["take_back", "throw"]


class _TakenBack(BaseException):
    """Thrown by a thread into itself, in place of an exception that is still to be raised in it."""


def throw(thread_id: int, error: type[BaseException]) -> None:
    """Raise an exception in a thread at its next instruction, in place of one that was thrown and is not raised yet."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread_id), ctypes.py_object(error))


def take_back() -> None:
    """Discard an exception that was thrown into this thread and is not raised yet; one that is thrown later is raised as usual.

    To throw NULL would do that too, but leave CPython's "an exception may be waiting" set for all threads, which only one that is
    raised resets. Until 3.12 that makes a thread with a tracer (a debugger, coverage) turn for ever at its next call of a function:
    `CHECK_EVAL_BREAKER` in `DO_TRACING` goes back to the instruction it came from (Python/ceval.c).
    """
    try:
        throw(threading.get_ident(), _TakenBack)
        while True:
            pass  # it is raised here at the latest
    except _TakenBack:
        pass
