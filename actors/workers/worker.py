"""A worker: one slot of one handler. It takes deliveries, calls the handler, and reports the outcomes.

How a handler is called, and stopped, is in `actors/execution/invocation.py`. Which delivery comes next is decided by the queue.
"""

from __future__ import annotations

from queue import Empty
from typing import TYPE_CHECKING, Any

import attrs

from perdure.actors.core.actor import Actor, ActorKilled
from perdure.actors.core.messages import PaceChanged
from perdure.actors.core.texts import plain_text
from perdure.actors.execution.event_loop import LoopClosed
from perdure.actors.execution.invocation import Caller
from perdure.actors.workers.context import Batch, BatchItem, Context, ContextServices
from perdure.actors.workers.pools.pool import DONE, Pool, Retire, WorkerDelivery
from perdure.events.commands import Done, Fail, Release
from perdure.events.structures.message_block import LeaseBatch

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.actors.core.clock import Clock
    from perdure.actors.core.directory import Directory
    from perdure.actors.execution.host_context import HostContext
    from perdure.actors.workers.handler_spec import HandlerSpec
    from perdure.actors.workers.outcome import Failures
    from perdure.actors.workers.publisher import Publisher
    from perdure.actors.workers.reporting import Reporter

__all__ = ["Worker", "WorkerServices"]

SHORT_US = 100.0
"""Handlers that take less than this (microseconds) are short: only every eighth of their messages is measured."""
REPORT_MAX = 256
"""Outcomes reported at once. `Options.prefetch_max` is twice as many: there is work left while they are put on record."""
LINGER_S = 0.001
"""Seconds that completions wait for others, to be reported together, when nothing else is to do and nothing waits for them."""
LINGER_RUN_US = 400.0
"""Only those of handlers that take less than this (microseconds): to put one on record by itself costs as much."""
REPORT_AFTER_S = 0.002
"""Seconds, plus the handler call under way, that an outcome waits at most to be reported with others."""


@attrs.frozen(eq=False)
class WorkerServices:
    """What the workers of one run use beside their pool: made once, shared by all of them."""

    contexts: ContextServices
    host: HostContext
    failures: Failures
    reporter: Reporter


