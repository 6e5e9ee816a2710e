"""Handlers and their workers: registered, scaled, paused, changed. All are decided by the dispatcher."""

from __future__ import annotations

from typing import Any

from perdure.events.vocabulary.event import Event, event

__all__ = [
    "Adapted",
    "HandlerRegistered",
    "Paused",
    "Reconfigured",
    "Resumed",
    "Scaled",
]


@event(32, "dispatcher")
class HandlerRegistered(Event):
    """A host registered a handler, or registered it with other options than before."""

    type: str
    parallelism: int
    retries: int
    timeout_us: int
    lease_us: int
    dedup: str
    backoff: str
    parallelism_max: int = 0
    """If not 0, the number of workers follows the backlog between `parallelism` and this."""
    more: dict[str, Any] | None = None
    """The other options that are not at their defaults."""
    started_us: int = 0
    """When the process that registered it began, where several share the folder: of options that differ, the newest one's count."""


@event(33, "dispatcher")
class Scaled(Event):
    """An operator set how many workers a handler has."""

    type: str
    parallelism: int


@event(34, "dispatcher")
class Paused(Event):
    """An operator stopped the deliveries of one type, or of all (`type` empty)."""

    type: str


@event(35, "dispatcher")
class Resumed(Event):
    """An operator let deliveries of one type, or of all (`type` empty), go on."""

    type: str


@event(36, "dispatcher")
class Reconfigured(Event):
    """An operator changed options of a handler; they stay changed until the code asks for others."""

    type: str
    changes: dict[str, Any]


@event(37, "dispatcher")
class Adapted(Event):
    """The number of workers of an elastic handler followed its backlog."""

    type: str
    parallelism: int
