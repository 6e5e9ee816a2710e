"""How a run of the actors ends: by a stop, by handing the folder over, after it has given up, or in a forked child.

How actors are brought to rest is in `actor_shutdown`, the last snapshot is in `final_snapshot`; the run itself is in `engine`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.events.errors import NotRunning, StoreUnavailable
from perdure.events.loggers import GuardedLogger
from perdure.runtime.final_snapshot import save_final_snapshot
from perdure.store.disk.each_alone import FORKED, call_each

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.actors.core.clock import Clock
    from perdure.actors.services.runtime import HandlerRuntime, Runtime
    from perdure.actors.services.succession import Succession
    from perdure.actors.sessions.server import Server
    from perdure.runtime.actor_shutdown import ActorShutdown
    from perdure.runtime.database.channel_server import ChannelServer
    from perdure.runtime.hook_mark import Hooks
    from perdure.runtime.process.interpreter_settings import InterpreterSettings
    from perdure.runtime.spool_intake import SpoolIntake
    from perdure.store import EventStore

__all__ = ["Ending"]

logger = GuardedLogger("perdure")


class Ending:
    """The part of an `Engine` that ends it. Its maker holds the system's lifecycle lock, but for `end_grace`."""

    handlers: HandlerRuntime
    """The parts that outlive this process's time as the owner."""
    runtime: Runtime
    server: Server | None
    """Answers other processes, where the folder is shared or they come through a database."""
    channels: ChannelServer | None
    """Where they come through a database."""
    _store: EventStore
    _clock: Clock
    _hooks: Hooks
    _interpreter: InterpreterSettings
    _shutdown: ActorShutdown
    _spool: SpoolIntake
    _succession: Succession
    _hands_over: bool
    """It stops while other processes are connected: the folder is let go as soon as handlers have come to rest."""

    def _run_stop_hooks(self, seconds: float) -> None:
        if self.runtime.hooks_started:
            self.runtime.hooks_started = False
            self._hooks.run_stop(self.runtime, seconds)

    def stop(self, grace_s: float, why: NotRunning) -> None:
        """Bring the handlers to rest, then end the actors and close the store.

        Args:
            grace_s: how long running handlers may go on.
            why: what pending and later calls raise.
        """
        runtime = self.runtime
        runtime.health.closing = True
        failed = runtime.health.failed is not None
        self._hands_over = self.server is not None and self.server.peers > 0 and not failed
        if not self._hands_over:
            runtime.pending.closed = runtime.pending.closed or why
        until_s = runtime.executor.monotonic_s() + grace_s
        try:
            if not failed:
                self._shutdown.bring_to_rest(grace_s)
            if self._hands_over:  # other processes are answered until all that is left is to let the folder go
                self._run_stop_hooks(until_s - runtime.executor.monotonic_s())
        finally:
            runtime.pending.closed = runtime.pending.closed or why
            self.shut_down(why, until_s - runtime.executor.monotonic_s())

    def come_to_rest(self, grace_s: float, why: NotRunning) -> None:
        """Let running handlers end within `grace_s`, as at a stop, then send other processes away with `why`; `leave` follows.

        Meanwhile all are answered, in this process and in others.
        """
        self._shutdown.bring_to_rest(grace_s)
        if self.server is not None:
            self.server.close(why)

    def leave(self) -> None:
        """End the actors and free the folder for another process. Requests without an answer stay as they are."""
        runtime = self.runtime
        self._succession.end()
        self._interpreter.restore()
        self.handlers.hooks_started = runtime.hooks_started
        try:
            left = self._shutdown.end_roles(but=("event_loop",))
            self._shutdown.end_workers()
            self._shutdown.forget_ended()
            if not left and runtime.health.failed is None:
                save_final_snapshot(runtime, self._clock, only_small=True)
            self._store.close()
        except StoreUnavailable as error:
            logger.warning("the log could not be closed in order; the next owner recovers it: %s", error)
        finally:
            self._spool.close()
            self._store.abandon()

    def let_go(self, why: NotRunning) -> None:
        """See `Run.let_go`. Other processes are sent away, and the folder is free for the next owner."""
        logger.warning("process %d frees the folder for another process: %s", self.runtime.executor.pid(), why)
        self._close_server(why)
        self.leave()

    def end_grace(self) -> None:
        """End the grace period of a stop that is under way. Safe in any thread."""
        self._shutdown.end_grace()

    def _close_server(self, why: NotRunning) -> None:
        if self.server is not None:
            pid = self.runtime.executor.pid()
            self.server.close(NotRunning(f"process {pid} has stopped, and hands the folder over") if self._hands_over else why)
        if self.channels is not None:
            self.channels.close()

    def discard_after_fork(self, why: NotRunning) -> None:
        """Make the copy of a run in a forked child refuse all calls; the parent's files and locks are left alone."""
        self.runtime.health.closing = True
        self._succession.end()
        steps: list[Callable[[], object]] = [self._interpreter.restore, self._spool.close]
        steps += [part.discard_after_fork for part in (self.server, self.channels) if part is not None]
        steps.append(lambda: self.runtime.pending.discard_after_fork(why))
        call_each(steps, _make, FORKED)

    def shut_down(self, why: NotRunning, hooks_s: float = 0.0) -> None:
        """Run the stop hooks within `hooks_s` seconds, end the actors, take a last snapshot, and close the store.

        A thread that host code holds up is left behind as a daemon thread. It can no longer write to the log.
        """
        runtime = self.runtime
        runtime.health.closing = True
        self._succession.end()
        self._interpreter.restore()
        left: list[str] = []
        try:
            for pool in list(runtime.pools.by_type.values()):
                pool.closed = True
            self._run_stop_hooks(hooks_s)
            left += self._shutdown.end_roles()
            runtime.pending.abandon(why)
            self._close_server(why)
            self._shutdown.end_workers()
            if runtime.health.failed is None and not left:
                save_final_snapshot(runtime, self._clock, only_small=self._hands_over)
            self._store.close()
        except StoreUnavailable as error:
            logger.warning("the log could not be closed in order; the next start recovers it: %s", error)
        finally:
            self._spool.close()
            self._close_server(why)
            self._store.abandon()
            self._shutdown.log_left_behind(left)


def _make(step: Callable[[], object]) -> None:
    step()
