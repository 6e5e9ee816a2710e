"""The actor that the current thread runs, and checks of what it may do: an actor that others wait for must never wait for them.

What an actor does is in `actor`; how callers outside wait is in `answer` and `actors/requests/pending.py`.
"""

from __future__ import annotations

import os
import threading
from typing import Protocol

from perdure.events.errors import WouldDeadlock

__all__ = ["CURRENT", "check_is_outside", "check_may_wait"]


class _Actor(Protocol):
    """What this module reads of an actor."""

    name: str
    runs_handlers: bool
    stands_in: bool
    in_callback: bool


class _Current(threading.local):
    """What each thread has for itself."""

    actor: _Actor | None = None
    """The actor whose thread it is."""


CURRENT = _Current()


def check_may_wait() -> None:
    """Refuse to wait for an actor's answer in the thread of an actor that is needed for it.

    Raises:
        WouldDeadlock: this is such a thread: a callback of a future that `submit` gave runs here.
    """
    actor = CURRENT.actor
    if actor is not None and not actor.runs_handlers and (actor.in_callback or not actor.stands_in):
        msg = (
            f"this is the thread of the system's own {actor.name}, which is needed for the answer, so waiting for one here would "
            "never end. A callback of a future must be quick: let it hand the work to a thread of the host (a queue, an executor), "
            "or publish with `submit`, which does not wait."
        )
        raise WouldDeadlock(msg)


def check_is_outside(call: str) -> None:
    """Refuse, in a handler, a call that waits for all handlers.

    Raises:
        WouldDeadlock: a handler runs in this thread.
    """
    actor = CURRENT.actor
    if actor is not None and actor.runs_handlers:
        msg = (
            f"{call}() waits until no message is in flight, and the handler that calls it has one for as long as it waits. Call it "
            "outside of handlers; what is to follow this message can be published with `ctx.publish`."
        )
        raise WouldDeadlock(msg)


def _in_a_forked_child() -> None:
    CURRENT.__dict__.clear()  # the thread goes on, but no actor lives in it


os.register_at_fork(after_in_child=_in_a_forked_child)
