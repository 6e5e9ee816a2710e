"""A start and a stop of a System: in whichever thread, once at a time, and nothing runs where one was interrupted.

What is started is built in `engine_or_member`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from perdure.actors.core.threads.current_actor import CURRENT
from perdure.actors.execution.invocation import CALLER
from perdure.events.errors import PerdureError, WouldDeadlock
from perdure.events.loggers import GuardedLogger
from perdure.lifecycle.engine_or_member import EngineOrMember
from perdure.lifecycle.inner_system import InnerSystem
from perdure.operations.asked_audit import AskedAudit
from perdure.runtime.hook_mark import check_outside_hooks
from perdure.runtime.process import live_systems
from perdure.runtime.process.lifecycle_steps import LifecycleSteps, Start, Startable
from perdure.runtime.process.starting_apart import completed, running_loop
from perdure.store.other_processes import StandsBy

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from perdure.actors.workers.gates.gate import RunGate
    from perdure.publishing.drafts import Drafts
    from perdure.publishing.message_ids import Ids

__all__ = ["StartAndStop"]

logger = GuardedLogger("perdure")


class StartAndStop(EngineOrMember, Startable):
    """The part of `System` that starts and stops it. Safe in any thread."""

    def _lifecycle_steps(self) -> LifecycleSteps:
        return LifecycleSteps("system", self._executor, self._begin, self._end, self._end_grace, lambda: self._engine is None)

    def _inner_system(self) -> InnerSystem:
        """Return what this System offers the other rooms of host/."""
        return InnerSystem(
            **attrs.asdict(self._inner_calls(), recurse=False),
            store=self._store,
            registered=self._registered,
            run=lambda: self._engine,
            failure=self._failure,
            end_grace=self._end_grace,
            check_may_block=self._check_may_block,
            forked=self._in_a_forked_child,
            be_partition=self._be_partition,
            enter=self._enter,
            enter_schedule=self._enter_schedule,
            belong=self._belong,
            belong_to_none=lambda member: self._belong(member, is_owned=False),
            member_anew=self._member_anew,
            own=self._own,
            record=self._record,
            hand_over=self._hand_over,
            free=self._free,
        )

    def _be_partition(self, of: Drafts, ids: Ids, gate: RunGate) -> None:
        self.drafts.names, self.drafts.policies, self.drafts.ids = of.names, of.policies, ids
        self._gate = gate

    def _failure(self) -> BaseException | None:
        engine = self._engine
        failed = None if engine is None else engine.runtime.health.failed
        return None if failed is None else failed.__cause__ or failed

    def start(self) -> None:
        """Recover the folder and start the actors; return when the handlers are at work.

        If this raises, KeyboardInterrupt included, nothing runs and the folder is free. If this process is still stopping a system
        on the same folder, this waits for that stop.

        Raises:
            StoreLocked: another process that is alive owns the folder.
            StoreCorrupt: committed history is damaged; nothing was changed.
            StoreUnavailable: the folder cannot be read or written, or a newer version wrote it.
            PerdureError: the system runs already.
        """
        self._start_as(Start())

    def _start_as(self, start: Start) -> None:
        loop = running_loop()
        if loop is not None and loop is self._loop and self._hooks:
            msg = "start: its hooks run on this very event loop, which a start would block; use `async with system:`"
            raise PerdureError(msg)
        if (CURRENT.actor is not None or CALLER.get() is not None) and live_systems.is_ending(
            live_systems.address_of(self._store), self
        ):
            msg = "start: it waits until the system has stopped, and that waits for the handler (or callback) that calls it"
            raise WouldDeadlock(msg)
        if self._engine is not None:
            check_outside_hooks(self._engine.runtime, "start")
        self._lifecycle.start(start)

    def _begin(self, start: Start) -> None:
        self._entered_on = start.loop
        try:
            self._begin_on_store(start)
        finally:
            self._entered_on = None

    def _begin_on_store(self, start: Start) -> None:
        logger.info("%s", self._configuration)
        self._registered.check_processes()
        self._registered.warn_of_unused()
        address = live_systems.address_of(self._store)
        live_systems.wait_until_stopped(address)
        if self._shared_store is not None:
            self._begin_shared(start, self._shared_store, address)
            return
        if isinstance(self._store, StandsBy):
            self._store.is_given_up = lambda: start.given_up or start.stands_by_no_more()
        engine = self._new_engine(self._store.open())
        self._live_run = live_systems.Run(self, engine, address, self.options.grace_s)
        live_systems.remember_run(self._live_run)
        try:
            self._start_engine(engine, lambda: start.given_up)
        except BaseException:
            self._leave_run()
            raise

    def stop(self, grace: float | None = None) -> None:
        """Stop in good order, and return when the folder is free.

        Handlers in flight get `grace` seconds (`Options.grace_s` unless given). Then their messages go back to the queue, and the
        attempt does not count. Then a snapshot is taken. A handler that does not end in its grace is left behind, with a line in
        the log, and the folder is free all the same. KeyboardInterrupt ends the grace period, and is raised once the folder is
        free. Stopping a system that does not run does nothing.

        In a handler, in a callback of a future, or on the event loop that the handlers run on, this only begins to stop and returns
        at once, so that the handler has its grace to end in. Any other call of `stop` waits.
        """
        self._lifecycle.stop(grace, self.options.grace_s, self._is_awaited)

    def _stop_start(self, start: Start) -> None:
        self._lifecycle.stop(0.0, 0.0, self._is_awaited, start)

    def _end_grace(self) -> None:
        if (engine := self._engine) is not None:
            engine.end_grace()

    def _is_awaited(self) -> bool:
        """Return whether a stop waits for its caller: a handler, a callback, or the loop that handlers and hooks need to end."""
        if CURRENT.actor is not None or CALLER.get() is not None:
            return True
        engine = self._engine
        loop = None if engine is None else engine.runtime.host.loop
        return loop is not None and running_loop() is loop

    def _end(self, grace_s: float) -> None:
        if (run := self._live_run) is None:
            return
        self._stopped_by = None
        self._why_not_running = "it was stopped. Start it again to publish, with `with system:`, `start()` or `serve()`"
        try:
            run.end(grace_s, self._not_running())
        finally:
            self._engine = self._live_run = None

    async def __aenter__(self) -> Self:
        """Start without blocking the event loop; see `start`. If the await is cancelled, nothing runs.

        Coroutine handlers and hooks run on this loop, unless the system was given another; see `loop`.
        """
        await self._enter_apart()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop without blocking the event loop; see `stop`.

        A cancelled await ends the grace period, and is raised once the folder is free.
        """
        await completed(self.stop, self._end_grace)

    def _in_a_forked_child(self, parent: int) -> None:
        """Take note, in a forked child, that the threads have stayed with the parent. For `live_systems`."""
        self._lifecycle = self._lifecycle_steps()  # a thread that is gone may have been in the middle of a step
        if self._seed is None:
            self._rng.seed()
            self.drafts.ids.begin_anew(self._rng)
        if self._live_run is not None or self._engine is not None:
            self._engine = self._live_run = None
            self._why_not_running, self._stopped_by = live_systems.why_forked(parent), None
            self.audit = AskedAudit(self._store.separate_reader(), self.permit)  # reads what the parent writes from now on
