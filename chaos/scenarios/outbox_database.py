"""The host's own database in a scenario: its rows are published if and only if their transaction committed, by the real relay.

The database outlives processes and power cuts. Its failures are one of the `steps`.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

from perdure.outbox.sql_outbox import Outbox, OutboxRelay

if TYPE_CHECKING:
    from perdure.chaos.oracle.publisher_log import PublisherLog
    from perdure.chaos.oracle.recording_system import RecordingSystem
    from perdure.chaos.simulation.processes.simulated_member import SimulatedMember
    from perdure.chaos.simulation.simulated_system import SimulatedSystem
    from perdure.events.commands import Draft
    from perdure.events.errors import InvalidMessage

__all__ = ["HostDatabase", "Relay"]

EVERY_S = 300.0
SHARED_NAME = "the scenario's"
"""The name of the outbox that several processes know to be one."""


class HostDatabase:
    """An SQLite database in memory with an outbox in it."""

    def __init__(self, log: PublisherLog) -> None:
        self._log = log
        self._connection = sqlite3.connect(":memory:", factory=_SharedConnection)
        Outbox(self._connection).create_table()
        self.failures = 0
        """So many of the relay's next reads and deletions fail."""
        self.committed: set[str] = set()
        """Ids of messages whose transaction committed: each must be published once."""
        self.is_shared = False
        """Its relays have one name for it, so that one process relays at a time."""
        self.relay: Relay | None = None
        """The owner's."""
        self.of_members: dict[SimulatedMember, Relay] = {}

    def attach(self, system: RecordingSystem) -> None:
        """Start a relay of the outbox in a new process. What the last process did not commit is rolled back."""
        self._connection.rollback()
        self.relay = Relay(system, self)
        self.relay.start()

    def leave(self) -> None:
        """Take note of a process that does not relay."""
        self._connection.rollback()
        self.relay = None

    def attach_member(self, member: SimulatedMember, cannot: str = "") -> None:
        """Let a member relay, too, beside the owner. `cannot`: a statement that its user may not make, `"read"` or `"delete"`."""
        relay = self.of_members[member] = Relay(member.system, self, cannot)
        relay.begin()
        member.runtime.add_outbox(relay)

    def write(self, messages: list[tuple[Any, str, dict[str, Any]]], *, commit: bool) -> None:
        """Write messages in one transaction of the host, which then commits or rolls back."""
        outbox = Outbox(self._connection)
        for content, ident, options in messages:
            outbox.publish(content, id=ident, **options)
        idents = {ident for _, ident, _ in messages}
        if commit:
            self._connection.commit()
            self.committed |= idents
        else:
            self._connection.rollback()
            self._log.refused |= idents

    def rows(self) -> int:
        """Return the number of rows that wait."""
        return int(self._connection.execute("SELECT count(*) FROM perdure_outbox").fetchone()[0])

    def ids(self, rows: list[int]) -> list[str]:
        """Return the message ids of those of the rows that are still in the outbox."""
        return [
            ident
            for row in rows
            for (ident,) in self._connection.execute("SELECT id FROM perdure_outbox WHERE seq = ?", (row,)).fetchall()
        ]

    def holds(self, ident: str) -> bool:
        """Return whether the row of a message is in the outbox."""
        return self._connection.execute("SELECT 1 FROM perdure_outbox WHERE id = ?", (ident,)).fetchone() is not None

    def check_deletion(self, rows: list[int]) -> None:
        """Note a violation for each row whose message is not on the disk yet."""
        recording = self._log.system.recording
        for ident in self.ids(rows):
            if recording.openings and not recording.is_durable(ident):  # without: a member hears of it while an owner starts
                self._log.violations.append(f"the outbox's row of {ident} was deleted before its message was on the disk")

    def connect(self) -> sqlite3.Connection:
        """Return the relay's connection."""
        return self._connection

    def fail_if_due(self) -> None:
        """Use up one of the failures, if any are left.

        Raises:
            sqlite3.OperationalError: one was left.
        """
        if self.failures:
            self.failures -= 1
            msg = "the host's database is not reachable"
            raise sqlite3.OperationalError(msg)

    def end(self) -> None:
        """Close the database."""
        self._connection.end()


class _SharedConnection(sqlite3.Connection):
    """A connection that survives the relay's `close`: a database in memory ends with its connection."""

    def close(self) -> None:
        """Stay open."""

    def end(self) -> None:
        """Close the connection."""
        super().close()


class Relay(OutboxRelay):
    """The real relay, on a database that can fail and that checks what is deleted."""

    def __init__(self, system: SimulatedSystem, database: HostDatabase, cannot: str = "") -> None:
        super().__init__(system, database.connect, every_s=EVERY_S, name=SHARED_NAME if database.is_shared else None)
        self.name = "outbox"  # the usual name differs from run to run
        self.cannot = cannot
        """What this process may not do."""
        self._database = database
        self._simulated = system

    @property
    def is_granted(self) -> bool:
        """Whether its process is the one that relays, as far as it knows; not one that only tries whether it can by now."""
        extensions = self._simulated.runtime.extensions
        return SHARED_NAME in extensions.shared_outboxes() and (
            extensions.granted is None or SHARED_NAME in extensions.granted.names
        )

    def begin(self) -> None:
        """Be ready, for a member, which a scenario has start it."""
        self._ended = False

    def read(self, after: int) -> list[tuple[int, Draft | InvalidMessage]]:
        """See `Source.read`."""
        self._database.fail_if_due()
        self._check_may("read")
        return super().read(after)

    def delete(self, rows: list[int]) -> None:
        """See `Source.delete`. A failure comes before the deletion or, as when an answer is lost, after it."""
        self._check_may("delete")
        self._database.check_deletion(rows)
        if self._database.failures % 2:
            super().delete(rows)
        self._database.fail_if_due()
        super().delete(rows)

    def _check_may(self, do: str) -> None:
        if self.cannot == do:
            msg = f"permission to {do} denied"
            raise sqlite3.OperationalError(msg)
