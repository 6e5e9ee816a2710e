"""The workers of one process: how many there are, what dead ones leave behind, how running handlers end, and how all come to rest.

The dispatcher of the process uses it: which handlers exist, and with which options, is decided there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.actors.core.messages import EndGrace, Outcomes, StartActor, StopHandler
from perdure.actors.core.threads.answer import IgnoredReply
from perdure.actors.execution.child_process import CANCEL_GRACE_S
from perdure.actors.execution.invocation import interrupt
from perdure.actors.requests.answers import Settle
from perdure.actors.workers.pools.pool import Retire
from perdure.actors.workers.pools.worker_messages import StartWorker, WorkerDown
from perdure.events.commands import ExpireLease, Extend, Fail, Release
from perdure.events.handlers.overdue_lease import Attempt, End, overdue
from perdure.events.handlers.subscription_window import window

if TYPE_CHECKING:
    from collections.abc import Iterable

    from perdure.actors.core.clock import Clock
    from perdure.actors.core.directory import Directory
    from perdure.actors.core.health import Health
    from perdure.actors.core.tuning import Tuning
    from perdure.actors.execution.host_context import HostContext
    from perdure.actors.requests.pending import PendingRequests
    from perdure.actors.requests.request import Request
    from perdure.actors.workers.handler_spec import HandlerSpec
    from perdure.actors.workers.outcome import Failures
    from perdure.actors.workers.pools.handler_pools import HandlerPools
    from perdure.actors.workers.pools.pool import Pool, WorkerDelivery
    from perdure.actors.workers.reporting import Reporter

__all__ = ["Staff"]


class Staff:
    """The workers of this process, as one dispatcher looks after them. For that actor's thread alone."""

    def __init__(
        self,
        directory: Directory,
        pending: PendingRequests,
        *,
        clock: Clock,
        tuning: Tuning,
        pools: HandlerPools,
        host: HostContext,
        health: Health,
        failures: Failures,
        reporter: Reporter,
    ) -> None:
        self.directory = directory
        self.pending = pending
        self.clock = clock
        self.tuning = tuning
        self.pools = pools
        self.host = host
        self.health = health
        self.failures = failures
        self.reporter = reporter
        self.begin()

    def begin(self) -> None:
        """Begin anew, with a new term of the dispatcher."""
        self.token = object()
        """Claims what this term settles."""
        self.quiesce_request: Request | None = None
        self.given_back: int | None = None
        """How many handlers still ran when the grace period of a stop was over; None until then."""
        self.grace_ends_us = 0

    def take(self, message: StopHandler | WorkerDown | EndGrace) -> None:
        """Take a message that is for the workers of this process only."""
        match message:
            case StopHandler():
                self._cancel_running(message)
            case WorkerDown():
                self._worker_down(message)
            case EndGrace():
                self.grace_ends_us = 0

    @property
    def is_ending(self) -> bool:
        """Whether the system closes: no event (a death, a backlog, a process that falls silent) may open a subscription again."""
        return self.health.closing or self.quiesce_request is not None

    # --- workers ---------------------------------------------------------------------------------------------------------

    def apply(self, pool: Pool, handler: HandlerSpec, parallelism: int, *, paused: bool) -> None:
        """Give a handler these options and so many workers. The caller subscribes it, then has `give_back_if_closed` look."""
        loop = self.host.loop
        shut = self.is_ending or not self.pools.is_open or (loop is not None and pool.needs_loop and loop.is_closed())
        pool.closed = shut or paused
        pool.handler = handler
        pool.target = parallelism
        if pool.needs_loop and "event_loop" not in self.directory.actors:
            self.directory.tell("supervisor", StartActor("event_loop"))
        self._adjust_workers(pool)

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

    def window_of(self, pool: Pool) -> tuple[int, int]:
        """Return, and note for the workers, how many deliveries may be out with them; and how many of them can run at a time."""
        tuning, handler = self.tuning, pool.handler
        slots = pool.target * max(1, handler.batch_size)
        if pool.closed:
            return 0, slots
        pool.window = window(
            slots,
            pool.run_us,
            rate_limited=handler.interval_us > 0,
            prefetch_us=tuning.prefetch_ms * 1000,
            prefetch_max=tuning.prefetch_max,
        )
        return pool.window, slots

    def _worker_down(self, message: WorkerDown) -> None:
        """Clean up after a dead worker."""
        pool = message.pool
        if not message.restarted:
            gone = pool.workers.pop(message.name, None)
            pool.retiring = [retire for retire in pool.retiring if gone is None or retire.owner is not gone]
        self.after_a_death(pool)

    def after_a_death(self, pool: Pool) -> None:
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

    # --- deliveries ------------------------------------------------------------------------------------------------------

    def give_back_if_closed(self, pool: Pool) -> None:
        """Give back what is out and not started, if the handler may start nothing any more."""
        if pool.closed:
            self._give_back_unstarted(pool)

    def _give_back_unstarted(self, pool: Pool) -> None:
        back = [d for d in list(pool.open.values()) if not d.claim and d.claimed_by(self.token)]
        for delivery in back:
            delivery.outcome = Release(*delivery.attempt_ref, "not started when its handler was stopped")
        if back:
            self.reporter.report(pool, back)

    def _cancel_running(self, message: StopHandler) -> None:
        """Stop a handler whose message was cancelled: `ctx` says so, a coroutine is cancelled, a process killed after a grace."""
        pool = self.pools.by_type.get(message.type)
        delivery = None if pool is None else pool.open.get(message.attempt_ref[0])
        if pool is None or delivery is None or delivery.attempt_ref != message.attempt_ref or delivery.outcome is not None:
            return
        if not pool.revoke(delivery) and delivery.stop is not None:
            delivery.stop(CANCEL_GRACE_S)

    def overdue(self, pool: Pool, delivery: WorkerDelivery, until_us: int, now_us: int) -> None:
        """Decide what becomes of a delivery whose lease ran out: only here is it known whether its handler has started."""
        attempt_ref = delivery.attempt_ref
        if delivery.outcome is not None:
            return  # it has ended; its report is on its way
        if delivery.claimed_by(self.token):
            delivery.outcome = Release(*attempt_ref, "not started in time")
            self.reporter.report(pool, [delivery])
            return
        skipped_us = self.clock.skipped_us(delivery.started_us, now_us) if delivery.started_us else 0
        grown_us = delivery.extended_until_us and delivery.extended_until_us + skipped_us
        started_us = delivery.started_us and delivery.started_us + skipped_us
        attempt = Attempt(started_us, delivery.lease.until_us, grown_us, now_us if delivery.asking else delivery.sign_us)
        verdict = overdue(attempt, pool.handler.attempt_limits, until_us, now_us)
        if not isinstance(verdict, End):
            self.pending.send("queue", Extend(*attempt_ref, verdict), IgnoredReply(), from_outside=False)
            return
        outcome: Fail | ExpireLease = ExpireLease(*attempt_ref, verdict.value)
        if verdict is End.TIMED_OUT:
            late = TimeoutError(f"ran longer than its timeout of {pool.handler.timeout_s:g} s")
            outcome = self.failures.failure(pool, delivery, late)
        delivery.lost = True
        self.pending.send("queue", Outcomes([outcome]), IgnoredReply(), from_outside=False)
        if verdict is End.TIMED_OUT:
            interrupt(delivery)  # after the report: how the handler ends now is not the reason for the failure

    # --- the end ---------------------------------------------------------------------------------------------------------

    def quiesce(self, request: Request, grace_s: float, now_us: int) -> None:
        """Begin to come to rest. The caller applies all options again, which closes the pools."""
        self.quiesce_request, self.given_back = request, None
        self.grace_ends_us = now_us + round(grace_s * 1_000_000)

    def at_rest(self, now_us: int) -> Settle | None:
        """Return the answer to `Quiesce` once every outcome is on record; at the end of the grace, give back what still runs."""
        if self.quiesce_request is None:
            return None
        pools = self.pools.by_type.values()
        if now_us < self.grace_ends_us and any(pool.is_busy for pool in pools):
            return None
        if self.given_back is None:
            self.given_back = self._give_back_running(pools)
        # Outcomes must be on record: a queue that is still folding its state drops what lies in its mailbox when it stops.
        if any(d.outcome is not None and not d.lost for pool in pools for d in list(pool.open.values())):
            return None
        request, self.quiesce_request = self.quiesce_request, None
        return Settle(self.pending, request, self.given_back)

    def _give_back_running(self, pools: Iterable[Pool]) -> int:
        """Give back what still runs at the end of the grace period, report what has ended; return how many still ran."""
        for pool in pools:
            self._give_back_unstarted(pool)  # deliveries that came after the subscription was closed, to busy workers
        running = [(pool, d) for pool in pools for d in pool.running()]
        for pool, delivery in running:
            delivery.lost = True
            outcome = Release(*delivery.attempt_ref, "still running when the system stopped")
            self.pending.send("queue", Outcomes([outcome]), IgnoredReply(), from_outside=False)
            interrupt(delivery)
            pool.confirmed([delivery])
        for pool in pools:
            # The workers that ended these may be busy with what was just given back, and report nothing any more.
            if ended := [d for d in list(pool.open.values()) if d.outcome is not None and not d.lost]:
                self.reporter.report(pool, ended)
        return len(running)
