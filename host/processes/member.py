"""`Member`: what a shared System holds while another process owns its folder.

Its requests go to the owner over a `Connection`. When this process becomes the owner, and how, is in `roles`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perdure.actors.sessions.crossing import OWNER
from perdure.actors.sessions.figures import AskFigures
from perdure.processes.connected import held_elsewhere
from perdure.processes.connection import Connection
from perdure.runtime.asking import ASK_TIMEOUT_S, asked

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from contextlib import AbstractContextManager

    from perdure.actors.core.extensions import Schedule, Source
    from perdure.actors.services.runtime import HandlerRuntime
    from perdure.actors.sessions.figures import RunFigures
    from perdure.actors.sessions.server import Server
    from perdure.actors.workers.handler_spec import HandlerSpec
    from perdure.events.errors import NotRunning
    from perdure.processes.facts import OwnersFacts
    from perdure.processes.role_rules import Event
    from perdure.runtime.run import Role

__all__ = ["OWNER_WAIT_S", "Member"]

OWNER_WAIT_S = 10.0
"""How long a start, and each request, waits for an owner and for a sign of life of the one that there is."""


class Member:
    """A run over a connection; see `Run`.

    Args:
        runtime: the parts of the System that outlive its role; their requests go to the owner from now on.
        folder: the owner's.
        facts: where what the owner says of itself goes.
        watch: see `Connection`.
    """

    server: Server | None = None

    def __init__(self, runtime: HandlerRuntime, folder: Path, facts: OwnersFacts, watch: Callable[[Event], None]) -> None:
        self.runtime = runtime
        self.facts = facts
        self._folder = folder
        self._watch = watch
        self.connect_anew()

    @property
    def role(self) -> Role:
        """See `Run.role`."""
        return "member"

    # --- its connection ----------------------------------------------------------------------------------------------------

    def connect_anew(self) -> None:
        """Make the connection, which begins to look for an owner with its first request, or at its `start`."""
        name = f"{Path(sys.argv[0] or 'python').name} {os.getpid()}"
        pending = self.runtime.pending
        self.connection = Connection(self._folder, OWNER_WAIT_S, name, self.facts.take, watch=self._watch, pending=pending)
        pending.redirect(self.connection.tell)

    def leave(self) -> None:
        """Let the connection go. All requests stay as they are: the actors of this process answer them, once they run."""
        self.runtime.pending.redirect(self.runtime.directory.tell)
        self.connection.leave()

    # --- requests ----------------------------------------------------------------------------------------------------------

    @property
    def handled(self) -> Collection[str]:
        """See `Run.handled`."""
        return self.facts.handled.keys() | self.runtime.pools.by_type.keys()

    def ask(self, actor: str, command: Any, *, timeout_s: float = ASK_TIMEOUT_S) -> Any:
        """See `Run.ask`."""
        runtime = self.runtime
        return asked(runtime.pending, runtime.executor.answer(), actor, command, timeout_s)

    def run_figures(self) -> RunFigures:
        """See `Run.run_figures`."""
        figures: RunFigures = self.ask(OWNER, AskFigures())
        return figures

    def hold_history(self) -> AbstractContextManager[None]:
        """See `Run.hold_history`.

        Raises:
            PerdureError: always; the history is held in the owner's process.
        """
        raise held_elsewhere()

    # --- handlers ----------------------------------------------------------------------------------------------------------

    def add(self, spec: HandlerSpec, schedule: Schedule | None = None) -> None:
        """See `Run.add`. It runs once this process owns the folder."""

    def add_schedule(self, schedule: Schedule) -> None:
        """See `Run.add_schedule`."""

    def add_outbox(self, source: Source) -> None:
        """See `Run.add_outbox`."""

    # --- the end -----------------------------------------------------------------------------------------------------------

    def stop(self, grace_s: float, why: NotRunning) -> None:
        """See `Run.stop`."""
        self.runtime.health.closing = True
        self.connection.close(min(grace_s, OWNER_WAIT_S), why)

    def end_grace(self) -> None:
        """See `Run.end_grace`."""

    def shut_down(self, why: NotRunning, hooks_s: float = 0.0) -> None:  # noqa: ARG002 - the protocol's name
        """See `Run.shut_down`."""
        self.stop(0.0, why)

    def discard_after_fork(self, why: NotRunning) -> None:
        """See `Run.discard_after_fork`."""
        self.runtime.health.closing = True
        self.connection.discard_after_fork(why, for_good=True)
