"""The dispatcher: which handlers exist, how many workers each has, whether it is paused; it opens and closes their subscriptions.

The rules are in `perdure.events.handlers.registry`. It hands out no message: it tells the queue how many may be out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perdure.actors.core.messages import (
    BacklogGrew,
    EndGrace,
    LeasesOverdue,
    Outcomes,
    PaceChanged,
    Quiesce,
    Report,
    Restarted,
    StopHandler,
    Wake,
)
from perdure.actors.journal.decider import Decider
from perdure.actors.requests.answers import Settle
from perdure.actors.requests.pending import Request
from perdure.actors.workers.staff import IgnoredReply
from perdure.actors.workers.worker_messages import Subscribe, WorkerDown
from perdure.events import vocabulary as ev
from perdure.events.commands import ExpireLease, Subscription
from perdure.events.commit_size import check_commit, measure
from perdure.events.errors import as_refusal
from perdure.events.handlers import elasticity
from perdure.events.handlers import registry as rules

if TYPE_CHECKING:
    from perdure.actors.core.actor import Home
    from perdure.actors.core.clock import Clock
    from perdure.actors.journal.log_state import LogState
    from perdure.actors.requests.pending import PendingRequests
    from perdure.actors.workers.handler_pools import HandlerPools
    from perdure.actors.workers.pool import Pool
    from perdure.actors.workers.staff import Staff
    from perdure.events.codec.snapshot import States

__all__ = ["Dispatcher"]


class Dispatcher(Decider):
    """Holds what is on record about handlers, and keeps workers and queue in line with it."""

    state: rules.HandlersState

    def __init__(
        self,
        directory: Home,
        pending: PendingRequests,
        log: LogState,
        *,
        clock: Clock,
        pools: HandlerPools,
        staff: Staff,
        generation: int,
    ) -> None:
        super().__init__(directory, pending, log, "dispatcher", generation)
        self.clock = clock
        self.pools = pools
        self.staff = staff

    def begin(self) -> None:
        """Start a term."""
        self.staff.begin()
        self.quiet_time = elasticity.QuietTime()
        """After which elastic handlers may shrink."""
        super().begin()

    def term_begun(self, states: States, seq: int) -> None:  # noqa: ARG002 - the base's name
        """Take the part of the handlers, and adjust the workers to it."""
        self.state = states.handlers
        for pool in self.pools.by_type.values():
            if pool.type in self.state.handlers:
                self.staff.after_a_death(pool)
                self._apply_options(pool)

    def handle(self, messages: list[Any]) -> None:
        """Handle a batch."""
        now_us = self.clock.now_us()
        for message in messages:
            match message:
                case Request():
                    self._request(message, now_us)
                case Restarted(name="queue"):
                    for pool in self.pools.by_type.values():
                        self._subscribe(pool)
                case Restarted(name="supervisor"):
                    for pool in self.pools.by_type.values():
                        self.staff.after_a_death(pool)
                case PaceChanged(type=type_name):
                    self._subscribe(self.pools.by_type[type_name])
                case LeasesOverdue(leases=leases):
                    for lease in leases:
                        self._overdue(*lease, now_us)
                case BacklogGrew(type=type_name, ready=ready):
                    self._grow(self.pools.by_type[type_name], ready, now_us)
                case StopHandler() | WorkerDown() | EndGrace():
                    self.staff.take(message)
                case Wake():
                    self.wake_at_us = 0
        if (at_rest := self.staff.at_rest(now_us)) is not None:
            self.synced.append(at_rest)
        self._shrink(now_us)
        self.commit(now_us)

    def _request(self, request: Request, now_us: int) -> None:
        command = request.command
        try:
            match command:
                case Quiesce(grace_s=grace_s):
                    self.staff.quiesce(request, grace_s, now_us)
                    for pool in self.pools.by_type.values():
                        if pool.type in self.state.handlers:  # else its registration was refused
                            self._apply_options(pool)
                        pool.end_waits()
                    self.wake_by(self.staff.grace_ends_us)
                    return
                case Report():
                    self.pending.settle(request, self._report())
                    return
            events = rules.decide(self.state, command)
            check_commit(measure(events), type(command).__name__)
        except Exception as error:  # noqa: BLE001 - rules are pure: nothing has changed, and it is this request's error alone
            self.pending.refuse(request, error if isinstance(error, ValueError) else as_refusal(error))
            return
        if request.times > 1 and all(isinstance(event, ev.HandlersAdministered) for event in events):
            events = []  # an act that is sent again, and changed nothing now, is on record already
        for event in events:
            rules.evolve(self.state, event)
        self.events += events
        self.synced.append(Settle(self.pending, request, None))
        type_name = command.event.type if isinstance(command, rules.Register) else command.type
        for pool in self.pools.by_type.values():
            if type_name in ("", pool.type) and pool.type in self.state.handlers:
                self._apply_options(pool)

    def _report(self) -> dict[str, tuple[int, bool]]:
        """Return (wanted workers, paused) by type."""
        return {name: (h.parallelism, self.state.is_paused(name)) for name, h in self.state.handlers.items()}

    # --- workers and flow ------------------------------------------------------------------------------------------------

    def _apply_options(self, pool: Pool) -> None:
        """Adjust one handler's workers and subscription to what is on record."""
        handler = self.state.handlers[pool.type]
        options = pool.registered.changed(handler.changes)
        self.staff.apply(pool, options, handler.parallelism, paused=self.state.is_paused(pool.type))
        self._subscribe(pool)
        self.staff.give_back_if_closed(pool)

    def _subscribe(self, pool: Pool) -> None:
        """Tell the queue how many deliveries may be out with this handler's workers."""
        handler = pool.handler
        may_be_out, slots = self.staff.room(pool)
        elastic = not pool.closed and handler.parallelism_max > pool.target
        subscription = Subscription(
            pool.type,
            may_be_out,
            slots,
            handler.retries,
            handler.limit_us,
            handler.interval_us,
            handler.burst,
            elastic,
            handler.limit or 0,
        )
        self.directory.tell("queue", Subscribe(subscription, pool))

    def _grow(self, pool: Pool, ready: int, now_us: int) -> None:
        """Give an elastic handler more workers."""
        handler = self.state.handlers.get(pool.type)
        if handler is None:
            return  # its registration was lost with its frame, and comes again
        self.quiet_time.restart(now_us)
        self._adapt(pool, elasticity.grown(handler.parallelism, ready))
        self.wake_by(self.quiet_time.over_us)

    def _shrink(self, now_us: int) -> None:
        """Take workers from elastic handlers that had no use for them for a while."""
        handlers = self.state.handlers
        elastic = [p for p in self.pools.by_type.values() if p.type in handlers and handlers[p.type].has_grown]
        if not elastic or self.staff.quiesce_request is not None:
            return
        if self.quiet_time.is_over(now_us):
            self.quiet_time.restart(now_us)
            for pool in elastic:
                if elasticity.is_underused(pool.target, len(pool.open)):
                    handler = handlers[pool.type]
                    self._adapt(pool, elasticity.shrunk(handler.parallelism, handler.registered.parallelism))
        self.wake_by(self.quiet_time.over_us)

    def _adapt(self, pool: Pool, parallelism: int) -> None:
        events = rules.decide(self.state, rules.Adapt(pool.type, parallelism))
        for event in events:
            rules.evolve(self.state, event)
        self.events += events
        if events:
            self._apply_options(pool)

    def _overdue(self, number: int, ident: str, attempt: int, until_us: int, now_us: int) -> None:
        """Decide what becomes of a lease that ran out: the queue does not know whether its handler has started, and when."""
        for pool in self.pools.by_type.values():
            delivery = pool.open.get(number)
            if delivery is not None and delivery.id == ident and delivery.lease.attempt == attempt:
                self.staff.overdue(pool, delivery, until_us, now_us)
                return
        lost = ExpireLease(number, ident, attempt, "no worker has it")
        self.pending.send("queue", Outcomes([lost]), IgnoredReply(), from_outside=False)
