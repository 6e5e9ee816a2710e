"""The actors of a run that owns its log, by name, and the parts of the runtime that each takes.

When one is started, and started again, is in `supervisor`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from perdure.actors.execution.event_loop import loop_actor
from perdure.actors.journal.journal import Journal
from perdure.actors.journal.snapshotter import Snapshotter
from perdure.actors.queue.queue import Queue
from perdure.actors.services.actor_record import LogRecord
from perdure.actors.services.bulk_runner import BulkRunner
from perdure.actors.services.dead_letter_index import DeadLetterIndex
from perdure.actors.services.relay import Relay
from perdure.actors.services.role_table import RoleTable
from perdure.actors.services.scheduler import Scheduler
from perdure.actors.services.timer import Timer
from perdure.actors.workers.dispatcher import Dispatcher
from perdure.actors.workers.gates.gated_worker import GatedWorker
from perdure.actors.workers.staff import Staff
from perdure.actors.workers.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.actors.services.role_table import Role
    from perdure.actors.services.runtime import HandlerRuntime, Runtime

__all__ = ["on_demand_roles", "owner_roles", "staff_of"]


def owner_roles(runtime: Runtime) -> RoleTable:
    """Return how the actors of a run that owns its log are built."""
    return RoleTable(
        always={
            "timer": partial(Timer, runtime.directory, runtime.clock),
            "journal": partial(Journal, runtime.directory, runtime.pending, runtime.log, runtime.health),
            "queue": partial(_queue, runtime),
            "dispatcher": partial(_dispatcher, runtime),
            "dead_letters": partial(DeadLetterIndex, runtime.directory, runtime.pending, runtime.log, runtime.tuning),
            "snapshotter": partial(Snapshotter, runtime.directory, runtime.pending, runtime.log, runtime.health),
        },
        on_demand=on_demand_roles(runtime),
        worker=_worker(runtime),
        record=partial(LogRecord, runtime.directory, runtime.log, runtime.health, runtime.clock),
    )


def _worker(runtime: Runtime) -> Callable[..., Worker]:
    directory, services, gate = runtime.directory, runtime.worker_services, runtime.gate
    return partial(Worker, directory, services) if gate is None else partial(GatedWorker, directory, gate, services)


def on_demand_roles(runtime: HandlerRuntime) -> dict[str, Role]:
    """Return how the actors are built that a run of any kind may need."""
    directory, pending, extensions = runtime.directory, runtime.pending, runtime.extensions
    return {
        "event_loop": partial(loop_actor, directory, runtime.host),
        "scheduler": partial(Scheduler, directory, pending, runtime.clock, extensions, runtime.started_us),
        "relay": partial(Relay, directory, pending, runtime.executor, extensions),
        "bulk_runner": partial(BulkRunner, directory, pending),
    }


def staff_of(runtime: HandlerRuntime) -> Staff:
    """Return what a dispatcher of this run looks after its workers with."""
    return Staff(
        runtime.directory,
        runtime.pending,
        clock=runtime.clock,
        tuning=runtime.tuning,
        pools=runtime.pools,
        host=runtime.host,
        health=runtime.health,
        failures=runtime.failures,
        reporter=runtime.reporter,
    )


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
        orphans=runtime.orphans,
        generation=generation,
    )


def _dispatcher(runtime: Runtime, generation: int) -> Dispatcher:
    return Dispatcher(
        runtime.directory,
        runtime.pending,
        runtime.log,
        clock=runtime.clock,
        pools=runtime.pools,
        staff=staff_of(runtime),
        generation=generation,
    )
