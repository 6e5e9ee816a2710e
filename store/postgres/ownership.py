"""The ownership of one partition: how it is claimed, kept by a lease, given up, and noticed to be lost.

The database's clock decides when a lease has passed. The owner's own monotonic clock, from before each renewal was sent, tells it
earlier. The advisory lock of the keeper's session is a hint only: without it, the owner has probably died.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import threading
import time
import uuid
from typing import TYPE_CHECKING, Any

import attrs
import psycopg

from perdure.events.errors import OwnershipLost, PerdureError, StoreLocked
from perdure.events.loggers import GuardedLogger
from perdure.store.disk.enduring_thread import EnduringThread
from perdure.store.format.frame import chain_after
from perdure.store.postgres.connecting.database import OWNED, lost
from perdure.store.postgres.connecting.session import Refused, Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.store.postgres.connecting.database import Database
    from perdure.store.postgres.connecting.postgres_address import PostgresAddress

__all__ = ["ENDS_OF_ALL", "Claim", "HeldLease", "Lease", "claim"]

logger = GuardedLogger("perdure.store")

SILENCE_S = 1.0
"""How long the session of an owner must have been gone before its lease is taken to be over."""
LOOK_S = 0.1
ANSWER_S = 1.0
"""How long the end of a lease waits for an answer to its renewal."""
_CLASS = 0x70647265
"""The class of the advisory locks of owners; the object is the partition's id."""
_INT, _LONG, _FLOAT = struct.Struct(">i"), struct.Struct(">q"), struct.Struct(">d")
_TRUE, _FALSE = b"\x01", b"\x00"

_HAS_SESSION = (
    "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = %s AND objid = %s AND database = "
    "(SELECT oid FROM pg_database WHERE datname = current_database()))"
)
_CLAIM = "SELECT * FROM perdure.claim(%s, %s, %s, %s, %s, %s, %s, %s)"
RENEW = b"SELECT perdure.renew($1, $2, $3, $4)"
HINT = b"SELECT pg_try_advisory_lock_shared($1, $2)"
ENDS = (
    b"SELECT coalesce((SELECT f.first_seq + f.count - 1 FROM perdure.frame f WHERE f.partition_id = p.id "
    b"ORDER BY f.first_seq DESC, f.count DESC LIMIT 1), p.first_seq - 1) FROM perdure.partition p WHERE p.id = $1"
)
"""Where the log of a partition ends."""
ENDS_OF_ALL = ENDS.replace(b"SELECT coalesce", b"SELECT p.id, coalesce", 1).replace(b"p.id = $1", b"p.id = ANY(%s)")
"""The same of several, each with its id."""


@attrs.frozen
class Claim:
    """A partition as its owner took it over."""

    id: int
    epoch: int
    store_id: bytes
    first_seq: int
    begins_after: bytes
    closed: bool
    """The owner before had given it up in good order."""
    created: bool


def new_owner(node: str = "") -> str:
    """Return a name that no other owner has: that of its node, unless none is given host and process, and a random part."""
    return f"{node or f'{socket.gethostname()[:100]}:{os.getpid()}'}:{uuid.uuid4().hex}"


def claim(
    connection: psycopg.Connection[Any], address: PostgresAddress, holder: str, lease_s: float, *, again: bool, instead_of: str = ""
) -> Claim:
    """Take over a partition; with `again`, take it over from an earlier epoch of the same owner. Appends under way come first.

    `instead_of` is an owner that is known to have died.

    Raises:
        StoreLocked: another owner lives.
        psycopg.Error: the database refuses.
    """
    new_id = os.urandom(16)
    while True:
        values = [address.name, address.partition, holder, lease_s, instead_of, again, new_id, chain_after(new_id)]
        try:
            return Claim(*_one(connection.execute(_CLAIM, values, binary=True)))
        except psycopg.Error as error:
            if error.sqlstate != OWNED:
                raise
            owner, left = str(error.diag.message_detail), error.diag.message_hint
        if owner == instead_of or not _is_gone(connection, address.name, address.partition):
            raise _locked(address, owner, left)
        instead_of = owner


