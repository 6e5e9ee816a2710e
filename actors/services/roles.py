"""The actors of a run by name, and the parts of the runtime that each takes.

When one is started, and started again, is in `supervisor`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from perdure.actors.execution.event_loop import EventLoop, loop_actor
from perdure.actors.journal.journal import Journal
from perdure.actors.journal.snapshotter import Snapshotter
from perdure.actors.queue.queue import Queue
from perdure.actors.services.dead_letter_index import DeadLetterIndex
from perdure.actors.services.relay import Relay
from perdure.actors.services.scheduler import Scheduler
from perdure.actors.services.timer import Timer
from perdure.actors.workers.dispatcher import Dispatcher
from perdure.actors.workers.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.actors.core.actor import Actor
    from perdure.actors.services.runtime import Runtime
    from perdure.actors.workers.pool import Pool

    Role: TypeAlias = Callable[[Runtime, int], Actor]
    """Builds an actor of this generation."""

__all__ = ["ON_DEMAND", "ROLES", "new_worker"]


def _timer(runtime: Runtime, generation: int) -> Timer:
    return Timer(runtime.directory, runtime.clock, generation)


def _journal(runtime: Runtime, generation: int) -> Journal:
    return Journal(runtime.directory, runtime.pending, runtime.log, runtime.health, generation)


def _queue(runtime: Runtime, generation: int) -> Queue:
    return Queue(
        runtime.directory,
        runtime.pending,
        runtime.log,
        clock=runtime.clock,
        limits=runtime.limits,
        publish_timeout_s=runtime.tuning.publish_timeout_s,
        pools=runtime.pools,
        extensions=runtime.extensions,
        raised=runtime.raised,
        figures=runtime.figures,
        generation=generation,
    )


def _dispatcher(runtime: Runtime, generation: int) -> Dispatcher:
    return Dispatcher(
        runtime.directory,
        runtime.pending,
        runtime.log,
        clock=runtime.clock,
        tuning=runtime.tuning,
        pools=runtime.pools,
        host=runtime.host,
        health=runtime.health,
        failures=runtime.failures,
        reporter=runtime.reporter,
        generation=generation,
    )


def _dead_letters(runtime: Runtime, generation: int) -> DeadLetterIndex:
    return DeadLetterIndex(runtime.directory, runtime.pending, runtime.log, runtime.tuning, generation)


def _snapshotter(runtime: Runtime, generation: int) -> Snapshotter:
    return Snapshotter(runtime.directory, runtime.pending, runtime.log, runtime.health, generation)


def _event_loop(runtime: Runtime, generation: int) -> EventLoop:
    return loop_actor(runtime.directory, runtime.host, generation)


def _scheduler(runtime: Runtime, generation: int) -> Scheduler:
    return Scheduler(runtime.directory, runtime.pending, runtime.clock, runtime.extensions, runtime.started_us, generation)


def _relay(runtime: Runtime, generation: int) -> Relay:
    return Relay(runtime.directory, runtime.pending, runtime.executor, runtime.extensions, generation)


def new_worker(runtime: Runtime, pool: Pool, name: str, generation: int) -> Worker:
    """Build a worker of a handler's pool."""
    return Worker(runtime.directory, runtime.worker_services, pool, name, generation)


ROLES: dict[str, Role] = {
    "timer": _timer,
    "journal": _journal,
    "queue": _queue,
    "dispatcher": _dispatcher,
    "dead_letters": _dead_letters,
    "snapshotter": _snapshotter,
}
"""The actors of every run but workers and supervisor, in the order in which they are started."""

ON_DEMAND: dict[str, Role] = {"event_loop": _event_loop, "scheduler": _scheduler, "relay": _relay}
"""The actors that only some runs need, started when something asks for them."""
