"""The queue actor: the only decider about messages. It answers requests and sends its decisions to the journal.

The rules are in `events/queue`. `decision_pass` decides and folds, `admission` takes in publishes, `deliveries` feeds the workers,
`passing_time` looks at deadlines, `operators_acts` answers operators, `consumers` answers manual consumers.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import attrs

from perdure.actors.core.messages import (
    AskTicks,
    Outcomes,
    Report,
    Restarted,
    TakeInRows,
    Wake,
    WhenIdle,
)
from perdure.actors.core.texts import one_line
from perdure.actors.queue.admission import Admission
from perdure.actors.queue.consumers import ConsumerGone, Consumers
from perdure.actors.queue.decision_pass import DecisionPass
from perdure.actors.queue.deliveries import Deliveries
from perdure.actors.queue.operators_acts import OperatorsActs
from perdure.actors.queue.passing_time import PassingTime
from perdure.actors.queue.queue_report import report_of
from perdure.actors.queue.reattaching import Reattach, reattached, sorted_out
from perdure.actors.requests.answers import Settle
from perdure.actors.requests.looks import Looks
from perdure.actors.requests.request import Request
from perdure.actors.requests.submit_batch import SubmitBatch
from perdure.actors.workers.pools.worker_messages import Subscribe
from perdure.events.commands import (
    AdvanceBulk,
    AwaitResult,
    BeginBulk,
    Cancel,
    CheckOut,
    Done,
    Extend,
    Fail,
    LookAtBulk,
    LookUp,
    Publish,
    Purge,
    Release,
    Replay,
    RunNow,
    Tick,
)
from perdure.events.errors import PerdureError
from perdure.events.loggers import GuardedLogger
from perdure.events.queue import deadlines
from perdure.events.queue import decisions as rules
from perdure.events.queue.endings import excess
from perdure.events.queue.folding.spilling import compact
from perdure.events.queue.lookup import look_up
from perdure.events.queue.outcomes import complete_run
from perdure.events.queue.searching.live_messages import CountLive, FindLive, counting, finding
from perdure.events.queue.state import FOREVER
from perdure.events.schedules.ticks import abandoned, comes_too_early

if TYPE_CHECKING:
    from perdure.actors.core.actor import Home
    from perdure.actors.core.clock import Clock
    from perdure.actors.core.extensions import Extensions
    from perdure.actors.journal.log_state import LogState
    from perdure.actors.queue.orphans import Orphans
    from perdure.actors.queue.queue_report import QueueFigures
    from perdure.actors.requests.pending import PendingRequests
    from perdure.actors.requests.raised_errors import Raised
    from perdure.actors.workers.pools.handler_pools import HandlerPools
    from perdure.events.codec.snapshot import States
    from perdure.events.limits import Limits

__all__ = ["Queue"]

logger = GuardedLogger("perdure")

AGAIN_US = 20_000
WARNED_MAX = 1_000
"""Of how many types a run warns that nothing handles them."""
MOVE_ON_US = 1_000
"""Payloads on the disk are compacted in steps, with time for other work in between."""


class Queue(DecisionPass):
    """Holds the state of all live messages. Answers and deliveries go out once the journal has written what they follow from."""

    def __init__(
        self,
        directory: Home,
        pending: PendingRequests,
        log: LogState,
        *,
        clock: Clock,
        limits: Limits,
        publish_timeout_s: float,
        pools: HandlerPools,
        extensions: Extensions,
        raised: Raised,
        figures: QueueFigures,
        orphans: Orphans,
        generation: int,
    ) -> None:
        super().__init__(directory, pending, log, limits, raised, generation)
        self.clock = clock
        self.publish_timeout_s = publish_timeout_s
        self.pools = pools
        self.extensions = extensions
        self.figures = figures
        self.orphans = orphans

    def begin(self) -> None:
        """Begin a term; actors that know what is not in the state send it again."""
        self.deliveries = Deliveries(self)
        self.admission = Admission(self, self.publish_timeout_s)
        self.consumers = Consumers(self, self.clock, self.figures.lease_answers)
        self.idle_waiters: list[Request] = []
        self.warned_of: set[str] = set()
        self.time = PassingTime(self, self.clock, self.deliveries, self.orphans, self.pools, self.consumers)
        self.acts = OperatorsActs(self, self.extensions)
        self.looks = Looks(self.pending)
        super().begin()

    def term_begun(self, states: States, _seq: int, /) -> None:
        """Take the queue's part; at the start of a run, take back what the last process had leased."""
        self.state = states.queue
        now_us = self.clock.now_us()
        self.time.begin(now_us)
        if not self.figures.has_begun:
            self.figures.has_begun = True
            self.figures.ended_before = {name: attrs.evolve(counts) for name, counts in self.state.by_type.items()}
            for orphan in self.orphans.begin(self.state, self.pools.all(), now_us):
                self.take(orphan, now_us)
            self._cancel_abandoned_ticks(now_us)
            self.cut(now_us)
        if self.pools.by_type or self.extensions.schedules:  # an operator's tool may run with other bounds than the host
            self._enforce_bounds(now_us)
        self.acts.start_bulk_runner()
        for orphan in self.orphans.again(self.state):
            self.take(orphan, now_us)
        self.deliveries.reconcile(self.pools.holding(), now_us, self.orphans.held)
        self.orphans.reconciled()
        self.directory.tell("dispatcher", Restarted("queue"))

    def _enforce_bounds(self, now_us: int) -> None:
        """Drop what is kept beyond a bound that was higher before."""
        letters = len(self.state.dead)
        while beyond := excess(self.state, self.limits, deadlines.LOOK_MAX):
            self.apply(beyond)
            self.cut_where_full(now_us)
        if letters > len(self.state.dead):
            logger.warning(
                "%d of %d dead letter(s) are purged: Options.dead_letters_max is %d, and dead_letters_bytes_max %d",
                letters - len(self.state.dead),
                letters,
                self.limits.dead_letters,
                self.limits.dead_letters_bytes,
            )

    def _cancel_abandoned_ticks(self, now_us: int) -> None:
        """Cancel ticks of schedules that are gone, unless nothing is handled here (an operator's tool) or others may do so."""
        if self.orphans.wait_us or (not self.pools.by_type and not self.extensions.schedules):
            return
        gone = list(abandoned(self.state, self.pools.by_type))
        if gone:
            logger.warning("%d waiting tick(s) are cancelled: their schedules are not registered any more", len(gone))
        for ident in gone:
            self.take(Cancel(ident, "its schedule is not registered any more"), now_us)

    def handle(self, messages: list[Any]) -> None:
        """Run one decision pass over a batch of messages."""
        now_us = self.clock.now_us()
        time = self.time
        time.lengthen(now_us)
        time.look(now_us)
        for message in messages:
            if type(message) is Request:
                if type(message.command) is SubmitBatch:
                    message.command = message.command.publish()
                if type(message.command) is Publish:
                    self.admission.add(message, now_us)
                    continue
            self.admission.decide(now_us)
            match message:
                case Request(command=Tick() as tick) if comes_too_early(self.state.ticks, tick):
                    pass  # the scheduler sends it again
                case Request():
                    self._answer(message, now_us)
                case Subscribe():
                    self.deliveries.subscribe(message)
                case Wake() | Restarted(name="timer"):
                    self.wake_at_us = 0
        self.admission.decide(now_us)
        time.look(now_us)
        waiting_publishers = self.admission.waiting_publishers
        if waiting_publishers.waiting:
            self.admission.admit(now_us)
            time.look(now_us)  # a publish that waited for room may have outlived its time too
        pace_us = self.deliveries.deliver(now_us)
        if self.idle_waiters and not self.state.live:
            self.synced += [Settle(self.pending, request, None) for request in self.idle_waiters]
            self.idle_waiters = []
        self.figures.spilled_bytes = self.state.spilled_bytes
        next_us = min(deadlines.next_deadline_us(self.state), pace_us, self.orphans.due_us)
        if self.state.has_spilled and compact(self.state):
            next_us = min(next_us, now_us + MOVE_ON_US)
        if waiting_publishers.waiting:
            next_us = min(next_us, waiting_publishers.next_deadline_us())
        looks_on = bool(self.looks) and self.looks.go_on(self._settle_looked)
        if time.more_is_due or self.deliveries.has_more or looks_on:
            self.directory.tell(self.name, Wake())  # behind the messages that came meanwhile
        elif next_us < FOREVER:
            # A deadline that is past and still open waits for another actor, which may just be replaced: look again, not at once.
            self.wake_by(next_us if next_us > now_us else now_us + (AGAIN_US if not time.skipped_us else 10 * AGAIN_US))
        self.cut(now_us)  # last, so that the journal has the interpreter to itself

    def _record(self, outcomes: Outcomes, now_us: int) -> None:
        """Decide and fold a batch of outcomes: plain completions together where they can be, all others one by one."""
        reports = outcomes.reports
        if outcomes.done is not None:
            completed = complete_run(self.state, outcomes.done)
            if completed is not None:
                self.apply(completed)
                if reports:
                    self.cut_where_full(now_us)  # else the caller does
            else:
                reports = [*outcomes.done.each(), *reports]
        state, limits, rule_for = self.state, self.limits, rules.RULES
        if outcomes.is_hearsay:
            reports, refused = sorted_out(self.state, reports, self.orphans)
            self.apply(refused)
        for report in reports:
            self.apply(rule_for[report.__class__](state, report, now_us, limits))
            self.cut_where_full(now_us)

    # --- requests --------------------------------------------------------------------------------------------------------

    def _answer(self, request: Request, now_us: int) -> None:
        """Decide one request, and answer or refuse it."""
        command = request.command
        pending = self.pending
        try:
            match command:
                case Outcomes():
                    self._record(command, now_us)
                    self.written.append(Settle(pending, request, None))
                case CheckOut():
                    self.deliveries.lost_runs.spend(now_us)
                    self.time.look_at_all(now_us)  # messages that this pass has brought back may have outlived their time
                    self.decide(command, now_us)
                    self.written.append(self.consumers.checked_out(request, command))
                case Report() | AskTicks() | CountLive() | FindLive() | LookUp():
                    self._look(request, command, now_us)
                case WhenIdle():
                    self._answer_when_idle(request)
                case TakeInRows():
                    self.admission.take_in(request, command, now_us)
                case Reattach():
                    self._reattach(request, command)
                case ConsumerGone():
                    self.consumers.on_gone(request, command, now_us)
                case Cancel() | RunNow() | AdvanceBulk():
                    self.acts.on_message(request, command, now_us)
                case AwaitResult():
                    self.synced += self.awaiting.ask(self.state, request, command)
                    self._warn_if_unhandled(command)
                case Extend():
                    self.decide(command, now_us)
                    self.written.append(self.consumers.extended(request, command))
                case Done() | Fail() | Release():
                    self.consumers.on_report(request, command, now_us)
                case Replay() | Purge():
                    self.acts.on_letters(request, command, now_us)
                case BeginBulk() | LookAtBulk():
                    self.acts.on_bulk(request, command, now_us)
                case _:
                    events = self.decide(command, now_us)
                    self.synced.append(Settle(pending, request, len(events)))
        except PerdureError as error:
            pending.refuse(request, error)
        self.cut_where_full(now_us)

    def _reattach(self, request: Request, command: Reattach) -> None:
        """Bring together what a process has with what is on record; answer with what it may not go on with."""
        refused = reattached(self.state, command, self.orphans, self.deliveries.delivery_of)
        self.written.append(Settle(self.pending, request, refused))

    def _answer_when_idle(self, request: Request) -> None:
        outstanding = self.pending.outstanding
        if len(self.idle_waiters) >= len(outstanding):  # some wait no longer
            self.idle_waiters = [idler for idler in self.idle_waiters if idler.key in outstanding]
        self.idle_waiters.append(request)

    def _warn_if_unhandled(self, command: AwaitResult) -> None:
        """Warn, once for each type, if no handler here can give the result that is waited for."""
        number = self.state.ids.get(command.id) if command.waits else None
        message = self.state.look(number) if number else None
        if message is None or message.lease is not None or message.published.type in self.deliveries:
            return
        if message.published.type not in self.warned_of and len(self.warned_of) < WARNED_MAX:
            self.warned_of.add(message.published.type)
            logger.warning(
                "the result of %s is waited for, and no handler here takes its type, %s: the wait ends only when it is checked out",
                one_line(command.id),
                one_line(message.published.type),
            )

    def _look(self, request: Request, command: Report | AskTicks | CountLive | FindLive | LookUp, now_us: int) -> None:
        """Answer from the state: at once, or in pieces where all messages are looked at."""
        match command:
            case CountLive():
                self.looks.add(request, partial(counting, self.state, command))
            case FindLive():
                self.looks.add(request, partial(finding, self.state, command))
            case LookUp():
                self.synced.append(Settle(self.pending, request, look_up(self.state, command.id)))
            case _:
                answer = report_of(self.state, now_us) if isinstance(command, Report) else dict(self.state.ticks)
                self.written.append(Settle(self.pending, request, answer))

    def _settle_looked(self, request: Request, found: object) -> None:
        self.synced.append(Settle(self.pending, request, found))
