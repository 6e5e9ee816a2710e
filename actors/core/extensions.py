"""What a host adds to a running system: schedules and outboxes, as the actors that serve them see these.

The actors are `scheduler` and `relay` in `services`; the host implements both protocols (`handling/recurring/schedules`, `outbox`).
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from perdure.events.commands import Draft, DraftRun
    from perdure.events.errors import InvalidMessage

__all__ = ["Extensions", "Granted", "Schedule", "Source", "Spool"]


class Schedule(Protocol):
    """When to publish, and what."""

    @property
    def name(self) -> str:
        """The name under which its ticks are recorded."""

    @property
    def missed(self) -> str:
        """Which of the ticks that were missed while nothing ran are made up for: the `last`, `all`, or `none`."""

    def after(self, at_us: int) -> int:
        """Return the first tick after a time, in microseconds."""

    def draft(self, due_us: int) -> Draft:
        """Return the message of a tick."""


class Source(Protocol):
    """One outbox, or the spool. Its methods are called in the relay's thread, and may raise whatever its database raises."""

    @property
    def name(self) -> str:
        """The name under which it is registered."""

    @property
    def every_s(self) -> float:
        """Seconds between two reads."""

    @property
    def is_spool(self) -> bool:
        """Whether its rows were promised to be published: one that is refused becomes a dead letter. Else it stays."""

    @property
    def shared_as(self) -> str | None:
        """A name for what it reads that all processes have for it; empty: only this one reads it; None: not known yet."""

    def find_out(self) -> None:
        """Find out `shared_as`, if that is possible by now."""

    def read(self, after: int) -> Sequence[tuple[int, Draft | Sequence[Draft] | DraftRun | InvalidMessage]]:
        """Return the oldest rows behind this row number, up to a bound of its own.

        A row is a message, or several that belong together; an error stands for a row that cannot be read.
        """

    def delete(self, rows: list[int]) -> None:
        """Remove rows that are published, or are dead letters."""


class Spool(Source, Protocol):
    """A source whose rows were promised to be published. Its methods are called in the relay's thread, or in that of a start."""

    @property
    def in_append(self) -> bool:
        """Whether its rows are the store's: the append that takes them in removes them."""

    def taken_in(self, rows: list[int], left: list[int], /) -> None:
        """Note that rows are published, or are dead letters, and remove those that are left."""


class Granted:
    """Which outboxes of a process its folder's owner, another process, has it relay. Safe in any thread.

    Args:
        hurry: notifies the owner that some outbox has new rows, whichever process relays it.
    """

    def __init__(self, hurry: Callable[[], None]) -> None:
        self.names: Collection[str] = ()
        self.hurry = hurry


class Extensions:
    """The schedules and outboxes of one run. Safe in any thread.

    Neither dict is ever changed in place: a change makes another dict, so a thread that iterates is not disturbed.
    """

    def __init__(self) -> None:
        self.schedules: dict[str, Schedule] = {}
        self.outboxes: dict[str, Source] = {}
        self.is_shared = False
        """Other processes may have the same outboxes."""
        self.granted: Granted | None = None
        """None: this process owns the folder, and relays all that it has."""
        self._unread: frozenset[str] = frozenset()
        """Outboxes that this process could not read, or not settle, when it tried last: other processes may."""
        self.has_bulks = False
        """A bulk act was begun, or was under way when the run began."""
        self._lock = threading.Lock()

    def add_schedule(self, schedule: Schedule) -> None:
        """Register a schedule, in place of one of the same name."""
        with self._lock:
            self.schedules = {**self.schedules, schedule.name: schedule}

    def drop_schedule(self, name: str) -> None:
        """Remove a schedule."""
        with self._lock:
            self.schedules = {known: schedule for known, schedule in self.schedules.items() if known != name}

    def add_outbox(self, source: Source) -> None:
        """Register an outbox."""
        with self._lock:
            self.outboxes = {**self.outboxes, source.name: source}

    def drop_outbox(self, name: str) -> None:
        """Remove an outbox."""
        with self._lock:
            self.outboxes = {known: source for known, source in self.outboxes.items() if known != name}

    def note_reading(self, source: Source, *, failed: bool) -> None:
        """Note whether an outbox could be read, and what was read could be settled."""
        if failed != (source.name in self._unread):
            self._unread ^= {source.name}

    def shared_outboxes(self) -> list[str]:
        """Return the names of the outboxes that other processes may have too and this one can read, as far as it is known."""
        return [source.shared_as for source in self.outboxes.values() if source.shared_as and source.name not in self._unread]

    def relays(self, source: Source) -> bool:
        """Return whether this process reads an outbox: one that others have too is read by one of them.

        One that it could not read it tries again, in order to know when it can.
        """
        granted = self.granted
        return granted is None or not source.shared_as or source.shared_as in granted.names or source.name in self._unread
