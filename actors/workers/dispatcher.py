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
    StartActor,
    StopHandler,
    Wake,
)
from perdure.actors.execution.child_process import CANCEL_GRACE_S
from perdure.actors.execution.invocation import interrupt
from perdure.actors.journal.decider import Decider
from perdure.actors.requests.answers import Settle
from perdure.actors.requests.pending import Request
from perdure.actors.workers.pool import Pool, Retire, WorkerDelivery
from perdure.actors.workers.worker_messages import StartWorker, Subscribe, WorkerDown
from perdure.events.commands import ExpireLease, Extend, Fail, Release, Subscription
from perdure.events.commit_size import check_commit, measure
from perdure.events.errors import as_refusal
from perdure.events.handlers import elasticity
from perdure.events.handlers import registry as rules
from perdure.events.handlers.overdue_lease import Attempt, End, overdue
from perdure.events.handlers.subscription_window import window

if TYPE_CHECKING:
    from perdure.actors.core.clock import Clock
    from perdure.actors.core.directory import Directory
    from perdure.actors.core.health import Health
    from perdure.actors.core.tuning import Tuning
    from perdure.actors.execution.host_context import HostContext
    from perdure.actors.journal.log_state import LogState
    from perdure.actors.requests.pending import PendingRequests
    from perdure.actors.workers.handler_pools import HandlerPools
    from perdure.actors.workers.outcome import Failures
    from perdure.actors.workers.reporting import Reporter
    from perdure.events.codec.snapshot import States

__all__ = ["Dispatcher"]


class _IgnoredReply:
    """The reply to a command that is sent again until it is on record, and whose answer is of no interest."""

    def resolve(self, value: Any) -> None:
        """See `Reply.resolve`."""

    def reject(self, error: BaseException) -> None:
        """See `Reply.reject`."""


