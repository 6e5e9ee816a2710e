"""The engine of a System that owns its store: it is built over the store that is open, started, and opened to other processes.

What a System does as a member, and what turns it into one, is in `engine_or_member`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from perdure.actors.execution.event_loop import CLOSED
from perdure.actors.queue.orphans import REATTACH_US
from perdure.events.errors import PerdureError
from perdure.events.queue.state import FOREVER
from perdure.handling.consuming import Consuming
from perdure.handling.including import Including
from perdure.handling.options.handler_options import check_changed_fields
from perdure.operations.asked_audit import AskedAudit
from perdure.publishing.results import Results
from perdure.runtime.current_run import Running
from perdure.runtime.engine import Engine
from perdure.runtime.sharing import owner_of

if TYPE_CHECKING:
    import asyncio
    import random
    from collections.abc import Callable

    from perdure.actors.core.clock import Clock
    from perdure.actors.core.executor import Executor
    from perdure.actors.services.runtime import HandlerRuntime
    from perdure.actors.sessions.owner import Owner
    from perdure.actors.sessions.server import Server
    from perdure.actors.workers.gates.gate import RunGate
    from perdure.events.codec.snapshot import States
    from perdure.operations.audit import Audit
    from perdure.options import Options
    from perdure.processes.member import Member
    from perdure.processes.roles import Roles
    from perdure.runtime.process import live_systems
    from perdure.runtime.recovery_report import Recovery
    from perdure.store import EventStore, Recovered

__all__ = ["OwnEngine"]

COULD_NOT_OWN = "it has stopped, since it could not become the owner of its folder"
START_AGAIN = "Nothing on record is lost: remove the cause, and start it again with `start()` (or restart the process)."


def _once(step: Callable[[], None]) -> Callable[[], None]:
    """Return a function that makes a step the first time it is called."""
    steps = [step]

    def first() -> None:
        if steps:
            steps.pop()()

    return first


def _with(origins: frozenset[str] | None, own: str) -> frozenset[str] | None:
    return None if origins is None else origins | {own}


class OwnEngine(Including, Results, Consuming, Running):
    """The part of `System` that builds and starts its engine. Called by the thread that starts, or by that of the role."""

    options: Options
    clock: Clock
    audit: Audit
    recovery: Recovery | None
    _executor: Executor
    _rng: random.Random
    _loop: asyncio.AbstractEventLoop | Literal["own"] | None
    _entered_on: asyncio.AbstractEventLoop | None
    """The loop of the `async with` that starts it."""
    _store: EventStore
    _gate: RunGate | None = None
    """Of a System that is one partition of a cluster."""
    _live_run: live_systems.Run | None
    _roles: Roles | None
    """Of the run of a shared System."""

    def _new_engine(
        self,
        opened: Recovered,
        server: Server | None = None,
        handlers: HandlerRuntime | None = None,
        warm: States | None = None,
    ) -> Engine:
        """Build the actors over the store that is open; it is closed if this raises."""
        try:
            if handlers is None:
                self.drafts.ids.begin(opened.epoch)
            engine = Engine(
                self._store,
                self.clock,
                self._rng,
                self.drafts,
                self.options,
                self._executor,
                self._hooks,
                run=self.drafts.ids.one(),
                host_loop=self._host_loop(),
                opened=opened,
                handlers=handlers,
                permit=self.rights.require if self.rights.are_limited else None,
                gate=self._gate,
                warm=warm,
                has_read=(lambda _: None) if server is None else server.reading(opened.last_seq),
            )
        except BaseException:
            self._store.abandon()
            raise
        engine.server = server
        if server is not None:
            orphans = engine.runtime.orphans
            orphans.wait_us, orphans.had_members = REATTACH_US, server.had_members
            server.is_settled = lambda: orphans.is_over
            orphans.origins = lambda: _with(server.origins(), self.drafts.ids.origin)
        return engine

    def _start_engine(self, engine: Engine, given_up: Callable[[], bool]) -> None:
        """Start the actors; they have ended if this raises."""
        self._engine = engine
        try:
            specs, schedules = dict(self._registered.specs), dict(self._registered.schedules)
            self.recovery = engine.start(specs, schedules, given_up, lambda: self._serve_others(engine))
            # Handlers that another thread registered while the engine started.
            for spec in [*self._registered.specs.values()]:
                if spec.type not in engine.runtime.pools.by_type:
                    engine.add(spec)
        except BaseException as error:
            if self._roles is not None:
                why = str(error).rstrip(".") or repr(error)
                self._why_not_running, self._stopped_by = f"{COULD_NOT_OWN}: {why}. {START_AGAIN}", error
            self._engine = None
            engine.shut_down(self._not_running())
            raise

    def _own(
        self, opened: Recovered, server: Server, member: Member, given_up: Callable[[], bool], warm: States | None = None
    ) -> Engine:
        """Start the actors over the parts that a member leaves; for `Roles`. Nothing of them runs if this raises."""
        self.drafts.options = self.options
        self.audit = AskedAudit(self._store, self.permit, self.ask)
        engine = self._new_engine(opened, server, member.runtime, warm)
        engine.runtime.orphans.reconciled = _once(member.own)  # what the workers hold may be completed: first it is revoked
        if self._live_run is not None:
            self._live_run.engine = engine
        try:
            self._start_engine(engine, given_up)
        except BaseException:
            self._engine = None
            raise
        return engine

    def _record(self, opened: Recovered, member: Member) -> Engine:
        """Put on record what has ended in a member that stops, on the store that is open; for `Roles`."""
        self.drafts.options = self.options
        engine = self._new_engine(opened, None, member.runtime)
        member.own()
        engine.runtime.orphans.wait_us = FOREVER  # others may have ended theirs, too, and come after this one
        engine.record_what_has_ended()
        return engine

    def _serve_others(self, engine: Engine) -> None:
        """Answer other processes, which wait in line since the folder was locked."""
        engine.serve(self._as_owner(engine))

    def _as_owner(self, engine: Engine) -> Owner:
        """Return what the sessions of other processes need of this run."""
        specs, pools = self._registered.specs, engine.runtime.pools
        return owner_of(
            engine.runtime,
            self.options,
            codec=self.drafts.codec,
            policies=self.drafts.policies,
            retries=lambda: {
                **{pool.type: pool.registered.retries for pool in pools.elsewhere},
                **{name: spec.retries for name, spec in list(specs.items())},
            },
            figures=self.run_figures,
            check_changes=check_changed_fields,
            under_policy=self.drafts.under_policy,
            hand_over=self._roles.agrees_to if self._roles is not None else lambda _: False,
            permit=self.rights.require if self.rights.are_limited else None,
        )

    def _host_loop(self) -> asyncio.AbstractEventLoop | None:
        loop = self._entered_on if self._loop is None else self._loop
        if loop == "own" or loop is None:
            return None
        if loop.is_closed():
            raise PerdureError(CLOSED)
        return loop