class Worker(Actor):
    """Shares its mailbox with the other workers of its handler, so that none is idle while messages wait behind a slow one."""

    runs_handlers = runs_host_code = True

    def __init__(self, directory: Directory, services: WorkerServices, pool: Pool, name: str, generation: int) -> None:
        super().__init__(directory, name, generation)
        contexts = services.contexts
        self.pool = pool
        self.token = object()
        self.caller = Caller(self, pool, services.host, directory, contexts.pending, contexts.executor)
        self.contexts = contexts
        self.publisher: Publisher = contexts.publisher
        self.clock: Clock = contexts.clock
        self.failures = services.failures
        self.reporter = services.reporter
        self.now_s = contexts.executor.monotonic_s
        self.actor_inbox = pool.inbox
        self.actor_ref.actor_inbox = pool.inbox
        self.take_next: Callable[[], Any] = pool.inbox.get_nowait
        """Returns what lies behind the item that was received, or raises Empty."""
        self.finished: list[WorkerDelivery] = []
        """Deliveries whose outcome is not reported yet."""
        self.urgent = False
        """One of them may be waited for: it published, or failed, or its result is asked for."""
        self.reported_us = 0.0
        """How long a handler call takes, as last reported to the dispatcher."""
        self.looked_us = 0
        """The time when the clock was read last."""
        self.load: Callable[[bytes], Any] | None = None
        self.loads_for: HandlerSpec | None = None
        """The handler with which the loader was asked for."""
        self.simple: HandlerSpec | None = None
        """The same, if it is a simple one."""
        pool.workers[name] = self.token

    def kill(self) -> None:
        """See `Actor.kill`; as the mailbox is shared, every worker is roused so that the right one is."""
        super().kill()
        for _ in self.pool.workers:
            self.rouse()

    def on_start(self) -> None:
        """End the process that a predecessor may have left; find out how messages are decoded."""
        self.caller.end_process()
        self._refresh()  # here, where an error is the death of this worker alone

    def receive(self) -> list[Any]:
        """Wait for one item, as others in the shared mailbox are for any worker; wait only a moment while completions linger."""
        patience_s = self.patience_s()
        if patience_s is None:
            return [self.pool.inbox.get()]
        try:
            return [self.pool.inbox.within(patience_s)]
        except Empty:
            return []

    def patience_s(self) -> float | None:
        """See `Actor.patience_s`: completions that linger are reported together with those that come soon."""
        return LINGER_S if self.finished else None

    def turn(self, items: list[Any]) -> bool:
        """Handle what was received and what lies in the mailbox behind it; return False where it is to retire.

        Outcomes are reported at the end, or earlier where they are many or old. Completions that nothing waits for linger.
        """
        simple = self._refresh()
        if not items:
            self._report()
            return True
        pool, take_next, now_s = self.pool, self.take_next, self.now_s
        item = items[0]
        since = now_s()
        while True:
            if type(item) is WorkerDelivery:
                is_short = pool.handler is simple and item.number & 7 and 0.0 < pool.run_us < SHORT_US
                if not (is_short and self._handle_simply(item)):
                    self._handle(item)
            elif type(item) is Retire and item.claimed_by(self.token):
                self._report()
                self.caller.end_process()
                return False
            now = now_s()
            if len(self.finished) >= REPORT_MAX or now - since > REPORT_AFTER_S or pool.closed:
                self._report()
                since = now
                simple = self._refresh()
            try:
                item = take_next()
            except Empty:
                item = None  # what was handled last is not kept for as long as nothing comes
                break
            if self.killed:
                raise ActorKilled(self.name)
        if not self._lingers(simple):
            self._report()
        return True

    def _lingers(self, simple: HandlerSpec | None) -> bool:
        """Return whether the outcomes may wait a moment; not where only few may be out, and each makes room for the next."""
        pool, handler = self.pool, self.pool.handler
        may_wait = bool(self.finished) and not self.urgent and not pool.closed
        has_room = not handler.limit and len(pool.open) < pool.window
        return may_wait and has_room and handler is simple and 0.0 < pool.run_us < LINGER_RUN_US

    def _refresh(self) -> HandlerSpec | None:
        """Read the clock, and take the handler as it is now; return it if it is a simple one."""
        handler = self.pool.handler
        if handler is not self.loads_for:  # its messages may be of another class of that name
            self.load = self.publisher.loader(self.pool.type)
            self.loads_for = handler
            self.simple = handler if handler.is_simple and self.load is not None else None
        self.looked_us = self.clock.now_us()
        return self.simple

    def _report(self) -> None:
        """Report the outcomes to the queue, and how long a handler call takes to the dispatcher."""
        pool = self.pool
        if self.finished:
            finished, self.finished = self.finished, []
            self.urgent = False
            pool.rate.add(len(finished), self.now_s())
            self.reporter.report(pool, finished)
            if not self.reported_us / 2 < pool.run_us < self.reported_us * 2:
                self.reported_us = pool.run_us
                self.directory.tell("dispatcher", PaceChanged(pool.type, pool.run_us))

    # --- beginning and end of an attempt -----------------------------------------------------------------------------------

    def _give_back_if_closed(self, delivery: WorkerDelivery) -> bool:
        """Give a delivery back if its handler may no longer start; return whether that is so."""
        if not self.pool.closed:
            return False
        delivery.outcome = Release(*delivery.attempt_ref, "not started when its handler was stopped")
        self.finished.append(delivery)
        return True

    def _start(self, delivery: WorkerDelivery) -> None:
        now_us = delivery.started_us = self.clock.now_us()
        if delivery.lease.attempt == 1 and (self.pool.run_us > SHORT_US or not delivery.number & 7):
            since_us = self.publisher.since_us(delivery.published)
            if since_us:
                self.pool.waits.add(max(0, now_us - since_us))

    def _end(self, delivery: WorkerDelivery, outcome: Done | Fail | Release) -> None:
        self.pool.processed += 1
        self.pool.failed += type(outcome) is Fail
        delivery.outcome = outcome
        self.urgent = self.urgent or _is_waited_for(delivery, outcome)
        self.finished.append(delivery)

    def _measure(self, run_us: float) -> None:
        pool = self.pool
        pool.run_us = run_us if not pool.run_us else pool.run_us + (run_us - pool.run_us) / 8
        pool.runs.add(run_us)

    def _failed(self, delivery: WorkerDelivery, error: BaseException) -> Fail | Release:
        """Return the outcome of an attempt that raised; where the host's loop is closed, no later one can begin either."""
        if not issubclass(type(error), LoopClosed):  # by its true class: `isinstance` asks the object too
            return self.failures.failure(self.pool, delivery, error)
        self.pool.closed = True
        self.directory.tell("dispatcher", PaceChanged(self.pool.type, self.pool.run_us))
        return Release(*delivery.attempt_ref, plain_text(error))

    # --- one message at a time -------------------------------------------------------------------------------------------

    def _handle_simply(self, delivery: WorkerDelivery) -> bool:
        """Handle a plain message of a short handler, of which only the outcome is of interest; return False where `_handle` must.

        How long such messages wait and run is known from every eighth of them, which `_handle` takes.
        """
        load, pool = self.load, self.pool
        if type(delivery.lease) is not LeaseBatch or load is None or pool.closed:
            return False
        if delivery.claim.setdefault(0, self.token) is not self.token or delivery.outcome is not None:
            return True
        try:
            message = load(delivery.payload)
        except ActorKilled:
            raise
        except BaseException:  # noqa: BLE001 - `_handle` finds out what is wrong with it
            return False
        delivery.started_us = self.looked_us
        context = Context(self.contexts, delivery, pool.handler)
        _, error = self.caller.call(message, context, (delivery,))
        if error is not None:
            self._end(delivery, self.failures.failure(pool, delivery, error))
        elif context.drafts:
            self._end(delivery, Done(*delivery.attempt_ref, tuple(context.drafts)))
        else:
            pool.processed += 1  # as `_end` does
            delivery.outcome = DONE
            self.finished.append(delivery)
        return True

    def _handle(self, delivery: WorkerDelivery) -> None:
        """Handle a delivery, with others where they are handled in batches; unless another worker has claimed it."""
        if not delivery.claimed_by(self.token) or delivery.outcome is not None:
            return
        if self.pool.handler.batch_size:
            self._handle_batch(delivery)
            return
        if self._give_back_if_closed(delivery):
            return
        begun = self.now_s()
        if self.pool.handler.kind == "process":
            self.caller.process().ensure_started()
            if self._give_back_if_closed(delivery):  # it took a while
                return
        self._start(delivery)
        self._end(delivery, self._attempt(delivery))
        self._measure((self.now_s() - begun) * 1_000_000)

    def _attempt(self, delivery: WorkerDelivery) -> Done | Fail | Release:
        """Decode a message, have it handled and encode the result; return the outcome."""
        pool, publisher = self.pool, self.publisher
        plain = isinstance(delivery.lease, LeaseBatch)
        context = Context(self.contexts, delivery, pool.handler)
        try:
            if plain:
                message = publisher.load_plain(pool.type, delivery.payload, delivery.id)
            else:
                message = publisher.load(delivery.published)
        except ActorKilled:
            raise
        except BaseException as undecodable:  # noqa: BLE001 - the message's class is foreign code, an upcaster too
            return self.failures.undecodable(delivery, undecodable)
        value, error = self.caller.call(message, context, (delivery,))
        if error is not None:
            return self._failed(delivery, error)
        if plain:
            return Done(*delivery.attempt_ref, tuple(context.drafts)) if context.drafts else DONE
        result = b""
        extras = delivery.published.extras
        if extras is not None and extras.result_us:
            try:
                result = publisher.dump(value, delivery.id)
            except ActorKilled:
                raise
            except BaseException as unfit:  # noqa: BLE001 - the host's own types may raise anything
                return self.failures.failure(pool, delivery, unfit)
        return Done(*delivery.attempt_ref, tuple(context.drafts), result)

    # --- batches ---------------------------------------------------------------------------------------------------------

    def _handle_batch(self, first: WorkerDelivery) -> None:
        """Collect more messages for the first, call the handler once, and settle each message by itself."""
        deliveries = [d for d in self._collect(first) if not self._give_back_if_closed(d)]
        if not deliveries:
            return
        begun = self.now_s()
        items: list[tuple[WorkerDelivery, BatchItem[Any]]] = []
        for delivery in deliveries:
            self._start(delivery)
            try:
                message = self.publisher.load(delivery.published)
            except ActorKilled:
                raise
            except BaseException as undecodable:  # noqa: BLE001 - as in `_attempt`
                self._end(delivery, self.failures.undecodable(delivery, undecodable))
            else:
                items.append((delivery, BatchItem(self.contexts, delivery, self.pool.handler, message=message)))
        failed: BaseException | None = None
        if items:
            batch = Batch([item for _, item in items])
            _, failed = self.caller.call(batch, batch, [delivery for delivery, _ in items])
        for delivery, item in items:
            error = item.error or failed
            if error is not None:
                self._end(delivery, self._failed(delivery, error))
            else:
                plain = isinstance(delivery.lease, LeaseBatch) and not item.drafts
                self._end(delivery, DONE if plain else Done(*delivery.attempt_ref, tuple(item.drafts)))
        self._measure((self.now_s() - begun) * 1_000_000)

    def _collect(self, first: WorkerDelivery) -> list[WorkerDelivery]:
        handler, inbox = self.pool.handler, self.pool.inbox
        batch = [first]
        until = self.now_s() + handler.batch_wait_s
        while len(batch) < handler.batch_size and not self.killed and not self.pool.closed:
            try:
                item: Any = inbox.within(max(0.0, until - self.now_s()))
            except Empty:
                break
            if type(item) is WorkerDelivery:
                # After the death of another worker it may lie there twice, and this worker may have claimed it already.
                if not item.claim and item.claimed_by(self.token) and item.outcome is None:
                    batch.append(item)
            elif type(item) is Retire and not item.claim:
                inbox.put(item)  # for the worker that is free next, perhaps this one
                break
        return batch


def _is_waited_for(delivery: WorkerDelivery, outcome: Done | Fail | Release) -> bool:
    """Return whether anything may wait for this outcome: what it publishes, a result, a message of the same key or group."""
    if outcome is DONE:
        return False
    if type(outcome) is not Done or outcome.drafts or outcome.result:
        return True
    published = delivery.record
    return published is None or published.key is not None or published.group is not None or published.extras is not None
