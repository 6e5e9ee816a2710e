"""The part of a cluster that exists once in a process, or once in all: hooks, and relays of outboxes.

The actors and the recovery of each partition are reached from here, by its number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from perdure.cluster.placed import Placed
from perdure.cluster.single.outbox_rows import OutboxRows
from perdure.cluster.single.process_hooks import ProcessHooks
from perdure.events.errors import InvalidMessage, PerdureError
from perdure.handling.signatures import label_of
from perdure.runtime.hook_mark import check_outside_hooks

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from perdure.actors.core.extensions import Source
    from perdure.cluster.sums import ClusterAdmin
    from perdure.handling.hooks import Hooks
    from perdure.runtime.recovery_report import Recovery
    from perdure.system import System

__all__ = ["RELAYS", "Singular"]


RELAYS = 0
"""The partition whose owner relays the outboxes."""


class Singular(Placed):
    """The part of a `Cluster` that does not belong to single partitions."""

    admin: ClusterAdmin
    _hooks: Hooks
    _owns: bool
    _has_started: bool
    _outboxes: dict[str, OutboxRows]
    _process_hooks: ProcessHooks | None = None

    # --- hooks ---------------------------------------------------------------------------------------------------------------

    def _on_start(self, hook: Callable[[], Any]) -> None:
        if self._has_started:
            raise InvalidMessage(f"hook: {label_of(hook)} is for a start, and the cluster runs already; register it before")
        self._hooks.add(self._hooks.start, hook)

    def _on_stop(self, hook: Callable[[], Any]) -> None:
        if self._has_started and self._process_hooks is None:
            raise InvalidMessage(f"hook: {label_of(hook)} is the first one, and the cluster runs already; register it before")
        self._hooks.add(self._hooks.stop, hook)

    def _begin_hooks(self, loop: asyncio.AbstractEventLoop | None, given_up: Callable[[], bool]) -> None:
        """Run the start hooks, until the start is given up. Partitions that are opened later share the loop of the hooks."""
        if not self._hooks:
            return
        self._process_hooks = hooks = ProcessHooks(self._hooks, loop)
        self._blueprint.loop_of_hooks = hooks.loop
        hooks.start(given_up)

    def _end_hooks(self, seconds: float) -> None:
        hooks, self._process_hooks, self._blueprint.loop_of_hooks = self._process_hooks, None, None
        if hooks is not None:
            hooks.stop(seconds)

    def _adopt_hooks(self, system: System) -> None:
        """Show the handlers of a partition the context variables that the start hooks of this process have set."""
        if self._process_hooks is not None:
            system.on_start(self._process_hooks.adopt)

    def _check_outside_hooks(self, call: str) -> None:
        if self._process_hooks is not None:
            check_outside_hooks(self._process_hooks, call)

    # --- outboxes ------------------------------------------------------------------------------------------------------------

    def relay(self, source: Source) -> None:
        """Relay an outbox, in the process that owns partition 0; each process makes this call. For `OutboxRelay`.

        Raises:
            NotRunning: the cluster does not run.
            PerdureError: this process owns no partitions.
        """
        self._check_running()
        if not self._owns:
            raise PerdureError(
                "OutboxRelay: this process owns no partitions (`ownership='never'`), so it relays nothing: make the relay in those "
                "that run the handlers, or call `relay_once()` here"
            )
        rows = OutboxRows(source, self.publish_drafts)
        self._outboxes = {**self._outboxes, source.name: rows}
        system = self._hosting.system(RELAYS)
        if system is not None:
            system.relay(rows)

    def _relay_at(self, number: int, system: System) -> None:
        """Add the outboxes to partition 0 once it was opened."""
        for rows in self._outboxes.values() if number == RELAYS else ():
            system.relay(rows)

    def end_relay(self, name: str) -> None:
        """End the relay of an outbox. For `OutboxRelay`."""
        self._outboxes = {known: rows for known, rows in self._outboxes.items() if known != name}
        system = self._hosting.system(RELAYS)
        if system is not None:
            system.end_relay(name)

    def look_at_outboxes(self) -> None:
        """Read all outboxes at once, if this process relays them. For `OutboxRelay`."""
        system = self._hosting.system(RELAYS)
        if system is not None:
            system.look_at_outboxes()

    # --- what each partition has of its own ------------------------------------------------------------------------------------

    @property
    def recovery(self) -> dict[int, Recovery]:
        """The report of the last recovery of each partition that runs in this process, by its number."""
        found = {number: self._hosting.system(number) for number in self._hosting.mine()}
        return {number: one.recovery for number, one in found.items() if one is not None and one.recovery is not None}

    @property
    def actors(self) -> NoReturn:
        """Raise, since each partition has actors of its own.

        Raises:
            PerdureError: always; the text shows how to reach them.
        """
        raise PerdureError("actors: each partition has its own; where this process owns it, use `cluster.partition(number).actors`")

    def hold_history(self) -> AbstractContextManager[None]:
        """See `ClusterAdmin.hold_history`."""
        return self.admin.hold_history()
