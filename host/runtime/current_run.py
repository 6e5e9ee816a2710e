"""`Running`: access of the front door to the actors of the current run, and the error where there is none.

Not here: starting and stopping a run (`perdure.system`), and asking actors (`engine`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perdure.actors.core.messages import Wake
from perdure.actors.execution.event_loop import EventLoop
from perdure.events.errors import NotRunning, WouldDeadlock
from perdure.runtime.asking import ASK_TIMEOUT_S, Asking
from perdure.runtime.hook_mark import check_outside_hooks

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from contextlib import AbstractContextManager

    from perdure.actors.core.extensions import Source
    from perdure.actors.core.threads.answer import Answer
    from perdure.actors.requests.pending import PendingRequests
    from perdure.actors.services.runtime import Runtime
    from perdure.actors.sessions.figures import RunFigures
    from perdure.runtime.run import Run
    from perdure.security.rights import Rights

__all__ = ["Running"]


class Running(Asking):
    """The run of this process that answers; the base of the parts that only a `System` has."""

    rights: Rights
    """What each principal may do; see `perdure.security`."""
    _engine: Run | None = None
    _why_not_running = (
        "it was not started. Use `with system:` or `async with system:`, or call `start()`; a process that does nothing else calls "
        "`serve()`, or is `perdure run module:system`. Where another process owns the folder, make each System "
        "`shared=True` (or let `perdure serve FOLDER` own it); a process without handlers uses `perdure.connect`"
    )

    _stopped_by: BaseException | None = None
    """What ended it, where that was no stop."""

    @property
    def running(self) -> bool:
        """Whether the system accepts messages."""
        engine = self._engine
        return engine is not None and not engine.runtime.health.closing and engine.runtime.health.failed is None

    @property
    def runtime(self) -> Runtime:
        """The parts of the running actors, for the front door and for chaos.

        Raises:
            NotRunning: the system does not run.
        """
        engine = self._engine
        if engine is None:
            raise self._not_running()
        return engine.runtime  # type: ignore[return-value]  # a member's has no log, for which only chaos asks

    @property
    def _run(self) -> Run:
        engine = self._engine
        if engine is None:
            raise self._not_running()
        return engine

    def _check_running(self) -> None:
        engine = self._engine
        if engine is None:
            raise self._not_running()
        if engine.runtime.health.closing:  # by another way than `stop`, perhaps: the interpreter exits
            why = engine.runtime.pending.closed
            raise NotRunning(str(why)) if isinstance(why, NotRunning) else self._not_running()

    def _not_running(self) -> NotRunning:
        error = NotRunning(f"the system takes no messages: {self._why_not_running}")
        error.__cause__ = self._stopped_by
        return error

    @property
    def _pending(self) -> PendingRequests:
        engine = self._engine  # as in `runtime`, which each `submit` would go through
        if engine is None:
            raise self._not_running()
        return engine.runtime.pending

    async def _ready(self) -> None:
        pass

    def _pending_and_answer(self) -> tuple[PendingRequests, Answer]:
        engine = self._engine
        if engine is None:
            raise self._not_running()
        return engine.runtime.pending, engine.answer()

    @property
    def _handled(self) -> Collection[str]:
        return self._run.handled

    def _waiting_for(self, type_name: str) -> AbstractContextManager[None]:
        pools = self.runtime.pools
        return pools.waits.wait(pools.by_type, type_name)

    def _exception_of(self, ident: str) -> BaseException | None:
        return self.runtime.raised.get(ident)

    def _check_outside_hooks(self, call: str) -> None:
        check_outside_hooks(self.runtime, call)

    def run_figures(self) -> RunFigures:
        """See `Asking.run_figures`."""
        return self._run.run_figures()

    def permit(self, action: str, types: Callable[[], Iterable[str]] = lambda: ("",)) -> None:
        """See `Asking.permit`. What the application does outside of `acting_as`, it may."""
        self.rights.require_of_acting(action, types)

    def hold_history(self) -> AbstractContextManager[None]:
        """See `Admin.hold_history`."""
        return self._run.hold_history()

    def relay(self, source: Source) -> None:
        """Relay an outbox for as long as this run lasts; for `OutboxRelay`.

        Raises:
            NotRunning: the system does not run.
        """
        self._check_running()
        self._run.runtime.add_outbox(source)

    def look_at_outboxes(self) -> None:
        """Read all outboxes at once; for `OutboxRelay`."""
        runtime = self.runtime
        runtime.directory.tell("relay", Wake())
        if (granted := runtime.extensions.granted) is not None:
            granted.hurry()

    def end_relay(self, name: str) -> None:
        """Relay an outbox no more; for `OutboxRelay`."""
        self.runtime.extensions.drop_outbox(name)

    def _check_may_block(self, call: str, instead: str, types: Iterable[str]) -> None:
        """Check that a blocking call does not block the event loop on which handlers of these types run.

        Args:
            call: the method that was called, for the error.
            instead: the method to await instead.
            types: names of message types.

        Raises:
            WouldDeadlock: the caller runs on that loop, so the call would never return.
        """
        actor = self.runtime.directory.actors.get("event_loop")
        if not isinstance(actor, EventLoop):
            return
        if not actor.runs_here():
            return
        pools = [pool for name in list(types) if (pool := self.runtime.pools.by_type.get(name)) is not None]
        if any(pool.needs_loop for pool in pools):
            msg = f"{call}: it would block the event loop that its handlers run on; use `await system.{instead}(...)`"
            raise WouldDeadlock(msg)

    def ask(self, actor: str, command: Any, *, timeout_s: float = ASK_TIMEOUT_S) -> Any:
        """Ask an actor and return its answer; see `Engine.ask`. For the parts of the front door."""
        return self._run.ask(actor, command, timeout_s=timeout_s)
