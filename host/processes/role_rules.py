"""Which role a shared System has in its folder, and what it does about each thing that happens to it: a pure table.

The thread that does it is in `roles`. Nothing here knows a lock, a socket or a clock.
"""

from __future__ import annotations

from enum import Enum
from typing import Literal, TypeAlias

__all__ = ["OWNERSHIP", "Act", "Event", "Ownership", "State", "step"]

Ownership: TypeAlias = Literal["auto", "prefer", "never"]
OWNERSHIP: tuple[Ownership, ...] = ("auto", "prefer", "never")


class State(Enum):
    """Where a shared System stands."""

    SEEKING = "it has neither the lock nor an owner's welcome"
    MEMBER = "another process owns the folder, and answers this one"
    RECOVERING = "it has the lock, and reads the log"
    OWNER = "it has the lock, and runs the actors"
    YIELDING = "it ends its actors, so that another process can take the lock"
    ENDED = "it was stopped, or has given up"


class Event(Enum):
    """What happens to it."""

    LOCK_TAKEN = "the lock was free, and is its own now"
    LOCK_HELD = "another process has the lock"
    UNREACHED = "no socket of an owner could be connected to"
    WELCOMED = "an owner has welcomed it"
    LOST = "the connection to the owner has ended: it died, or handed over"
    RECOVERED = "the log is read, and the actors run"
    FAILED = "the log could not be read, or the actors not be started"
    ASKED = "a process that prefers to own the folder asks for it"
    YIELDED = "its actors have ended, and the lock is free"
    GAVE_UP = "its actors died too often, so that it answers nothing any more"
    STOPPED = "its host stops it"


class Act(Enum):
    """What it does next."""

    NOTHING = "wait for what happens next"
    TRY_LOCK = "try to take the lock, without waiting for it"
    CONNECT = "look for the owner's socket"
    RECOVER = "bind the socket over a stale one, read the log, start the actors"
    BACK_OFF = "drop the lock and close the socket, and pause before anything else"
    ASK = "ask the owner to hand over"
    REFUSE = "keep the folder, and say so"
    YIELD = "end the actors in good order and free the lock, and go on as a member"
    FREE = "end the actors and free the folder for another process; calls go on to raise why it gave up"
    END = "end what runs"


TABLE: dict[tuple[State, Event], tuple[State, Act]] = {
    (State.SEEKING, Event.LOCK_TAKEN): (State.RECOVERING, Act.RECOVER),
    (State.SEEKING, Event.LOCK_HELD): (State.SEEKING, Act.CONNECT),
    (State.SEEKING, Event.UNREACHED): (State.SEEKING, Act.TRY_LOCK),
    (State.SEEKING, Event.WELCOMED): (State.MEMBER, Act.NOTHING),
    (State.MEMBER, Event.LOST): (State.SEEKING, Act.TRY_LOCK),
    (State.RECOVERING, Event.RECOVERED): (State.OWNER, Act.NOTHING),
    (State.RECOVERING, Event.FAILED): (State.SEEKING, Act.BACK_OFF),
    (State.OWNER, Event.ASKED): (State.YIELDING, Act.YIELD),
    (State.YIELDING, Event.YIELDED): (State.SEEKING, Act.CONNECT),
}
PREFERS = {
    (State.SEEKING, Event.WELCOMED): (State.MEMBER, Act.ASK),
    (State.OWNER, Event.ASKED): (State.OWNER, Act.REFUSE),
}
"""What differs where it prefers to own the folder."""


def step(state: State, event: Event, ownership: Ownership) -> tuple[State, Act]:
    """Return the next state and what to do, of a System with this `ownership`.

    An event that comes too late for its state changes nothing: a connection may be lost while the lock is tried already.
    """
    if event in (Event.STOPPED, Event.GAVE_UP):
        last = Act.END if event is Event.STOPPED else Act.FREE
        return State.ENDED, Act.NOTHING if state is State.ENDED else last
    found = PREFERS.get((state, event)) if ownership == "prefer" else None
    after, act = found or TABLE.get((state, event), (state, Act.NOTHING))
    if act is Act.TRY_LOCK and ownership == "never":
        act = Act.CONNECT
    return after, act