def _one(cursor: psycopg.Cursor[Any]) -> tuple[Any, ...]:
    row: tuple[Any, ...] | None = cursor.fetchone()
    if row is None:
        raise psycopg.DatabaseError("the database answered without a row")
    return row


def _is_gone(connection: psycopg.Connection[Any], name: str | None, number: int | None) -> bool:
    """Return whether the owner's session is gone, and stays so for a while: a living owner makes another one at once."""
    found = connection.execute("SELECT id FROM perdure.partition WHERE queue = %s AND number = %s", [name, number])
    partition = _one(found)[0]
    until_s = time.monotonic() + SILENCE_S
    while not _one(connection.execute(_HAS_SESSION, [_CLASS, partition]))[0]:
        if time.monotonic() >= until_s:
            return True
        time.sleep(LOOK_S)
    return False


def _locked(address: PostgresAddress, owner: str, left: str | None) -> StoreLocked:
    host, _, rest = owner.partition(":")
    pid = rest.partition(":")[0]
    return StoreLocked(
        f"{address.text} is owned by process {pid} on {host}, whose lease lasts {left} s more unless renewed. Stop "
        "that process first; to read, use perdure.Audit.",
        int(pid) if pid.isdecimal() and host == socket.gethostname()[:100] else None,
    )


def hint_of(partition: int) -> list[bytes]:
    """Return the values of `HINT`: each session of an owner holds the lock, so others see that it lives."""
    return [_INT.pack(_CLASS), _INT.pack(partition)]


def named(partition: int, holder: str) -> list[bytes]:
    """Return the values that name an owner of a partition in a statement of its session."""
    return [_INT.pack(partition), holder.encode()]


class HeldLease:
    """The lease of a partition, as its owner knows it. Something must renew it: `Lease` itself, or a cluster's thread for all."""

    def __init__(
        self, partition: int, holder: str, seconds: float, began_s: float, on_lost: Callable[[OwnershipLost], None]
    ) -> None:
        self.partition = partition
        self.holder = holder
        self._on_lost = on_lost
        self._seconds = seconds
        self._values = [*named(partition, holder), _FLOAT.pack(seconds)]
        self.until_s = began_s + seconds
        """The monotonic time at which the lease has passed, unless it was renewed."""
        self.lost: OwnershipLost | None = None
        """Why the partition is another's."""
        self.has_ended = False
        """Its owner has given it up: it is renewed no more."""
        self.durable_seq: Callable[[], int] = lambda: 0
        """Returns up to where its owner knows the log to be durable."""

    @property
    def values(self) -> list[bytes]:
        """The first three values of `RENEW`."""
        return self._values

    @property
    def has_passed(self) -> bool:
        """Whether another owner may have taken over by now, as far as this process knows."""
        return self.lost is not None or time.monotonic() >= self.until_s

    def renewed(self, began_s: float) -> None:
        """Note that a renewal which was sent at a monotonic time has succeeded."""
        self.until_s = max(self.until_s, began_s + self._seconds)

    def lose(self, why: OwnershipLost | None = None) -> None:
        """Note that another owner has the partition, unless there is another reason already to write nothing more."""
        if self.lost is None and not self.has_ended:
            self.lost = why or lost()
            self._on_lost(self.lost)

    def check_end(self, ends_at: int, durable_seq: int) -> None:
        """Compare where the log ends with what was durable before that was asked. The server may be another than before.

        An owner that has nothing to write finds out so. Its next opening refuses, and says what to do.
        """
        if ends_at < durable_seq:
            self.lose(
                OwnershipLost(
                    f"the database holds less of this partition than was durable: its log ends at {ends_at}, but was synced up to "
                    f"{durable_seq}. A standby that lagged behind was promoted, or an older copy was restored. Nothing is written "
                    "any more; a start says what to do."
                )
            )

    def end(self) -> None:
        """Renew it no more, without giving the partition up."""
        self.has_ended = True


