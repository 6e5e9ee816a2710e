"""The host's own database in a night: rows that are published if and only if their transaction committed, by the real relay.

The database outlives processes and power cuts; that it fails now and then is one of the `faults`.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

from perdure.outbox.sql_outbox import Outbox, OutboxRelay

if TYPE_CHECKING:
    from perdure.chaos.simulation.scenario import Scenario
    from perdure.events.commands import Draft
    from perdure.events.errors import InvalidMessage
    from perdure.system import System

__all__ = ["HostDatabase"]

EVERY_S = 300.0


class HostDatabase:
    """An SQLite database in memory with an outbox in it."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._connection = sqlite3.connect(":memory:", factory=_KeptOpen)
        Outbox(self._connection).create_table()
        self.fails = 0
        """So many of the relay's next looks and deletions fail."""
        self.committed: set[str] = set()
        """Ids of messages whose transaction committed: they must be published, once."""

    def attach(self, system: System) -> None:
        """Have the outbox relayed by a new process; what the last one had not committed is gone."""
        self._connection.rollback()
        self.relay = _Relay(system, self)
        self.relay.start()

    def write(self, messages: list[tuple[Any, str, dict[str, Any]]], *, commit: bool) -> None:
        """Write messages in one transaction, with something of the host's own going right or wrong at its end."""
        outbox = Outbox(self._connection)
        for content, ident, options in messages:
            outbox.publish(content, id=ident, **options)
        idents = {ident for _, ident, _ in messages}
        if commit:
            self._connection.commit()
            self.committed |= idents
        else:
            self._connection.rollback()
            self._scenario.refused |= idents

    def rows(self) -> int:
        """Count the rows that wait."""
        return int(self._connection.execute("SELECT count(*) FROM perdure_outbox").fetchone()[0])

    def ids(self, rows: list[int]) -> list[str]:
        """Give the ids of some rows that are still there."""
        return [
            ident
            for row in rows
            for (ident,) in self._connection.execute("SELECT id FROM perdure_outbox WHERE seq = ?", (row,)).fetchall()
        ]

    def check_deleted(self, rows: list[int]) -> None:
        """A row may go only once its message is on the disk."""
        store = self._scenario.store
        for ident in self.ids(rows):
            if not store.is_durable(ident):
                self._scenario.break_contract(f"the outbox's row of {ident} was deleted before its message was on the disk")

    def connect(self) -> sqlite3.Connection:
        """Give the relay its connection."""
        return self._connection

    def trouble(self) -> None:
        """Fail, if it is time to.

        Raises:
            sqlite3.OperationalError: it is.
        """
        if self.fails:
            self.fails -= 1
            msg = "the host's database is away"
            raise sqlite3.OperationalError(msg)

    def end(self) -> None:
        """Close the database."""
        self._connection.end()


class _KeptOpen(sqlite3.Connection):
    """A connection that the relay's `close` leaves open: a database in memory goes with its connection."""

    def close(self) -> None:
        """Stay open."""

    def end(self) -> None:
        """Close in earnest."""
        super().close()


class _Relay(OutboxRelay):
    """The real relay, with a database that fails, and a look at what it deletes."""

    def __init__(self, system: System, database: HostDatabase) -> None:
        super().__init__(system, database.connect, every_s=EVERY_S)
        self.name = "outbox"  # unlike the usual one the same in each night
        self._database = database

    def read(self, after: int) -> list[tuple[int, Draft | InvalidMessage]]:
        """See `Source.read`."""
        self._database.trouble()
        return super().read(after)

    def delete(self, rows: list[int]) -> None:
        """See `Source.delete`; a failure may come before it or, as when an answer is lost, after it."""
        self._database.check_deleted(rows)
        if self._database.fails % 2:
            super().delete(rows)
        self._database.trouble()
        super().delete(rows)
