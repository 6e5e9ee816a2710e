"""The connection to another process that owns the folder, as the parts of the front door ask it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

from perdure.actors.core.threads.current_actor import check_may_wait
from perdure.actors.sessions.crossing import OWNER
from perdure.actors.sessions.figures import AskFigures
from perdure.events.errors import NotRunning, PerdureError
from perdure.runtime.asking import ASK_TIMEOUT_S, HANDLERS_SETTLE_S, Asking, asked
from perdure.security.rights import Rights

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from contextlib import AbstractContextManager

    from perdure.actors.core.threads.answer import Answer
    from perdure.actors.requests.pending import PendingRequests
    from perdure.actors.sessions.figures import RunFigures
    from perdure.processes.owner_facts import OwnerFacts
    from perdure.processes.to_owner.connection import Connection
    from perdure.processes.to_owner.database_connection import DatabaseConnection

__all__ = ["Connected", "held_elsewhere"]


class Connected(Asking):
    """What a `Client` stands on: requests go to whatever process owns the folder."""

    _connection: Connection | DatabaseConnection
    _why_closed: str = ""
    _facts: OwnerFacts
    _spools: bool = False
    """Publishes need no owner."""
    rights = Rights()
    """What principals may do here, before the owner asks for this process. Only a Cluster says so, of its clients."""

    @property
    def _pending(self) -> PendingRequests:
        return self._connection.pending

    def _check_running(self) -> None:
        if self._why_closed:
            raise NotRunning(self._why_closed)
        connection = self._connection
        if not (connection.publishes_alone or connection.welcomed.is_set()):  # no owner yet: nothing is known of what it takes
            check_may_wait()
            connection.start()
            if not self._is_welcomed(self._wait_s()) and not self._spools:
                raise connection.no_owner()

    def _wait_s(self) -> float:
        """Return how long to wait for the facts of an owner that a request depends on, in seconds."""
        connection = self._connection
        return connection.exchange.until_spool_s(time.monotonic()) if self._spools else connection.timeout_s

    def _check_known(self) -> None:
        """As `_check_running`, for a call that depends on the facts of an owner."""
        self._check_running()
        connection = self._connection
        if not connection.welcomed.is_set():
            connection.start()
            if not self._is_welcomed(connection.timeout_s):
                raise connection.no_owner()

    def _is_welcomed(self, wait_s: float) -> bool:
        """Wait until an owner has welcomed this client: for so long, or for as long as one tells that it reads its log."""
        while not self._connection.welcomed.wait(wait_s):
            wait_s = self._told_s()
            if wait_s <= 0:
                return False
        return True

    def _told_s(self) -> float:
        """Return for how many seconds more to wait for an owner that reads its log."""
        return -1.0 if self._spools else self._connection.exchange.told_until_s - time.monotonic()

    async def _ready(self) -> None:
        connection = self._connection
        if not (self._why_closed or connection.publishes_alone or connection.welcomed.is_set()):
            connection.start()
            wait_s = self._wait_s()
            while wait_s > 0 and not await asyncio.to_thread(connection.welcomed.wait, wait_s):
                wait_s = self._told_s()
            if not (self._spools or connection.welcomed.is_set()):
                raise connection.no_owner()

    def _pending_and_answer(self) -> tuple[PendingRequests, Answer]:
        check_may_wait()
        connection = self._connection
        return connection.pending, connection.answer()

    def ask(self, actor: str, command: Any, *, timeout_s: float = ASK_TIMEOUT_S) -> Any:
        """See `Asking.ask`."""
        self._check_running()
        pending, answer = self._pending_and_answer()
        return asked(pending, answer, actor, command, timeout_s)

    def permit(self, action: str, types: Callable[[], Iterable[str]] = lambda: ("",)) -> None:
        """See `Asking.permit`."""
        self.rights.require_of_acting(action, types)

    def _check_may_block(self, call: str, instead: str, types: Iterable[str]) -> None:
        """No handler of the owner runs on an event loop of this process."""

    def _check_outside_hooks(self, call: str) -> None:
        """No hook of the owner runs in this process."""

    _handlers_settle_s = HANDLERS_SETTLE_S

    @property
    def _handled(self) -> Collection[str]:
        self._check_known()
        return self._facts.handled

    def _retries_of(self, type_name: str) -> int:
        self._check_known()
        return self._facts.retries_of(type_name)

    def _waiting_for(self, _type_name: str, /) -> AbstractContextManager[None]:
        return contextlib.nullcontext()

    def _exception_of(self, _ident: str, /) -> BaseException | None:
        return None

    def run_figures(self) -> RunFigures:
        """See `Asking.run_figures`."""
        figures: RunFigures = self.ask(OWNER, AskFigures())
        return figures

    def hold_history(self) -> AbstractContextManager[None]:
        """Refuse: the history is held in the owner's process.

        Raises:
            PerdureError: always.
        """
        raise held_elsewhere()


def held_elsewhere() -> PerdureError:
    """Return the error for `hold_history` in a process that does not own the folder."""
    return PerdureError(
        "hold_history: call it in the owner's process, or leave a young file in the folder (docs/OPERATIONS.md, Backup)"
    )
