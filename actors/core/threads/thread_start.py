"""How a thread is started in the thread of an actor, into which an exception may be thrown at any moment.

Not here: the exceptions themselves (`async_exceptions`), and a thread whose failed start is seen (`background_thread`).
"""

from __future__ import annotations

import os
import threading

from perdure.actors.core.threads.current_actor import CURRENT

__all__ = ["begin_thread", "thread_starts"]


class _ThreadStarts:
    """The lock that is held while an actor starts a thread, and while an exception is thrown into an actor's thread.

    Until a new thread runs, CPython files it under the id of the thread that starts it, so that an exception aimed at the parent
    would hit the child.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()


thread_starts = _ThreadStarts()


def begin_thread(thread: threading.Thread) -> None:
    """Start a thread; the way to do so wherever the caller may be an actor.

    Raises:
        RuntimeError: the process gets no more threads.
    """
    if CURRENT.actor is None:
        thread.start()  # nothing throws exceptions into a thread that is not an actor's; an actor's thread leaves no lock behind
        return
    with thread_starts.lock:
        thread.start()


def _in_a_forked_child() -> None:
    thread_starts.lock = threading.Lock()  # a thread that is gone may have held it


os.register_at_fork(after_in_child=_in_a_forked_child)
