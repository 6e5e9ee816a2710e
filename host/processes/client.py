"""`Client`, which `connect` returns: the front door in a process that does not own the folder.

It publishes, waits for results, consumes by hand and operates, as a `System` does; handlers run in the owner. How requests reach
the owner, and survive it, is in `connection`.
"""

from __future__ import annotations

import os
import random
import sys
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from perdure.actors.core.clock import SystemClock, mark_us
from perdure.arguments.choices import check_flag
from perdure.arguments.labels import check_label
from perdure.arguments.parts import check_folder, check_has, fixed_path
from perdure.events.errors import InvalidMessage, NotRunning
from perdure.events.processes.log_reading import OWNER_WAIT_S, UnlessTold
from perdure.events.public_names import public
from perdure.events.safe_text import inert
from perdure.events.seconds import checked_seconds
from perdure.handling.consuming import Consuming
from perdure.middleware import check_middleware
from perdure.operations.admin import Admin
from perdure.operations.asked_audit import AskedAudit
from perdure.operations.audit import Audit, reader_of
from perdure.operations.dead_letters import DeadLetters
from perdure.options import Options
from perdure.payloads.codecs import MessagePack
from perdure.payloads.type_names import TypeNames
from perdure.processes.connected import Connected
from perdure.processes.owner_facts import OwnerFacts
from perdure.processes.to_owner.connection import Connection
from perdure.processes.to_owner.database_connection import DatabaseConnection
from perdure.processes.to_owner.spooling import Spooling
from perdure.processes.ways.database_way import DatabaseWay
from perdure.processes.ways.way import FolderWay
from perdure.publishing.confirming import check_confirm
from perdure.publishing.drafts import Drafts, without_policy_where_unknown
from perdure.publishing.message_ids import Ids
from perdure.publishing.results import Results
from perdure.runtime.process.starting_apart import completed
from perdure.store import is_postgres, open_ingress
from perdure.store.disk.each_alone import FORKED, call_each
from perdure.store.disk.polling import check_poll

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from typing import Self, SupportsIndex

    from perdure.actors.core.clock import Clock
    from perdure.middleware import Middleware
    from perdure.payloads.codecs import Codec
    from perdure.processes.to_owner.exchange import Exchange
    from perdure.publishing.confirming import Confirm

__all__ = ["Client"]

NAME_CHARS_MAX = 200
"""Of a program's name, which becomes a client's."""

_clients: weakref.WeakSet[Client] = weakref.WeakSet()
"""All that are open: a forked child begins anew with each."""


