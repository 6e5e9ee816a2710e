"""The parts of one run in one hand: `HandlerRuntime`, and `Runtime` where it owns its log.

Only the engine, which builds it, and the supervisor see all of them. Every other actor takes the parts that it uses; which these
are is in `roles`. No decision is made here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.actors.core.directory import Directory
from perdure.actors.core.executor import Threads
from perdure.actors.core.extensions import Extensions
from perdure.actors.core.health import Health
from perdure.actors.core.messages import StartActor, Wake
from perdure.actors.execution.host_context import HostContext
from perdure.actors.journal.log_state import LogState
from perdure.actors.queue.orphans import Orphans
from perdure.actors.queue.queue_report import QueueFigures
from perdure.actors.requests.pending import PendingRequests
from perdure.actors.requests.raised_errors import Raised
from perdure.actors.services.restart_budget import RestartBudget
from perdure.actors.workers.context import ContextServices
from perdure.actors.workers.outcome import Failures
from perdure.actors.workers.pools.handler_pools import HandlerPools
from perdure.actors.workers.reporting import Reporter
from perdure.actors.workers.worker import WorkerServices

if TYPE_CHECKING:
    import random

    from perdure.actors.core.clock import Clock
    from perdure.actors.core.executor import Executor
    from perdure.actors.core.extensions import Schedule, Source
    from perdure.actors.core.tuning import Tuning
    from perdure.actors.workers.gates.gate import RunGate
    from perdure.actors.workers.publisher import Publisher
    from perdure.events.limits import Limits
    from perdure.store import EventStore

__all__ = ["HandlerRuntime", "Runtime"]


class HandlerRuntime:
    """What runs handlers in one process, and outlives each actor: it stays as it is when a member becomes the owner."""

    gate: RunGate | None = None
    """What workers ask before they call a handler, where several runs of this process share the number of calls."""

    def __init__(
        self,
        *,
        clock: Clock,
        rng: random.Random,
        publisher: Publisher,
        tuning: Tuning,
        run: str,
        host: HostContext | None = None,
        executor: Executor | None = None,
    ) -> None:
        self.run = run
        """The id of this run."""
        self.clock = clock
        self.started_us = clock.now_us()
        self.executor: Executor = executor or Threads()
        self.tuning = tuning
        self.directory = Directory(self.executor)
        self.pending = PendingRequests(self.directory.tell)
        self.pools = HandlerPools()
        self.health = Health(self.executor.monotonic_s)
        self.extensions = Extensions()
        self.hooks_started = False
        """The start hooks of the host have run, and its stop hooks have not."""
        self.host = host or HostContext()
        self.raised = Raised()
        """By message id: the exception that ended a message whose result is kept, for callers that wait for it in this process."""
        self.failures = Failures(self.executor, rng, tuning, self.raised)
        self.reporter = Reporter(self.directory, self.pending)
        contexts = ContextServices(publisher, tuning, clock, self.executor, self.pending)
        self.worker_services = WorkerServices(contexts, self.host, self.failures, self.reporter)
        self.budget = RestartBudget(self.executor, tuning, self.health, self.pending, self.pools)

    def add_schedule(self, schedule: Schedule) -> None:
        """Start a schedule while the actors run."""
        self.extensions.add_schedule(schedule)
        self.directory.tell("supervisor", StartActor("scheduler"))
        self.directory.tell("scheduler", Wake())

    def add_outbox(self, source: Source) -> None:
        """Start to relay an outbox while the actors run."""
        self.extensions.add_outbox(source)
        self.directory.tell("supervisor", StartActor("relay"))
        self.directory.tell("relay", Wake())


class Runtime(HandlerRuntime):
    """One run that owns its log: the parts of a `HandlerRuntime`, and what its journal and its deciders share."""

    def __init__(self, handlers: HandlerRuntime, *, store: EventStore, limits: Limits) -> None:
        vars(self).update(vars(handlers))  # the same parts, so that each holder of one of them goes on with it
        self.limits = limits
        self.log = LogState(store, self.tuning)
        self.figures = QueueFigures()
        self.orphans = Orphans()
