"""The dispatcher: which handlers exist, how many workers each has, whether it is paused; it opens and closes their subscriptions.

The rules are in `perdure.events.handlers.registry`. It hands out no message: it subscribes with how many may be out.
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
from perdure.actors.core.threads.answer import IgnoredReply
from perdure.actors.journal.decider import Decider
from perdure.actors.requests.answers import Settle
from perdure.actors.requests.request import Request
from perdure.actors.workers.handler_spec import spec_on_record
from perdure.actors.workers.pools.member_pool import MemberPool
from perdure.actors.workers.pools.worker_messages import PoolChanged, Subscribe, WorkerDown
from perdure.events import vocabulary as ev
from perdure.events.commands import ExpireLease, Subscription
from perdure.events.commit_size import check_commit, measure
from perdure.events.errors import StoreUnavailable, another, as_refusal
from perdure.events.handlers import elasticity
from perdure.events.handlers import registry as rules

if TYPE_CHECKING:
    from perdure.actors.core.actor import Home
    from perdure.actors.core.clock import Clock
    from perdure.actors.journal.log_state import LogState
    from perdure.actors.requests.pending import PendingRequests
    from perdure.actors.workers.pools.handler_pools import HandlerPools
    from perdure.actors.workers.pools.pool import Pool
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

    def _begin_term(self, seq: int) -> None:
        try:
            super()._begin_term(seq)
        except StoreUnavailable as error:  # no descriptor is left, say: an operator learns it now, and not after a minute
            for request in list(self.pending.outstanding.values()):
                if request.target == self.name and request.may_be_refused:
                    self.pending.refuse(request, another(error))
            raise

    def term_begun(self, states: States, _seq: int, /) -> None:
        """Take the part of the handlers, and adjust the workers to it."""
        self.state = states.handlers
        for pool in self.pools.by_type.values():
            if pool.type in self.state.handlers:
                self.staff.after_a_death(pool)
        for pool in [*self.pools.all()]:
            self._pool_changed(pool)  # a predecessor may have died with the news that a process is gone

    def handle(self, messages: list[Any]) -> None:
        """Handle a batch."""
        now_us = self.clock.now_us()
        for message in messages:
            match message:
                case Request():
                    self._request(message, now_us)
                case Restarted(name="queue"):
                    for pool in self.pools.all():
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
                    self._grow(type_name, ready, now_us)
                case StopHandler() | WorkerDown() | EndGrace():
                    self._stop_elsewhere(message)
                    self.staff.take(message)
                case PoolChanged(pool=pool):
                    self._pool_changed(pool)
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
                    for pool in self.pools.all():
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
        differs: dict[str, tuple[Any, Any]] | None = None
        if isinstance(command, rules.Register):
            type_name = command.event.type
            differs = rules.outvoted(self.state.handlers[type_name].registered, command.event) or None
        else:
            type_name = command.type
        self.synced.append(Settle(self.pending, request, differs))
        for pool in self.pools.all():
            if type_name in ("", pool.type):
                self._apply_options(pool)

    def _report(self) -> dict[str, tuple[int, bool]]:
        """Return (wanted workers, paused) by type."""
        return {name: (h.parallelism, self.state.is_paused(name)) for name, h in self.state.handlers.items()}

    # --- workers and flow ------------------------------------------------------------------------------------------------

    def _apply_options(self, pool: Pool) -> None:
        """Adjust one handler's workers and subscription to what is on record."""
        handler = self.state.handlers.get(pool.type)
        if handler is None:
            return  # its registration is on its way, or was refused
        paused, own = self.state.is_paused(pool.type), handler.own_parallelism
        if isinstance(pool, MemberPool):
            pool.closed = paused or self.staff.is_ending
            pool.handler = spec_on_record(handler.registered).changed(handler.changes)
            pool.port.configure(pool.type, -1 if own is None else own, handler.changes, paused=paused)
            self._subscribe(pool)
            return
        options = pool.registered.changed(handler.changes)
        self.staff.apply(pool, options, options.parallelism if own is None else own, paused=paused)
        self._subscribe(pool)
        self.staff.give_back_if_closed(pool)

    def _subscribe(self, pool: Pool, *, leaves: bool = False) -> None:
        """Subscribe with how many deliveries may be out with this handler's workers, under the options that are on record."""
        known = self.state.handlers.get(pool.type)
        handler = pool.handler if known is None else spec_on_record(known.registered).changed(known.changes)
        if isinstance(pool, MemberPool):
            may_be_out, slots = 0 if pool.closed or pool.is_silent or known is None else pool.may_be_out, pool.slots
            elastic = not pool.closed and known is not None and handler.parallelism_max > known.parallelism
            version = pool.version
        else:
            may_be_out, slots = self.staff.window_of(pool)
            elastic = not pool.closed and handler.parallelism_max > pool.target
            version = self.pools.version_of(pool.type)
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
            version,
        )
        self.directory.tell("queue", Subscribe(subscription, pool, leaves))

    def _pool_changed(self, pool: Pool) -> None:
        if isinstance(pool, MemberPool) and pool.is_gone:
            self.pools.leave(pool)
            self._subscribe(pool, leaves=True)
        else:
            self._apply_options(pool)

    def _stop_elsewhere(self, message: Any) -> None:
        """Stop the handler of a cancelled message where another process runs it."""
        if isinstance(message, StopHandler):
            for pool in self.pools.elsewhere:
                delivery = pool.open.get(message.attempt_ref[0])
                if delivery is not None and delivery.attempt_ref == message.attempt_ref and delivery.outcome is None:
                    pool.take_from(delivery, cancels=True)

    def _grow(self, type_name: str, ready: int, now_us: int) -> None:
        """Give an elastic handler more workers."""
        handler = self.state.handlers.get(type_name)
        if handler is None:
            return  # its registration was lost with its frame, and comes again
        self.quiet_time.restart(now_us)
        self._adapt(type_name, elasticity.grown(handler.parallelism, ready))
        self.wake_by(self.quiet_time.over_us)

    def _shrink(self, now_us: int) -> None:
        """Take workers from elastic handlers that had no use for them for a while."""
        handlers = self.state.handlers
        elastic: dict[str, list[Pool]] = {}
        for pool in self.pools.all():
            if pool.type in handlers and handlers[pool.type].has_grown:
                elastic.setdefault(pool.type, []).append(pool)
        if not elastic or self.staff.quiesce_request is not None:
            return
        if self.quiet_time.is_over(now_us):
            self.quiet_time.restart(now_us)
            for type_name, pools in elastic.items():
                handler = handlers[type_name]
                if elasticity.is_underused(len(pools) * handler.parallelism, sum(len(pool.open) for pool in pools)):
                    self._adapt(type_name, elasticity.shrunk(handler.parallelism, handler.registered.parallelism))
        self.wake_by(self.quiet_time.over_us)

    def _adapt(self, type_name: str, parallelism: int) -> None:
        events = rules.decide(self.state, rules.Adapt(type_name, parallelism))
        for event in events:
            rules.evolve(self.state, event)
        self.events += events
        if events:
            for pool in self.pools.all():
                if pool.type == type_name:
                    self._apply_options(pool)

    def _overdue(self, number: int, ident: str, attempt: int, until_us: int, now_us: int) -> None:
        """Decide what becomes of a lease that ran out: the queue does not know whether its handler has started, and when."""
        why = "no worker has it"
        for pool in self.pools.all():
            delivery = pool.open.get(number)
            if delivery is None or delivery.id != ident or delivery.lease.attempt != attempt:
                continue
            if not isinstance(pool, MemberPool):
                self.staff.overdue(pool, delivery, until_us, now_us)
                return
            if delivery.outcome is not None:
                return  # its report is on its way
            if pool.port.is_heard(pool.handler.limit_us / 1_000_000):
                pool.port.overdue(pool.type, (number, ident, attempt, until_us))
                return
            pool.port.fall_silent()
            self._subscribe(pool)  # first, so that the message does not go there again
            pool.take_from(delivery, cancels=False)
            why = "its lease ran out, and its process gave no sign of life"
        lost = ExpireLease(number, ident, attempt, why)
        self.pending.send("queue", Outcomes([lost]), IgnoredReply(), from_outside=False)
