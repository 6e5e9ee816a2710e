"""`Outbox` writes messages into the host's SQL transaction; `OutboxRelay` publishes them once that has committed.

A row exists if and only if the host's transaction committed. An actor (`perdure.actors.services.relay`) publishes it under its id,
then deletes it. After a crash in between the same ids are published again, which adds nothing: each message arrives once.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from perdure.actors.core.clock import SystemClock
from perdure.actors.services.relay import REFUSALS
from perdure.arguments.choices import check_callable
from perdure.arguments.labels import check_label
from perdure.arguments.parts import check_has, check_is
from perdure.events.commands import Draft
from perdure.events.errors import InvalidMessage
from perdure.events.keyword_options import shows
from perdure.events.loggers import GuardedLogger
from perdure.events.moments import moved_draft
from perdure.events.public_names import public
from perdure.events.publish_options import DEFAULTS, PublishOptions
from perdure.events.seconds import checked_seconds, shown
from perdure.middleware import around_publish, check_middleware
from perdure.options import Options
from perdure.outbox.dialect import TABLE, Sql
from perdure.outbox.draft_rows import read_draft, written_draft
from perdure.payloads.codecs import Codec, MessagePack
from perdure.payloads.type_names import TypeNames
from perdure.publishing.drafts import Drafts, without_policy_where_unknown
from perdure.publishing.message_ids import Ids
from perdure.store.disk.forked_locks import lock_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from typing import Self, Unpack

    from perdure.actors.core.extensions import Source
    from perdure.middleware import Middleware
    from perdure.runtime.process.serving import Part

__all__ = ["Outbox", "OutboxRelay"]

logger = GuardedLogger("perdure")

BATCH = 500
BATCH_BYTES = 4 << 20
"""Rows that are read at a time: so many, or fewer large ones. A row is no longer begun once there are so many bytes."""


class Publishing(Protocol):
    """A `System` or a `Cluster`, as outboxes need it."""

    drafts: Drafts

    @property
    def running(self) -> bool:
        """Whether it takes messages."""

    def include_weakly(self, part: Part) -> None:
        """Start and stop a part with it while it is served."""

    def publish_drafts(self, drafts: list[Draft]) -> None:
        """Publish drafts in one commit."""

    def relay(self, source: Source) -> None:
        """Begin to relay an outbox."""

    def end_relay(self, name: str) -> None:
        """Relay an outbox no more."""

    def look_at_outboxes(self) -> None:
        """Read all outboxes at once."""


@public
class Outbox:
    """Writes messages into a transaction of the host's database. Use it in the connection's thread.

    Args:
        connection: a sqlite3 or psycopg connection, Django's `connection` (inside `transaction.atomic()`), or a SQLAlchemy
            connection or session. The host begins and commits.
        system: the system or cluster that will publish the messages, running or not; its codec, options, clock and middleware
            apply here too.
        codec: the system's codec, where the system is in another process.
        options: the system's options, where it is in another process.
        middleware: the system's middleware, outermost first, where it is in another process. Only `publish` is called, and the
            policies that messages name themselves are kept.

    Raises:
        TypeError: `connection` is not such a connection; or a system was given together with a codec, options or middleware.
        ValueError: the database is neither SQLite nor PostgreSQL.
    """

    def __init__(
        self,
        connection: Any,
        *,
        system: Publishing | None = None,
        codec: Codec | None = None,
        options: Options | None = None,
        middleware: Sequence[Middleware] = (),
    ) -> None:
        check_is("options", options, Options)
        check_has("codec", codec, "a codec, for example perdure.MessagePack()", ("encode", "decode"))
        middleware = check_middleware(middleware)
        self._sql = Sql(connection)
        if system is not None:
            if codec is not None or options is not None or middleware:
                msg = "Outbox: a system says codec, options and middleware itself; give either it or them"
                raise TypeError(msg)
            known = getattr(system, "drafts", None)
            if not isinstance(known, Drafts):
                msg = f"system: a perdure.System or perdure.Cluster, not {shown(system)}"
                raise TypeError(msg)
            codec, options, middleware = known.codec, known.options, known.middleware
            names, clock, ids = known.names, known.clock, known.ids
        else:
            names, clock = TypeNames(), SystemClock()
            ids = Ids(clock, random.SystemRandom())
        self._drafts = Drafts(names, codec or MessagePack(), clock, ids, options or Options())
        # Only the publishing system knows the handler, and so the policy of a key.
        self._draft_of_message = around_publish(middleware, without_policy_where_unknown(self._drafts.make, lambda _: False))

    def create_table(self) -> None:
        """Create the table `perdure_outbox` if it does not exist. Its only index is its primary key."""
        kind = "INTEGER PRIMARY KEY AUTOINCREMENT" if self._sql.is_sqlite else "BIGSERIAL PRIMARY KEY"
        blob = "BLOB" if self._sql.is_sqlite else "BYTEA"
        self._sql.run(f"CREATE TABLE IF NOT EXISTS {TABLE} (seq {kind}, id TEXT NOT NULL, draft {blob} NOT NULL)")

    @shows(PublishOptions, defaults=DEFAULTS)
    def publish(self, message: Any, **options: Unpack[PublishOptions]) -> str:
        """Write a message and return its id; it is published after the host's commit, and never after a rollback.

        Takes the options of `System.publish`. A message that cannot be published is refused here, at once.

        Raises:
            InvalidMessage, PayloadTooLarge, UnknownMessageType: as `System.publish`.
        """
        draft = self._draft_of_message(message, **options)
        if draft.due_us or draft.expires_us:  # the clocks are read for no other
            body = written_draft(moved_draft(draft, -self._drafts.ahead_us()))
        else:
            body = written_draft(draft)
        self._sql.run(f"INSERT INTO {TABLE} (id, draft) VALUES (?, ?)", (draft.id, body))  # noqa: S608 - our table's name
        return draft.id


@public
class OutboxRelay:
    """Publishes what outboxes have written, in order: `with system, OutboxRelay(system, connect): ...`.

    Args:
        system: the system or cluster that publishes; it must run.
        connect: returns a new connection for the relay, as `Outbox` takes them (with `commit` and `close`); for Django
            `lambda: django.db.connections.create_connection("default")`.
        every_s: seconds between two reads; `notify` makes it read at once.
        name: its name in the log, which identifies it among the outboxes of processes that share a folder. Give it where several
            processes read one table and cannot find out that it is the same: by different paths, for example. A name stands for
            one table in all of them. Unless it is given, the database identifies the table.

    Where several processes of a shared folder make a relay of one table, one of them reads it: the owner of the folder if it has
    one, else the first that is heard. Another goes on when that one ends. `notify` reaches whichever it is.

    With a `Cluster`, make the relay in each process that runs handlers: the one that owns partition 0 relays, and each row goes to
    the partition that it belongs to. What is refused there becomes a dead letter.

    Two relays on one table are harmless. A row that is refused (its key is held, and its policy is `reject`) stays and is tried
    again, after pauses that grow up to half a minute. It delays no other row, however many such rows there are. While there are
    some, a row that a slower transaction commits in front of them is read when they are tried again.

    All methods may be called in any thread. `connect` is called in the relay's thread, or in the thread that calls `relay_once`.
    """

    _names = itertools.count(1)

    def __init__(self, system: Publishing, connect: Callable[[], Any], *, every_s: float = 0.5, name: str | None = None) -> None:
        if system is None:
            msg = "system: the perdure.System or perdure.Cluster that publishes, not None"
            raise TypeError(msg)
        check_has("system", system, "a perdure.System or perdure.Cluster", ("include_weakly", "relay"))
        check_callable("connect", connect)
        self._system = system
        self._connect = connect
        self.is_spool = False
        self.every_s = checked_seconds("every_s", every_s, above_zero=True)
        self.shared_as = None if name is None else check_label("name", name)
        """See `Source.shared_as`."""
        self.name = f"outbox-{next(self._names)}" if name is None else f"{name} ({next(self._names)})"
        self._at_work = lock_of(self, "_at_work")
        """Held while the database is used, so that no statement is under way when `stop` returns."""
        self._ended = True
        self._pid = os.getpid()
        """The process that relays. In a forked child, a thread that does not exist there may hold the lock."""
        self.published = 0
        """Rows published and deleted so far."""
        system.include_weakly(self)

    def notify(self) -> None:
        """Read the table at once; for a host that has just committed."""
        self._system.look_at_outboxes()

    def start(self) -> None:
        """Begin to relay.

        Raises:
            NotRunning: the system does not run.
            PerdureError: a cluster whose process owns no partitions.
        """
        self._ended, self._pid = False, os.getpid()
        try:
            self._system.relay(self)
        except BaseException:
            self._ended = True
            raise

    def stop(self) -> None:
        """Stop relaying. A row that was read but not deleted stays; its id is known when it is read again."""
        if self._pid == os.getpid():
            with self._at_work:
                self._ended = True
        if self._system.running:
            self._system.end_relay(self.name)

    def __enter__(self) -> Self:
        """See `start`."""
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """See `stop`."""
        self.stop()

    def relay_once(self) -> int:
        """Publish the rows that are there now, in the caller's thread; return how many.

        No row is deleted that was not published.

        Raises:
            DuplicateKey, InvalidMessage: some row was refused; the first such error, once all other rows are published.
            Others as `System.publish`, at once; and whatever the database raises.
        """
        count, after = 0, 0
        first: Exception | None = None
        while rows := self._select(after):
            refused = self._publish(rows)
            if published := [row for row, _ in rows if row not in refused]:
                self._delete(published)
            count += len(rows) - len(refused)
            for error in refused.values():
                first, after = first or error, rows[-1][0]
        if first is not None:
            raise first
        return count

    def _publish(self, rows: list[tuple[int, Draft | InvalidMessage]]) -> dict[int, Exception]:
        """Publish rows in one commit, or each in its own if one is refused; return the refused ones with their errors."""
        drafts = [draft for _, draft in rows if isinstance(draft, Draft)]
        if len(drafts) == len(rows):
            with contextlib.suppress(*REFUSALS):
                self._system.publish_drafts(drafts)
                return {}
        refused: dict[int, Exception] = {}
        for row, draft in rows:
            try:
                if isinstance(draft, InvalidMessage):
                    raise draft
                self._system.publish_drafts([draft])
            except REFUSALS as error:
                refused[row] = error
        return refused

    def find_out(self) -> None:
        """See `Source.find_out`."""
        with self._at_work:
            if self._ended:
                return
            try:
                with contextlib.closing(self._connect()) as connection:
                    self.shared_as = Sql(connection).place()
            except Exception as error:  # noqa: BLE001 - the host's database: one that is down says so once more
                self._select(0)
                logger.info(
                    "%s is read by each process that has it, as its database does not tell what it is: %s", self.name, error
                )
                self.shared_as = ""

    def read(self, after: int) -> list[tuple[int, Draft | InvalidMessage]]:
        """See `Source.read`."""
        with self._at_work:
            return [] if self._ended else self._select(after)

    def delete(self, rows: list[int]) -> None:
        """See `Source.delete`."""
        with self._at_work:
            if not self._ended:
                self._delete(rows)

    def _select(self, after: int) -> list[tuple[int, Draft | InvalidMessage]]:
        sizes = f"SELECT seq, LENGTH(draft) FROM {TABLE} WHERE seq > ? ORDER BY seq LIMIT {BATCH}"  # noqa: S608 - as above
        rows = f"SELECT seq, draft FROM {TABLE} WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT {BATCH}"  # noqa: S608 - as above
        with contextlib.closing(self._connect()) as connection:
            sql = Sql(connection)
            found: list[tuple[int, bytes]] = []
            while not found and (last := _last_wanted(sql.run(sizes, (after,)).fetchall())) is not None:
                found = sql.run(rows, (after, last)).fetchall()  # none: another relay has published them meanwhile
        return [(row, self._draft_of_row(row, bytes(body))) for row, body in found]

    def _delete(self, rows: list[int]) -> None:
        with contextlib.closing(self._connect()) as connection:
            marks = ", ".join("?" * len(rows))
            Sql(connection).run(f"DELETE FROM {TABLE} WHERE seq IN ({marks})", tuple(rows))  # noqa: S608 - as above, and question marks
            connection.commit()
        self.published += len(rows)

    def _draft_of_row(self, row: int, body: bytes) -> Draft | InvalidMessage:
        try:
            draft = read_draft(body)
        except msgspec.DecodeError as error:
            # Delays no other row: a newer version may have written it, and that version's relay will read it.
            return InvalidMessage(f"row {row} of {TABLE} is not a draft that this version can read: {error}")
        drafts = self._system.drafts
        if draft.due_us or draft.expires_us:
            draft = moved_draft(draft, drafts.ahead_us())
        return drafts.under_policy(draft)


def _last_wanted(sizes: Sequence[tuple[int, int]]) -> int | None:
    """Return the last row to be read at a time, of rows with their sizes in bytes; None where there are none."""
    last, size = None, 0
    for row, length in sizes:
        if size >= BATCH_BYTES:
            break
        last, size = row, size + length
    return last