class Lease(HeldLease):
    """Keeps a partition by renewing its lease in a thread of its own, until it is ended or another owner has taken over."""

    def __init__(
        self,
        database: Database,
        partition: int,
        holder: str,
        seconds: float,
        began_s: float,
        on_lost: Callable[[OwnershipLost], None],
    ) -> None:
        super().__init__(partition, holder, seconds, began_s, on_lost)
        self._database = database
        self._hint = hint_of(partition)
        self._ended, self._wake = os.pipe()
        self._pid = os.getpid()
        self._end_lock = threading.Lock()
        self._session: Session | None = None
        self._thread = EnduringThread(self._keep, f"perdure-lease-{partition}")
        try:
            self._thread.start()
        except BaseException:
            os.close(self._ended)
            os.close(self._wake)
            raise

    def end(self) -> None:
        """End the thread, without giving the partition up."""
        super().end()
        with self._end_lock:
            wake, self._wake = self._wake, -1
        if wake < 0:
            return
        if self._ended >= 0 and self._pid == os.getpid():  # a forked child has the pipe as well: closed by one, it is open yet
            with contextlib.suppress(OSError):  # the thread ends just now
                os.write(wake, b"\0")
        os.close(wake)
        if self._thread is threading.current_thread():
            return
        self._thread.join(ANSWER_S)
        session = self._session
        if session is not None and self._thread.is_alive():
            session.drop()  # a database that hangs answers nothing
        self._thread.join(10.0)

    def _keep(self) -> None:
        if self._session is not None:  # an exception interrupted it, perhaps in the middle of an answer
            self._drop()
        if self._ended >= 0:
            self._renew_until_it_ends()
        ended, self._ended = self._ended, -1
        if ended >= 0:
            os.close(ended)
        self._drop()

    def _renew_until_it_ends(self) -> None:
        pause_s = 0.0
        while not self._waits(self._session, pause_s):
            if self._session is not None and pause_s and self._is_readable(self._session):
                self._drop()
            try:
                began_s = time.monotonic()
                session = self._session
                if session is None:
                    session = self._session = Session(self._database.connect(), {b"renew": RENEW, b"hint": HINT, b"ends": ENDS})
                    session.run(b"hint", self._hint)
                if session.run(b"renew", [*self._values, _FALSE]) != [_TRUE]:
                    logger.error("%s", lost())
                    self.lose()
                    return
                self.renewed(began_s)
                self._check_end(session)
                pause_s = self._seconds / 3
            except (Refused, psycopg.Error, PerdureError) as error:
                logger.warning("the lease could not be renewed, it is tried again: %s", " ".join(str(error).split()))
                self._drop()
                pause_s = min(0.5, self._seconds / 10)
            except Exception:
                logger.exception("the renewal of a lease failed; it is tried again")
                self._drop()
                pause_s = min(0.5, self._seconds / 10)

    def _drop(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.drop()

    def _check_end(self, session: Session) -> None:
        known = self.durable_seq()
        for value in session.run(b"ends", self._values[:1]):
            if value is not None:
                self.check_end(_LONG.unpack(value)[0], known)

    def _waits(self, session: Session | None, pause_s: float) -> bool:
        """Wait; return whether the end has come. The end of the session ends the wait, too."""
        poll = select.poll()
        poll.register(self._ended, select.POLLIN)
        if session is not None:
            poll.register(session.fileno(), select.POLLIN)
        return any(fd == self._ended for fd, _ in poll.poll(pause_s * 1000)) or self.has_ended

    @staticmethod
    def _is_readable(session: Session) -> bool:
        poll = select.poll()
        poll.register(session.fileno(), select.POLLIN)
        return bool(poll.poll(0))