class Dispatcher(Decider):
    """Holds what is on record about handlers, and keeps workers and queue in line with it."""

    state: rules.HandlersState

    def __init__(
        self,
        directory: Directory,
        pending: PendingRequests,
        log: LogState,
        *,
        clock: Clock,
        tuning: Tuning,
        pools: HandlerPools,
        host: HostContext,
        health: Health,
        failures: Failures,
        reporter: Reporter,
        generation: int,
    ) -> None:
        super().__init__(directory, pending, log, "dispatcher", generation)
        self.actors = directory.actors
        self.clock = clock
        self.tuning = tuning
        self.pools = pools
        self.host = host
        self.health = health
        self.failures = failures
        self.reporter = reporter

    def begin(self) -> None:
        """Start a term."""
        self.token = object()
        self.quiesce_request: Request | None = None
        self.given_back: int | None = None
        """How many handlers still ran when the grace period of a stop was over; None until then."""
        self.grace_ends_us = 0
        self.quiet_time = elasticity.QuietTime()
        """After which elastic handlers may shrink."""
        super().begin()

    def term_begun(self, states: States, seq: int) -> None:  # noqa: ARG002 - the base's name
        """Take the part of the handlers, and adjust the workers to it."""
        self.state = states.handlers
        for pool in self.pools.by_type.values():
            if pool.type in self.state.handlers:
                self._after_a_death(pool)
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
                        self._after_a_death(pool)
                case PaceChanged(type=type_name):
                    self._subscribe(self.pools.by_type[type_name])
                case LeasesOverdue(leases=leases):
                    for lease in leases:
                        self._overdue(*lease, now_us)
                case BacklogGrew(type=type_name, ready=ready):
                    self._grow(self.pools.by_type[type_name], ready, now_us)
                case StopHandler():
                    self._cancel_running(message)
                case WorkerDown():
                    self._worker_down(message)
                case EndGrace():
                    self.grace_ends_us = 0
                case Wake():
                    self.wake_at_us = 0
        self._finish_quiesce(now_us)
        self._shrink(now_us)
        self.commit(now_us)

    def _request(self, request: Request, now_us: int) -> None:
        command = request.command
        try:
            match command:
                case Quiesce(grace_s=grace_s):
                    self.quiesce_request, self.given_back = request, None
                    self.grace_ends_us = now_us + round(grace_s * 1_000_000)
                    for pool in self.pools.by_type.values():
                        if pool.type in self.state.handlers:  # else its registration was refused
                            self._apply_options(pool)
                        pool.end_waits()
                    self.wake_by(self.grace_ends_us)
                    return
                case Report():
                    self.pending.settle(request, self._report())
                    return
            events = rules.decide(self.state, command)
            check_commit(measure(events), type(command).__name__)
        except Exception as error:  # noqa: BLE001 - rules are pure: nothing has changed, and it is this request's error alone
            self.pending.refuse(request, error if isinstance(error, ValueError) else as_refusal(error))
            return
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
        # Once the system closes, no event (a death, a backlog) may open a subscription again.
        loop = self.host.loop
        shut = self.health.closing or not self.pools.is_open or (loop is not None and pool.needs_loop and loop.is_closed())
        pool.closed = shut or self.quiesce_request is not None or self.state.is_paused(pool.type)
        pool.handler = pool.registered.changed(handler.changes)
        pool.target = handler.parallelism
        if pool.needs_loop and "event_loop" not in self.actors:
            self.directory.tell("supervisor", StartActor("event_loop"))
        self._adjust_workers(pool)
        self._subscribe(pool)
        if pool.closed:
            self._give_back_unstarted(pool)

    def _adjust_workers(self, pool: Pool) -> None:
        """Start workers that are missing, retire those that are too many."""
        staying = len(pool.workers) - len(pool.retiring)
        free = (name for i in range(1_000_000) if (name := f"worker:{pool.type}:{i}") not in pool.workers)
        for _ in range(pool.target - staying):
            name = next(free)
            pool.workers[name] = None
            self.directory.tell("supervisor", StartWorker(name, pool))
        for name, token in list(pool.workers.items()):
            if token is None:  # asked for, and perhaps lost with a supervisor that died
                self.directory.tell("supervisor", StartWorker(name, pool))
        for _ in range(staying - pool.target):
            pool.retiring.append(Retire())
            pool.inbox.put(pool.retiring[-1])

    def _subscribe(self, pool: Pool) -> None:
        """Tell the queue how many deliveries may be out with this handler's workers."""
        tuning, handler = self.tuning, pool.handler
        slots = pool.target * max(1, handler.batch_size)
        may_be_out = 0
        if not pool.closed:
            may_be_out = window(
                slots,
                pool.run_us,
                rate_limited=handler.interval_us > 0,
                prefetch_us=tuning.prefetch_ms * 1000,
                prefetch_max=tuning.prefetch_max,
            )
        elastic = not pool.closed and handler.parallelism_max > pool.target
        subscription = Subscription(
            pool.type, may_be_out, slots, handler.retries, handler.limit_us, handler.interval_us, handler.burst, elastic
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
        if not elastic or self.quiesce_request is not None:
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

    def _cancel_running(self, message: StopHandler) -> None:
        """Stop a handler whose message was cancelled: `ctx` says so, a coroutine is cancelled, a process killed after a grace."""
        pool = self.pools.by_type.get(message.type)
        delivery = None if pool is None else pool.open.get(message.attempt_ref[0])
        if pool is None or delivery is None or delivery.attempt_ref != message.attempt_ref or delivery.outcome is not None:
            return
        if not pool.revoke(delivery) and delivery.stop is not None:
            delivery.stop(CANCEL_GRACE_S)

    def _give_back_unstarted(self, pool: Pool) -> None:
        """Give back deliveries that are out and not started."""
        back = [d for d in list(pool.open.values()) if not d.claim and d.claimed_by(self.token)]
        for delivery in back:
            delivery.outcome = Release(*delivery.attempt_ref, "not started when its handler was stopped")
        if back:
            self.reporter.report(pool, back)

    def _worker_down(self, message: WorkerDown) -> None:
        """Clean up after a dead worker."""
        pool = message.pool
        if not message.restarted:
            gone = pool.workers.pop(message.name, None)
            pool.retiring = [retire for retire in pool.retiring if gone is None or retire.owner is not gone]
        self._after_a_death(pool)

    def _after_a_death(self, pool: Pool) -> None:
        """Clean up after workers that may be dead: settle what they claimed, put back what they may have taken, start others."""
        self._settle_dead(pool)
        for delivery in list(pool.open.values()):
            if not delivery.claim:
                pool.inbox.put(delivery)  # if it lies there already, the claim keeps it from being handled twice
        living = {id(token) for token in pool.workers.values()}
        for retire in pool.retiring:
            if id(retire.owner) not in living:
                retire.claim.clear()
                pool.inbox.put(retire)
        self._adjust_workers(pool)

    def _settle_dead(self, pool: Pool) -> None:
        """Settle what dead workers had claimed: report what they finished, expire what they began, release what they did not."""
        living = {id(token) for token in pool.workers.values()} | {id(self.token)}
        settled = []
        for delivery in list(pool.open.values()):
            if not delivery.claim or id(delivery.owner) in living:
                continue
            if delivery.outcome is None:
                delivery.lost = True
                if delivery.stop is not None:
                    delivery.stop(0.0)
                attempt_ref = delivery.attempt_ref
                begun = delivery.started_us > 0
                delivery.outcome = (
                    ExpireLease(*attempt_ref, "its worker died") if begun else Release(*attempt_ref, "its worker died before it")
                )
            settled.append(delivery)
        if settled:
            self.reporter.report(pool, settled)

    # --- time ------------------------------------------------------------------------------------------------------------

    def _overdue(self, number: int, ident: str, attempt: int, until_us: int, now_us: int) -> None:
        """Decide what becomes of a lease that ran out: the queue does not know whether its handler has started, and when."""
        pending = self.pending
        for pool in self.pools.by_type.values():
            delivery = pool.open.get(number)
            if delivery is not None and delivery.id == ident and delivery.lease.attempt == attempt:
                self._overdue_delivery(pool, delivery, until_us, now_us)
                return
        pending.send(
            "queue", Outcomes([ExpireLease(number, ident, attempt, "no worker has it")]), _IgnoredReply(), from_outside=False
        )

    def _overdue_delivery(self, pool: Pool, delivery: WorkerDelivery, until_us: int, now_us: int) -> None:
        attempt_ref = delivery.attempt_ref
        if delivery.outcome is not None:
            return  # it has ended; its report is on its way
        if delivery.claimed_by(self.token):
            delivery.outcome = Release(*attempt_ref, "not started in time")
            self.reporter.report(pool, [delivery])
            return
        skipped_us = self.clock.skipped_us(delivery.started_us, now_us) if delivery.started_us else 0
        grown_us = delivery.extended_until_us and delivery.extended_until_us + skipped_us
        attempt = Attempt(delivery.started_us and delivery.started_us + skipped_us, delivery.lease.until_us, grown_us)
        verdict = overdue(attempt, pool.handler.attempt_limits, until_us, now_us)
        if not isinstance(verdict, End):
            self.pending.send("queue", Extend(*attempt_ref, verdict), _IgnoredReply(), from_outside=False)
            return
        outcome: Fail | ExpireLease = ExpireLease(*attempt_ref, verdict.value)
        if verdict is End.TIMED_OUT:
            late = TimeoutError(f"ran longer than its timeout of {pool.handler.timeout_s:g} s")
            outcome = self.failures.failure(pool, delivery, late)
        delivery.lost = True
        self.pending.send("queue", Outcomes([outcome]), _IgnoredReply(), from_outside=False)
        if verdict is End.TIMED_OUT:
            interrupt(delivery)  # after the report: how the handler ends now is not what its attempt failed of

    def _finish_quiesce(self, now_us: int) -> None:
        """Answer `Quiesce` once every outcome is on record; at the end of the grace period, give back what still runs."""
        if self.quiesce_request is None:
            return
        pools = self.pools.by_type.values()
        if now_us < self.grace_ends_us and any(pool.is_busy for pool in pools):
            return
        if self.given_back is None:
            self.given_back = self._give_back_running()
        # Outcomes must be on record: a queue that is still folding its state drops what lies in its mailbox when it stops.
        if any(d.outcome is not None and not d.lost for pool in pools for d in list(pool.open.values())):
            return
        request, self.quiesce_request = self.quiesce_request, None
        self.synced.append(Settle(self.pending, request, self.given_back))

    def _give_back_running(self) -> int:
        """Give back what still runs at the end of the grace period, report what has ended; return how many still ran."""
        pools = self.pools.by_type.values()
        for pool in pools:
            self._give_back_unstarted(pool)  # deliveries that came after the subscription was closed, to busy workers
        running = [(pool, d) for pool in pools for d in pool.running()]
        for pool, delivery in running:
            delivery.lost = True
            outcome = Release(*delivery.attempt_ref, "still running when the system stopped")
            self.pending.send("queue", Outcomes([outcome]), _IgnoredReply(), from_outside=False)
            interrupt(delivery)
            pool.confirmed([delivery])
        for pool in pools:
            # The workers that ended these may be busy with what was just given back, and report nothing any more.
            if ended := [d for d in list(pool.open.values()) if d.outcome is not None and not d.lost]:
                self.reporter.report(pool, ended)
        return len(running)