@public
class Client(Results, Consuming, Connected):
    """The front door of a folder that another process owns; see `connect`, which makes it. Safe in any thread, and in coroutines.

    It survives the owner: requests without an answer are sent again to the next one, under the same ids, and count once. A process
    that is forked from one with a client connects anew, with ids of its own.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        timeout: float = OWNER_WAIT_S,
        name: str | None = None,
        partition: int | None = None,
        codec: Codec | None = None,
        spool: bool = False,
        middleware: Sequence[Middleware] = (),
        confirm: Confirm = "database",
    ) -> None:
        timeout_s = timeout if isinstance(timeout, UnlessTold) else checked_seconds("timeout", timeout, above_zero=True)
        check_poll("a client")
        check_folder(folder)
        if partition is not None and not is_postgres(folder):
            msg = "partition: a folder has none; it is for a queue in a database"
            raise InvalidMessage(msg)
        check_has("codec", codec, "the owner's codec", ("encode", "decode"))
        self._make_drafts(SystemClock(), random.SystemRandom(), codec or MessagePack(), check_middleware(middleware))
        program = f"{inert(Path(sys.argv[0] or 'python').name)[:NAME_CHARS_MAX]} {os.getpid()}"
        own_name = check_label("name", program if name is None else name, NAME_CHARS_MAX + 20)
        self._spools = check_flag("spool", spool)
        take_facts = _passes_facts_to(weakref.ref(self))
        connection: Connection | DatabaseConnection
        check_confirm(confirm, spools=self._spools)
        if is_postgres(folder):
            ingress, to_owner, address = open_ingress(folder, name, partition)
            way = DatabaseWay(to_owner, address)
            if confirm == "owner":
                ingress.close()  # nothing goes that way: a publish is asked of the owner, as all else is
                connection = Connection(way, timeout_s, program, take_facts, equip=_equips(str, self.drafts.ahead_us))
            else:
                connection = DatabaseConnection(ingress, way, timeout_s, program, take_facts, *_clocks(self.drafts))
        else:
            path = fixed_path(folder)
            address = str(path)
            spooling = Spooling(path) if spool else None
            connection = Connection(FolderWay(path), timeout_s, own_name, take_facts, equip=self._equips(), spool=spooling)
        self._ask_by(connection, address, defers_policies=spool or is_postgres(folder))
        self._closing = weakref.finalize(self, _close_dropped, connection)
        _clients.add(self)

    # These two and `_equips` are all of a client but its way to the owner, its clock and its checks: the simulation has others.

    def _make_drafts(self, clock: Clock, rng: random.Random, codec: Codec, middleware: Sequence[Middleware] = ()) -> None:
        """Make what drafts messages, and what is known of the owner."""
        self.options = Options()
        self.clock = clock
        self.drafts = Drafts(TypeNames(), codec, clock, Ids(clock, rng), self.options, middleware)
        self._checked_out_types = {}
        self._facts = OwnerFacts(self.drafts, self.options)
        self.drafts.names.noticed = self._facts.notice

    def _ask_by(self, connection: Connection | DatabaseConnection, address: str, *, defers_policies: bool) -> None:
        """Have all that is asked go by a connection; after `_make_drafts`.

        `defers_policies`: a message that is published before its type's policy for keys is known here gets it from the owner.
        """
        self._connection = connection
        self._address = address
        if defers_policies:
            self.drafts.draft = without_policy_where_unknown(self.drafts.draft, lambda _: connection.says_policies)
        self.dead_letters = DeadLetters(self)
        self.admin = Admin(self)
        self.inner = self._inner_calls()

    def _equips(self) -> Callable[[Exchange], None]:
        return _equips(self._facts.origin, self.drafts.ahead_us)

    @property
    def audit(self) -> Audit:
        """Reads the folder, without asking the owner.

        Raises:
            StoreUnavailable: the folder is not there.
        """
        audit = Audit(self._address)
        return AskedAudit(reader_of(audit), self.permit, self.ask) if self.rights.are_limited else audit

    def __repr__(self) -> str:
        """Show the folder and the process that owns it."""
        owner = "closed" if self._why_closed else f"owner: process {self._connection.pid}"
        return f"<perdure.Client of {self._address!r}, {owner}>"

    def __reduce_ex__(self, _protocol: SupportsIndex) -> NoReturn:
        """Refuse to be copied or pickled.

        Raises:
            TypeError: always; another process calls `connect` itself.
        """
        msg = f"{self!r} can be neither copied nor pickled; call `perdure.connect(folder)` where it is needed"
        raise TypeError(msg)

    def take_facts(self, facts: dict[str, Any]) -> None:
        """Take the facts that the owner sends. Called in the connection's thread.

        Raises:
            ValueError: the owner's messages cannot be made here.
        """
        self._facts.take(facts)
        self.options = self._facts.options

    # --- life --------------------------------------------------------------------------------------------------------------

    def close(self, timeout: float | None = None) -> None:
        """Wait until all that was submitted is answered, for `timeout` seconds at most (`connect`'s unless given); then disconnect.

        What is called later raises NotRunning, as what was not answered. Closing twice does nothing.
        """
        wait_s = self._connection.timeout_s if timeout is None else checked_seconds("timeout", timeout)
        if not self._why_closed:
            self._why_closed = "the client takes no messages: it was closed. Connect again with `perdure.connect(folder)`"
            self._connection.close(wait_s, NotRunning(self._why_closed))
            self._closing.detach()
            _clients.discard(self)

    def rest(self) -> None:
        """End the connection through a database, unless something is asked; the next question makes it anew. A folder's stays."""
        self._connection.rest()

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close; see `close`."""
        self.close()

    async def __aenter__(self) -> Self:
        """Wait for the owner without blocking the event loop.

        Raises:
            NotRunning: as `connect`.
        """
        try:
            await self._ready()
        except BaseException:
            self.close(0.0)
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close without blocking the event loop; see `close`."""
        await completed(self.close)

    def begin_anew(self) -> None:
        """In a forked child: what waits here is the parent's; connect at the next call, with ids of its own."""
        self.drafts.ids.begin_anew(random.SystemRandom())
        parent = os.getppid()
        self._connection.discard_after_fork(
            NotRunning(f"this process was forked from process {parent}, which waits for that answer")
        )


def _equips(origin: Callable[[], str], ahead_us: Callable[[], int]) -> Callable[[Exchange], None]:
    """Return a function that enters into an exchange this process's name as a consumer, and its clock."""

    def equip(exchange: Exchange) -> None:
        exchange.origin = origin
        exchange.ahead_us = ahead_us

    return equip


def _clocks(drafts: Drafts) -> tuple[Callable[[], int], Callable[[], int | None]]:
    """Return what rows need of the clock of the drafts, which a Cluster replaces."""
    return drafts.ahead_us, lambda: mark_us(drafts.clock)


def _passes_facts_to(of: weakref.ref[Client]) -> Any:
    """Return a function that passes the owner's facts to a client, and does not keep the client alive."""

    def take(facts: dict[str, Any]) -> None:
        client = of()
        if client is not None:
            client.take_facts(facts)

    return take


def _close_dropped(connection: Connection | DatabaseConnection) -> None:
    """Close the connection of a client that was dropped, or that is open when the interpreter exits."""
    connection.close(0.5, NotRunning("the client was dropped without `close()`"))


def _in_a_forked_child() -> None:
    call_each(list(_clients), Client.begin_anew, FORKED)


os.register_at_fork(after_in_child=_in_a_forked_child)
