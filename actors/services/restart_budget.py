"""The budget of deaths: the pause before an actor is started again, and the end of a run whose actor dies too often.

The counts are in `Health`, which outlives the supervisor, so that its own death clears none. What is restarted is in `supervisor`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.events.errors import NotRunning
from perdure.events.loggers import GuardedLogger
from perdure.events.supervision.restart_policy import after_death

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.actors.core.executor import Executor
    from perdure.actors.core.health import Health
    from perdure.actors.core.tuning import Tuning
    from perdure.actors.requests.pending import PendingRequests
    from perdure.actors.workers.pools.handler_pools import HandlerPools

__all__ = ["RestartBudget"]

logger = GuardedLogger("perdure")


class RestartBudget:
    """Counts deaths, and stops the run for good when an actor dies too often. Safe in any thread."""

    def __init__(self, executor: Executor, tuning: Tuning, health: Health, pending: PendingRequests, pools: HandlerPools) -> None:
        self._executor = executor
        self._tuning = tuning
        self._health = health
        self._pending = pending
        self._pools = pools
        self.on_given_up: Callable[[], None] = lambda: None
        """Called once the run is stopped for good, in the thread that stopped it; it must return at once."""

    def count_death(self, name: str, cause: BaseException, *, counted: bool = True) -> float:
        """Count an unwanted death; return the pause before the restart in seconds. Past the budget the run is stopped for good."""
        now = self._executor.monotonic_s()
        tuning, deaths = self._tuning, self._health.recent_deaths
        decision = after_death(deaths.get(name, []), now, budget=tuning.restart_budget, window_s=tuning.restart_window_s)
        recent = deaths[name] = decision.deaths_s
        if counted and decision.exhausted:
            self.stop_for_good(
                f"the system has stopped: its {name} died {len(recent)} times within {tuning.restart_window_s:g} s, last of "
                f"{cause!r}. Nothing on record is lost; mend the cause and start the system again.",
                cause,
            )
        return decision.pause_s

    def stop_for_good(self, why: str, cause: BaseException) -> None:
        """Refuse all requests, now and from now on, with `NotRunning` and the cause.

        The first reason is the one that counts: a lost lease, say, is noticed by its keeper and by the journal. All else is done
        again, for a thread that was killed in the middle of it.
        """
        error = self._health.failed
        if error is None:
            error = NotRunning(why)
            error.__cause__ = cause
            logger.critical("%s", error)
            self._health.failed = error
        self._pending.abandon(error)
        for pool in self._pools.by_type.values():
            pool.closed = True
        self.on_given_up()
