"""What a System stands on while it runs: an engine of its own, or a member's connection to the process that owns the folder.

Which of them, and when that changes, is decided in `perdure.processes.roles`; starting and stopping are in `start_and_stop`.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Literal

from perdure.actors.core.messages import Report
from perdure.actors.execution.event_loop import CLOSED
from perdure.actors.queue.orphans import REATTACH_US
from perdure.actors.services.runtime import HandlerRuntime
from perdure.actors.sessions.crossing import OWNER
from perdure.actors.sessions.figures import AskFigures
from perdure.events.errors import NotRunning, PerdureError
from perdure.events.loggers import GuardedLogger
from perdure.events.queue.state import FOREVER
from perdure.handling.consuming import Consuming
from perdure.handling.including import Including
from perdure.handling.options.handler_options import check_changed_fields
from perdure.operations.asked_audit import AskedAudit
from perdure.payloads.type_names import namesakes
from perdure.processes.deputy import Deputy, warm_fold_of
from perdure.processes.member import Member
from perdure.processes.owner_facts import OwnerFacts
from perdure.processes.role_rules import Event
from perdure.processes.roles import Roles
from perdure.publishing.results import Results
from perdure.runtime.current_run import Running
from perdure.runtime.engine import Engine
from perdure.runtime.process import live_systems
from perdure.runtime.sharing import owner_of
from perdure.store.disk.polling import check_poll

if TYPE_CHECKING:
    import asyncio
    import random
    from collections.abc import Callable

    from perdure.actors.core.clock import Clock
    from perdure.actors.core.executor import Executor
    from perdure.actors.sessions.figures import RunFigures
    from perdure.actors.sessions.owner import Owner
    from perdure.actors.sessions.server import Server
    from perdure.actors.workers.gates.gate import RunGate
    from perdure.config import Traced
    from perdure.events.codec.snapshot import States
    from perdure.lifecycle.inner_system import InnerSystem
    from perdure.operations.audit import Audit
    from perdure.options import Options
    from perdure.processes.role_rules import Ownership
    from perdure.runtime.process.lifecycle_steps import Start
    from perdure.runtime.recovery_report import Recovery
    from perdure.runtime.run import Role
    from perdure.store import EventStore, Recovered, SegmentStore

__all__ = ["EngineOrMember"]

logger = GuardedLogger("perdure")

COULD_NOT_OWN = "it has stopped, since it could not become the owner of its folder"
START_AGAIN = "Nothing on record is lost: remove the cause, and start it again with `start()` (or restart the process)."

WARN_S = 2.0
"""How long a member waits, at its start, for what it would warn of."""


def _once(step: Callable[[], None]) -> Callable[[], None]:
    """Return a function that makes a step the first time it is called."""
    steps = [step]

    def first() -> None:
        if steps:
            steps.pop()()

    return first


def _with(origins: frozenset[str] | None, own: str) -> frozenset[str] | None:
    return None if origins is None else origins | {own}


class EngineOrMember(Including, Results, Consuming, Running):
    """The part of `System` that builds what it runs on. Called by the thread that starts, or by that of the role."""

    options: Options
    clock: Clock
    audit: Audit
    recovery: Recovery | None
    _spools: bool
    _ownership: Ownership
    _is_deputy: bool
    """As a member it keeps a fold of the log warm."""
    _configuration: Traced
    _executor: Executor
    _seed: int | None
    _rng: random.Random
    _loop: asyncio.AbstractEventLoop | Literal["own"] | None
    _entered_on: asyncio.AbstractEventLoop | None
    """The loop of the `async with` that starts it."""
    _store: EventStore
    _shared_store: SegmentStore | None = None
    """The store of a folder that other processes use too."""
    inner: InnerSystem
    """What this System offers the other rooms of host/."""
    _gate: RunGate | None = None
    """Of a System that is one partition of a cluster."""
    _live_run: live_systems.Run | None
    _roles: Roles | None
    """Of the run of a shared System."""

    def _begin_shared(self, start: Start, store: SegmentStore, address: str | None) -> None:
        """Take a role in the folder; see `Roles`."""
        check_poll("a shared System")
        roles = Roles(
            self,
            store,
            self._ownership,
            spools=self._spools,
            deputy=Deputy(warm_fold_of(store, self.options)) if self._is_deputy else None,
        )
        facts = OwnerFacts(self.drafts, self.options, self._registered.specs)
        runtime = HandlerRuntime(
            clock=self.clock, rng=self._rng, publisher=self.drafts, tuning=self.options, run="", executor=self._executor
        )
        runtime.host.loop = self._host_loop()
        runtime.extensions.is_shared = True
        runtime.budget.on_given_up = lambda: roles.tell(Event.GAVE_UP)
        versions = self.drafts.names.versions
        runtime.pools.version_of = lambda type_name: versions.get(type_name, 1)
        member = roles.member = Member(runtime, store.path.absolute(), facts, roles.tell, self._hooks, spools=self._spools)
        member.record_alone = roles.record_alone
        member.deputy_seq = lambda: None if roles.deputy is None else roles.deputy.seq
        self._roles = roles
        if self._seed is not None:
            self.drafts.ids.begin(os.getpid())  # no other process with this seed makes the same
        self._live_run = live_systems.Run(self, member, address, self.options.grace_s, roles.end)
        live_systems.remember_run(self._live_run)
        try:
            roles.begin(lambda: start.given_up)
            if self._engine is member and not member.is_late:
                self._member_ready(member, lambda: start.given_up)
        except BaseException:
            roles.end()
            self._live_run.engine.shut_down(self._not_running())
            self._leave_run()
            raise

    def _leave_run(self) -> None:
        run, self._engine, self._live_run = self._live_run, None, None  # a stop that waits for this start finds nothing to end
        if run is not None:
            run.leave()

    def _knows_policy(self, type_name: str) -> bool:
        roles = self._roles
        return roles is not None and roles.member.facts.knows_policy(type_name)

    def _belong(self, member: Member, *, is_owned: bool = True) -> None:
        """Go on as a member; for `Roles`."""
        self.audit = AskedAudit(self._store.separate_reader(), self.permit, self.ask)  # reads what the owner writes
        self._engine = member
        member.start(dict(self._registered.specs), dict(self._registered.schedules))
        if member.is_late and is_owned:
            member.is_late = False
            self._executor.beside(lambda: self._late_ready(member), "member")

    def _member_anew(self, member: Member) -> Member:
        """Return a member in the place of one that has left its connection; for `Roles`."""
        made = member.anew()
        if self._live_run is not None:
            self._live_run.engine = made
        self._engine = made
        return made

    def _hand_over(self) -> Member | None:
        """End the actors in good order and free the folder; return what goes on as a member. For `Roles`."""
        engine, roles = self._engine, self._roles
        if not isinstance(engine, Engine) or roles is None:
            return None
        pid = self._executor.pid()
        engine.come_to_rest(self.options.grace_s, NotRunning(f"process {pid} hands the folder over to one that prefers to own it"))
        member = self._member_anew(roles.member)  # from here on requests wait for the next owner
        engine.leave()
        return member

    def _free(self) -> None:
        """End what runs after it has given up; for `Roles`."""
        engine = self._engine
        if engine is not None and isinstance(why := engine.runtime.health.failed, NotRunning):
            engine.let_go(why)

    def _late_ready(self, member: Member) -> None:
        try:
            self._member_ready(member, lambda: member.runtime.health.closing)
        except (PerdureError, TimeoutError) as error:
            if not member.runtime.health.closing:
                logger.warning("not all handlers of this process are at work since it handed the folder over: %s", error)

    def _member_ready(self, member: Member, given_up: Callable[[], bool]) -> None:
        """Wait until the handlers of a member are at work; those too that another thread registered meanwhile."""
        member.ready(given_up)
        for spec in [*self._registered.specs.values()]:
            if spec.type not in member.runtime.pools.by_type:
                member.add(spec)
        self._warn_of_namesakes(member)

    def _warn_of_namesakes(self, member: Member) -> None:
        """Warn of what waits and nothing handles, while a class of the same name has a handler. Nothing depends on the answers."""
        with contextlib.suppress(PerdureError, TimeoutError):
            by_type = member.ask("queue", Report(), timeout_s=WARN_S).by_type
            waiting = {name: counts.ready + counts.delayed + counts.held for name, counts in by_type.items()}
            if namesakes(waiting, self._registered.specs):
                figures: RunFigures = member.ask(OWNER, AskFigures(), timeout_s=WARN_S)
                for warning in namesakes(waiting, figures.handlers):
                    logger.warning("%s", warning)

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

    @property
    def role(self) -> Role:
        """What this process is to its folder: `"owner"`, which runs the actors, or `"member"`, which another process answers."""
        engine = self._engine
        return "owner" if engine is None else engine.role

    @property
    def deputy_seq(self) -> int | None:
        """Up to which event this process, a deputy, has folded the log; None where it is none, or owns the folder.

        `admin.metrics().seq` less this is how many events a takeover would have to fold.
        """
        roles = self._roles
        deputy = None if roles is None else roles.deputy
        return None if deputy is None or self.role == "owner" else deputy.seq

    def _host_loop(self) -> asyncio.AbstractEventLoop | None:
        loop = self._entered_on if self._loop is None else self._loop
        if loop == "own" or loop is None:
            return None
        if loop.is_closed():
            raise PerdureError(CLOSED)
        return loop

    def _retries_of(self, type_name: str) -> int:
        spec, engine = self._registered.specs.get(type_name), self._engine
        if spec is not None:
            return spec.retries
        return engine.facts.retries_of(type_name) if isinstance(engine, Member) else self.options.retries
