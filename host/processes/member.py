"""`Member`: what a shared System holds while another process owns its folder.

Its requests go to the owner over a `Connection`. When this process becomes the owner, and how, is in `roles`.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perdure.actors.core.clock import ahead_us
from perdure.actors.core.messages import Outcomes, StartActor, WhenStaffed
from perdure.actors.core.threads.current_actor import check_may_wait
from perdure.actors.members.held_handlers import MemberHandlers
from perdure.actors.members.owner_words import Configured
from perdure.actors.sessions.crossing import OWNER
from perdure.actors.sessions.figures import AskFigures
from perdure.actors.workers.pools.pool import Pool
from perdure.events.processes.log_reading import OWNER_WAIT_S
from perdure.processes.connected import held_elsewhere
from perdure.processes.member_outboxes import MemberOutboxes
from perdure.processes.to_owner.connection import Connection
from perdure.processes.to_owner.spooling import Spooling
from perdure.processes.ways.way import FolderWay
from perdure.runtime.actor_shutdown import ActorShutdown
from perdure.runtime.asking import ASK_TIMEOUT_S, asked
from perdure.runtime.registering import register

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from contextlib import AbstractContextManager

    from perdure.actors.core.extensions import Schedule
    from perdure.actors.core.threads.answer import Answer
    from perdure.actors.services.runtime import HandlerRuntime
    from perdure.actors.sessions.figures import RunFigures
    from perdure.actors.sessions.server import Server
    from perdure.actors.workers.handler_spec import HandlerSpec
    from perdure.events.errors import NotRunning
    from perdure.processes.owner_facts import OwnerFacts
    from perdure.processes.role_rules import Event
    from perdure.processes.to_owner.exchange import Exchange
    from perdure.runtime.hook_mark import Hooks
    from perdure.runtime.run import Role, Run

__all__ = ["OWNER_WAIT_S", "Member"]

ALONE_S = 0.3
"""How long a member that stops waits for an owner before it records itself what its handlers have ended: others go first."""


class Member:
    """A run over a connection; see `Run`.

    Args:
        runtime: the parts of the System that outlive its role; their requests go to the owner from now on.
        folder: the owner's.
        facts: takes the facts that the owner sends.
        watch: see `Connection`.
        hooks: the host's.
        spools: publishes go to a spool file while no owner answers.
        before: the member in whose place this one is, if it has left its connection.
    """

    server: Server | None = None
    is_late = False
    """It became one while its System ran: no start waits until its handlers are at work."""
    record_alone: Callable[[], Run | None] = staticmethod(lambda: None)
    """See `Roles.record_alone`."""
    deputy_seq: Callable[[], int | None] = staticmethod(lambda: None)
    """Returns up to where this process has folded the log; None: it is no deputy."""

    def __init__(
        self,
        runtime: HandlerRuntime,
        folder: Path,
        facts: OwnerFacts,
        watch: Callable[[Event], None],
        hooks: Hooks,
        *,
        spools: bool = False,
        before: Member | None = None,
    ) -> None:
        self.runtime = runtime
        self._spools = spools
        self._spooling: Spooling | None = None if before is None else before._spooling  # noqa: SLF001 - of its own class
        self.facts = facts
        self._folder = folder
        self._watch = watch
        self._hooks = hooks
        self._has_started = False
        self._recorder: Run | None = None
        """While it stops: what puts on record how its handlers ended."""
        self._alone_since_s = 0.0
        self._shutdown = ActorShutdown(runtime)
        self._handlers: MemberHandlers = MemberHandlers(runtime, self._post, None if before is None else before._handlers)  # noqa: SLF001 - of its own class
        self._outboxes = MemberOutboxes(runtime, self._post)
        runtime.host.wants_loop = bool(hooks) and hooks.need_loop
        runtime.pools.is_open = runtime.hooks_started or not hooks
        self.connect_anew()

    def _post(self, frame: bytes) -> None:
        self.connection.post(frame)

    @property
    def role(self) -> Role:
        """See `Run.role`."""
        return "member"

    # --- its connection ----------------------------------------------------------------------------------------------------

    def connect_anew(self) -> None:
        """Make the connection, which begins to look for an owner with its first request, or at its `start`."""
        pending = self.runtime.pending
        self._spooling = Spooling(self._folder, before=self._spooling) if self._spools else None
        self.connection = Connection(
            FolderWay(self._folder),
            OWNER_WAIT_S,
            f"{Path(sys.argv[0] or 'python').name} {os.getpid()}",
            self.take_facts,
            equip=self._equip,
            spool=self._spooling,
            watch=self._watch,
            pending=pending,
        )
        pending.redirect(self._tell)

    def _equip(self, exchange: Exchange) -> None:
        handlers = self._handlers
        exchange.takers.update(handlers.takers)
        self.runtime.health.owner = exchange.owner  # of another connection than the one that was left, if one was
        exchange.first_frames += [handlers.first_frames, self._outboxes.first_frames]
        exchange.is_local, exchange.crossing = handlers.is_local, handlers.crossing
        exchange.sent_with_pings = self._sent_with_pings
        exchange.descriptors = handlers.descriptors
        exchange.origin = self.facts.origin
        exchange.ahead_us = partial(ahead_us, self.runtime.clock)
        exchange.is_member = True

    def _sent_with_pings(self) -> list[Any]:
        seq = self.deputy_seq()
        return [*self._handlers.times(), *self._outboxes.claims(), *([] if seq is None else [[seq]])]

    def take_facts(self, facts: dict[str, Any]) -> None:
        """Take the facts that the owner sends, and which outboxes it has this process relay. Called in the connection's thread.

        Raises:
            ValueError: as `OwnerFacts.take`.
        """
        self.facts.take(facts)
        self._outboxes.take(facts)

    def _tell(self, target: str, request: Any) -> None:
        if self._handlers.is_local(request):
            self.runtime.directory.tell(target, request)
        else:
            self.connection.tell(target, request)

    def answer(self) -> Answer:
        """See `Run.answer`: the thread that waits for it reads the connection meanwhile."""
        check_may_wait()
        return self.connection.answer()

    def anew(self) -> Member:
        """Return another one over the same parts, for a process that has left this one's connection."""
        made = Member(self.runtime, self._folder, self.facts, self._watch, self._hooks, spools=self._spools, before=self)
        made.is_late = True
        made.record_alone, made.deputy_seq = self.record_alone, self.deputy_seq
        return made

    def leave(self) -> None:
        """Let the connection go. All requests stay as they are: the actors of this process answer them, once they run."""
        pending = self.runtime.pending
        self._handlers.leave()
        pending.redirect(self.runtime.directory.tell)
        if self._spools:
            pending.hold_publishes()
        self.connection.leave()
        self._outboxes.leave()
        self.facts.are_known = True
        for request in list(pending.outstanding.values()) if self._spools else ():
            self.facts.add_policies(request.command)

    def own(self) -> None:
        """Take note that this process owns the folder, and has read the log; after `leave`, before the actors begin."""
        self._handlers.own()

    # --- requests ----------------------------------------------------------------------------------------------------------

    @property
    def handled(self) -> Collection[str]:
        """See `Run.handled`."""
        return self.facts.handled.keys() | self.runtime.pools.by_type.keys()

    def ask(self, actor: str, command: Any, *, timeout_s: float = ASK_TIMEOUT_S) -> Any:
        """See `Run.ask`."""
        answer = self.runtime.executor.answer() if actor == "supervisor" else self.answer()  # that one is in this process
        return asked(self.runtime.pending, answer, actor, command, timeout_s)

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

    def start(self, specs: Mapping[str, HandlerSpec], schedules: Mapping[str, Schedule]) -> None:
        """Start the actors, and have the handlers run; called again, it does nothing. `ready` waits for them."""
        if self._has_started:
            return
        self._has_started = True
        runtime = self.runtime
        for spec in specs.values():
            runtime.pools.add(Pool(spec))
        for schedule in list(schedules.values()):
            runtime.extensions.add_schedule(schedule)
        self._handlers.start()

    def ready(self, given_up: Callable[[], bool] = lambda: False) -> None:
        """Return once the start hooks have run, the owner has the handlers on record, and their workers run.

        Raises:
            Whatever a start hook raises, and all that `ask` raises.
        """
        runtime = self.runtime
        if self._hooks and not runtime.hooks_started:
            runtime.directory.tell("supervisor", StartActor("event_loop"))
            self.ask("supervisor", WhenStaffed())
            self._hooks.run_start(runtime, given_up)
            runtime.hooks_started = True
        runtime.pools.is_open = True
        for pool in runtime.pools.by_type.values():
            self._register(pool.registered)
            runtime.directory.tell("dispatcher", Configured(pool.type))
        self.ask("supervisor", WhenStaffed())
        if runtime.extensions.schedules:
            runtime.directory.tell("supervisor", StartActor("scheduler"))

    def _register(self, spec: HandlerSpec) -> None:
        register(self.ask, spec, self.runtime.started_us)

    def add(self, spec: HandlerSpec, schedule: Schedule | None = None) -> None:
        """See `Run.add`."""
        pool = self.runtime.pools.add(Pool(spec))
        before, pool.registered = pool.registered, spec
        try:
            self._register(spec)
        except BaseException:
            pool.registered = before
            raise
        self.runtime.directory.tell("dispatcher", Configured(spec.type))
        self.ask("supervisor", WhenStaffed())
        if schedule is not None:
            self.runtime.add_schedule(schedule)

    # --- the end -----------------------------------------------------------------------------------------------------------

    def stop(self, grace_s: float, why: NotRunning) -> None:
        """See `Run.stop`. Where no process owns the folder, this one records what its handlers have ended."""
        runtime = self.runtime
        runtime.health.closing = True
        runtime.pending.closed = runtime.pending.closed or why
        self._alone_since_s = runtime.executor.monotonic_s()
        until_s = self._alone_since_s + grace_s
        try:
            if self._has_started and runtime.health.failed is None:
                self._shutdown.bring_to_rest(grace_s, OWNER_WAIT_S, self._record_if_alone)
        finally:
            (self._recorder or self).shut_down(why, until_s - runtime.executor.monotonic_s())

    def _record_if_alone(self) -> None:
        """Put on record what ended here, once no handler runs and no owner has answered for a while."""
        if self._recorder is not None:
            return
        now_s = self.runtime.executor.monotonic_s()
        if self.connection.exchange.is_up or not self._only_reports_are_left():
            self._alone_since_s = now_s
        elif now_s >= self._alone_since_s + ALONE_S:
            self._recorder = self.record_alone()

    def _only_reports_are_left(self) -> bool:
        """Return whether no handler runs, and how some have ended is not known to be on record."""
        runtime = self.runtime
        if any(pool.running() for pool in list(runtime.pools.by_type.values())):
            return False
        return any(type(request.command) is Outcomes for request in list(runtime.pending.outstanding.values()))

    def end_grace(self) -> None:
        """See `Run.end_grace`."""
        self._shutdown.end_grace()

    def let_go(self, why: NotRunning) -> None:
        """See `Run.let_go`. The owner gives to others what the workers here had."""
        self._handlers.end()
        self._shutdown.end_roles(but=("event_loop",))
        self.connection.close(0.0, why)
        self._shutdown.end_workers()

    def shut_down(self, why: NotRunning, hooks_s: float = 0.0) -> None:
        """See `Run.shut_down`."""
        runtime = self.runtime
        runtime.health.closing = True
        self._handlers.end()
        for pool in list(runtime.pools.by_type.values()):
            pool.closed = True
        if runtime.hooks_started:
            runtime.hooks_started = False
            self._hooks.run_stop(runtime, hooks_s)
        left = self._shutdown.end_roles()
        self.connection.close(max(0.0, min(hooks_s, OWNER_WAIT_S)), why)
        self._shutdown.end_workers()
        self._shutdown.log_left_behind(left)

    def discard_after_fork(self, why: NotRunning) -> None:
        """See `Run.discard_after_fork`."""
        self.runtime.health.closing = True
        self._handlers.end()
        self.connection.discard_after_fork(why, for_good=True)
