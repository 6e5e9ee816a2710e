"""What a System stands on while it runs: an engine of its own, or a member's connection to the process that owns the folder.

Which of them, and when that changes, is decided in `perdure.processes.roles`. An engine is built in `own_engine`; starting and
stopping are in `start_and_stop`.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from perdure.actors.core.messages import Report
from perdure.actors.services.runtime import HandlerRuntime
from perdure.actors.sessions.crossing import OWNER
from perdure.actors.sessions.figures import AskFigures
from perdure.events.errors import NotRunning, PerdureError
from perdure.events.loggers import GuardedLogger
from perdure.lifecycle.own_engine import OwnEngine
from perdure.operations.asked_audit import AskedAudit
from perdure.payloads.type_names import namesakes
from perdure.processes.deputy import Deputy, warm_fold_of
from perdure.processes.member import Member
from perdure.processes.owner_facts import OwnerFacts
from perdure.processes.role_rules import Event
from perdure.processes.roles import Roles
from perdure.runtime.engine import Engine
from perdure.runtime.process import live_systems
from perdure.store.disk.polling import check_poll

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.actors.sessions.figures import RunFigures
    from perdure.config import Traced
    from perdure.lifecycle.inner_system import InnerSystem
    from perdure.processes.role_rules import Ownership
    from perdure.runtime.process.lifecycle_steps import Start
    from perdure.runtime.run import Role
    from perdure.store import SegmentStore

__all__ = ["EngineOrMember"]

logger = GuardedLogger("perdure")

WARN_S = 2.0
"""How long a member waits, at its start, for what it would warn of."""


class EngineOrMember(OwnEngine):
    """The part of `System` that turns it into a member or an owner. Called by the thread that starts, or by that of the role."""

    _spools: bool
    _ownership: Ownership
    _is_deputy: bool
    """As a member it keeps a fold of the log warm."""
    _configuration: Traced
    _seed: int | None
    _shared_store: SegmentStore | None = None
    """The store of a folder that other processes use too."""
    inner: InnerSystem
    """What this System offers the other rooms of host/."""

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

    def _retries_of(self, type_name: str) -> int:
        spec, engine = self._registered.specs.get(type_name), self._engine
        if spec is not None:
            return spec.retries
        return engine.facts.retries_of(type_name) if isinstance(engine, Member) else self.options.retries
