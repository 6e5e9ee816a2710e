"""The supervisors of one run: the first, and a successor for each that dies, whose own death no other actor sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.actors.core.actor import ActorKilled
from perdure.actors.services.supervisor import Supervisor
from perdure.events.loggers import GuardedLogger

if TYPE_CHECKING:
    from perdure.actors.core.actor import Actor
    from perdure.actors.services.role_table import RoleTable
    from perdure.actors.services.runtime import HandlerRuntime

__all__ = ["Succession"]

logger = GuardedLogger("perdure")


class Succession:
    """Starts supervisors from `begin` to `end`. Used by the threads that start and stop the run, and by those of supervisors."""

    def __init__(self, runtime: HandlerRuntime, roles: RoleTable) -> None:
        self._runtime = runtime
        self._roles = roles
        self._is_over = False

    def begin(self) -> None:
        """Start the first supervisor, which starts the other actors."""
        self._runtime.directory.on_supervisor_death = self._replace
        self._runtime.directory.enter(Supervisor(self._runtime, self._roles, 1))

    def end(self) -> None:
        """Start no other; the supervisor that runs is left alone."""
        self._is_over = True

    def _replace(self, dead: Actor, cause: BaseException) -> None:
        """Start another supervisor, unless supervisors die too often. Runs in the thread of the dead one."""
        runtime = self._runtime
        if self._is_over or runtime.health.failed is not None:
            return
        if not isinstance(cause, ActorKilled):
            logger.error("actor supervisor died: %r", cause, exc_info=cause)
            pause_s = runtime.budget.count_death("supervisor", cause)
            if runtime.health.failed is not None:
                return
            runtime.executor.sleep(pause_s)
        successor = Supervisor(runtime, self._roles, dead.generation + 1)
        try:
            runtime.directory.enter(successor)
        except (RuntimeError, OSError, MemoryError) as error:  # no supervisor is left to handle it
            runtime.budget.stop_for_good(f"the system has stopped: its supervisor could not be replaced: {error!r}", error)
        except BaseException:  # thrown into this thread, which reports the death again
            if not runtime.executor.runs(successor):
                runtime.directory.actors["supervisor"] = dead
            raise
