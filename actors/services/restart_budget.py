"""The budget of deaths: how long to wait before an actor is started again, and when the system gives up.

What outlives the supervisor is on the stage, so that its own death forgives nobody. Who is started again is in `supervisor`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from perdure.events.errors import NotRunning
from perdure.events.supervision.restart_policy import after_death

if TYPE_CHECKING:
    from perdure.actors.core.runtime import Runtime

__all__ = ["count_death", "stop_for_good"]

logger = logging.getLogger("perdure")


def count_death(runtime: Runtime, name: str, cause: BaseException, *, counted: bool = True) -> float:
    """Enter a death that nobody asked for; gives the pause before the restart in seconds. Past the budget the system gives up."""
    now = runtime.executor.monotonic_s()
    tuning = runtime.tuning
    decision = after_death(runtime.recent_deaths.get(name, []), now, budget=tuning.restart_budget, window_s=tuning.restart_window_s)
    recent = runtime.recent_deaths[name] = decision.deaths_s
    if counted and decision.exhausted:
        stop_for_good(
            runtime,
            f"the system has stopped: its {name} died {len(recent)} times within {tuning.restart_window_s:g} s, last of "
            f"{cause!r}. Nothing on record is lost; mend the cause and start the system again.",
            cause,
        )
    return decision.pause_s


def stop_for_good(runtime: Runtime, why: str, cause: BaseException) -> None:
    """Have everyone who waits, and everyone who asks from now on, hear `NotRunning` with the cause."""
    error = NotRunning(why)
    error.__cause__ = cause
    logger.critical("%s", error)
    runtime.failed = error
    runtime.pending.abandon(error)
    for pool in runtime.pools.values():
        pool.closed = True
