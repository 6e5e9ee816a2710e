"""The processes of a log, and the deaths of actors within them. All are decided by the supervisor."""

from __future__ import annotations

from typing import Any

from perdure.events.vocabulary.event import Event, event

__all__ = [
    "ActorRestarted",
    "ProcessJoined",
    "ProcessLeft",
    "Started",
    "Stopped",
]


@event(48, "supervisor")
class Started(Event):
    """A process opened and recovered the data folder; `report` says what recovery did."""

    run: str
    pid: int
    version: str
    report: dict[str, Any]


@event(49, "supervisor")
class Stopped(Event):
    """The process closed the data folder in good order."""

    run: str


@event(50, "supervisor")
class ActorRestarted(Event):
    """An actor died and its successor was started."""

    actor: str
    cause: str
    deaths: int


@event(51, "supervisor")
class ProcessJoined(Event):
    """Another process has joined the folder's owner, and may run handlers; `member` names its run."""

    member: str
    pid: int
    name: str
    started_us: int


@event(52, "supervisor")
class ProcessLeft(Event):
    """Its connection has ended: it stopped, died, or was disconnected. What it still held is settled."""

    member: str
    pid: int
    name: str
