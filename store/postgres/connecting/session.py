"""One connection with a few prepared statements, for the thread that writes. No table is known here.

It goes past psycopg's cursors, which take longer than the statement itself. When it is dropped, its socket is shut down first: the
thread that waits in it may be one that a successor has replaced.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.pq import ConnStatus, DiagnosticField, ExecStatus

from perdure.store.postgres.connecting.database import as_ours, is_unreplicated

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from psycopg.pq.abc import PGresult


__all__ = ["Refused", "Session"]

CLOSE_WAIT_S = 5.0
_BINARY = 1


class Refused(Exception):
    """The server has answered with an error: nothing of the statement is there."""

    def __init__(self, error: psycopg.Error, state: str) -> None:
        super().__init__(str(error))
        self.error = error
        self.state = state


class Session:
    """A connection of one owner, which no other part uses. Statements are for one thread at a time; `drop` is for any.

    Raises:
        StoreUnavailable: the server cannot be reached.
    """

    def __init__(self, connection: psycopg.Connection[Any], statements: Mapping[bytes, bytes]) -> None:
        self._connection = connection
        self._raw = self._connection.pgconn
        self._using = threading.Lock()
        self._pid = os.getpid()
        self.warnings: list[str] = []
        """Those of the server that a statement may not be replicated, which leaves it in doubt."""
        self._connection.add_notice_handler(self._note)
        try:
            for name, statement in statements.items():
                self._checked(self._raw.prepare(name, statement))
        except (Refused, psycopg.OperationalError) as error:
            self._connection.close()
            raise as_ours(error.error if isinstance(error, Refused) else error, "reached") from error

    def _note(self, notice: Any) -> None:
        if is_unreplicated(notice):
            self.warnings.append(str(notice.message_primary))

    @property
    def backend_pid(self) -> int:
        """The server's process."""
        return self._raw.backend_pid

    def fileno(self) -> int:
        """Return the socket, which can be read when the server has ended the connection."""
        return self._raw.socket

    def run(self, name: bytes, values: Sequence[bytes]) -> list[bytes | None]:
        """Run a prepared statement with values in the binary format; return the first row of its answer, empty for none.

        Raises:
            Refused: the server has refused it; nothing of it is there.
            psycopg.OperationalError: no answer came: whether it was carried out is unknown.
        """
        if not self._using.acquire(timeout=CLOSE_WAIT_S):
            raise psycopg.OperationalError("another thread waits for an answer of this connection")
        try:
            result = self._raw.exec_prepared(name, values, [_BINARY] * len(values), _BINARY)
        finally:
            self._using.release()
        self._checked(result)
        return [result.get_value(0, column) for column in range(result.nfields)] if result.ntuples else []

    def _checked(self, result: PGresult) -> None:
        status = result.status
        if status in (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK):
            return
        state = (result.error_field(DiagnosticField.SQLSTATE) or b"").decode()
        text = result.error_message.decode("utf-8", "replace").strip()
        # Class 57P: the server ends the connection, perhaps after the commit. Class 08, or none: the connection was lost.
        if not state or state.startswith(("57P", "08")) or self._raw.status != ConnStatus.OK:
            raise psycopg.OperationalError(text or "the connection was lost")
        raise Refused(psycopg.errors.lookup(state)(text) if _is_known(state) else psycopg.DatabaseError(text), state)

    def drop(self) -> None:
        """Close the connection without a word to the server. A thread that waits in it gets an error."""
        if self._pid != os.getpid():
            return  # the parent's
        with contextlib.suppress(OSError, psycopg.Error):
            shared = socket.socket(fileno=os.dup(self._raw.socket))
            with shared:
                shared.shutdown(socket.SHUT_RDWR)
        if self._using.acquire(timeout=CLOSE_WAIT_S):  # else its thread was stopped in between, and the collector closes it
            try:
                self._connection.close()
            finally:
                self._using.release()


def _is_known(state: str) -> bool:
    try:
        psycopg.errors.lookup(state)
    except KeyError:
        return False
    return True
