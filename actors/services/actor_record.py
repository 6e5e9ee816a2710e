"""Where a supervisor records what happens to actors: in the log, if this process owns it, and else nowhere (`Unrecorded`).

Which event, and when, is up to the supervisor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from perdure.actors.core.messages import Append, BeginTerm, OnRecord, TermBegun

if TYPE_CHECKING:
    from perdure.actors.core.actor import Home
    from perdure.actors.core.clock import Clock
    from perdure.actors.core.health import Health
    from perdure.actors.journal.log_state import LogState
    from perdure.events import vocabulary as ev

__all__ = ["ActorRecord", "LogRecord", "Unrecorded"]


class ActorRecord(Protocol):
    """What a supervisor needs in order to record events about actors. Made anew for each supervisor; for its thread alone."""

    def begin(self) -> None:
        """Begin a term: the log was opened, or this supervisor has just begun."""

    def begun(self, answer: TermBegun) -> None:
        """Take the journal's answer, which settles which of a predecessor's events are on record."""

    def add(self, event: ev.Event) -> None:
        """Record an event. No request waits for it, but it is kept until it is on record."""

    def flush(self) -> None:
        """Send what still waits for the journal's answer: when that comes, no supervisor is here to send it."""


class LogRecord:
    """The record of an owner: the events go to the journal.

    If the journal dies between writing one and confirming that, it is on record twice; if a failed sync voids it, it is lost.
    """

    def __init__(self, directory: Home, log: LogState, health: Health, clock: Clock) -> None:
        self._directory = directory
        self._log = log
        self._unrecorded = health.unrecorded
        self._clock = clock
        self._term = 0
        self._ready = False

    def begin(self) -> None:
        """See `ActorRecord.begin`."""
        self._term = self._log.next_term("supervisor")
        self._ready = False
        self._directory.tell("journal", BeginTerm("supervisor", self._term))

    def begun(self, answer: TermBegun) -> None:
        """See `ActorRecord.begun`."""
        if answer.term == self._term:
            self.flush()

    def add(self, event: ev.Event) -> None:
        """See `ActorRecord.add`."""
        self._unrecorded[id(event)] = event
        if self._ready:
            self._append(event)

    def flush(self) -> None:
        """See `ActorRecord.flush`."""
        if not self._ready:
            self._ready = True
            for event in list(self._unrecorded.values()):
                self._append(event)

    def _append(self, event: ev.Event) -> None:
        done = OnRecord(self._unrecorded, event)
        self._directory.tell("journal", Append("supervisor", self._term, self._clock.now_us(), [event], [done], []))


class Unrecorded:
    """The record of a member: another process owns the log, so deaths of actors here are counted and logged only."""

    def begin(self) -> None:
        """See `ActorRecord.begin`."""

    def begun(self, answer: TermBegun) -> None:
        """See `ActorRecord.begun`."""

    def add(self, event: ev.Event) -> None:
        """See `ActorRecord.add`."""

    def flush(self) -> None:
        """See `ActorRecord.flush`."""
