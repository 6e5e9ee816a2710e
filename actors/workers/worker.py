"""A worker: one running slot of one handler. Takes deliveries, has the handler called, reports what became of them.

How a handler is called, and stopped, is in `calling`. When to hand out what is the queue's business.
"""

from __future__ import annotations

from queue import Empty
from typing import TYPE_CHECKING, Any

import attrs

from perdure.actors.core.actor import Actor, ActorKilled
from perdure.actors.core.messages import Pace
from perdure.actors.core.texts import plain_text
from perdure.actors.execution.event_loop import LoopClosed
from perdure.actors.execution.invocation import Caller, Interrupted
from perdure.actors.workers.context import Batch, BatchItem, Context, ContextServices
from perdure.actors.workers.pool import DONE, Delivery, Pool, Retire
from perdure.events.commands import Done, Fail, Release
from perdure.events.errors import InvalidMessage
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
"""Of handlers that take less than this, the wait of only every eighth message is measured."""
REPORT_MAX = 256
"""Outcomes reported at once."""
LINGER_S = 0.001
"""How long plain completions of a short handler wait for company when there is nothing else to do."""
REPORT_AFTER_S = 0.002
"""An outcome waits no longer than this (plus the handler call under way) for company."""


@attrs.frozen(eq=False)
class WorkerServices:
    """What the workers of one run use beside their pool: made once, shared by all of them."""

    contexts: ContextServices
    host: HostContext
    failures: Failures
    reporter: Reporter


class Worker(Actor):
    """Shares its mailbox with the other workers of its handler, so that none waits while another has work to spare."""

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
        self.finished: list[Delivery] = []
        self.urgent = False
        """Somebody may wait for what is finished: it published, or failed, or its result is asked for."""
        self.told_us = 0.0
        self.looked_us = 0
        self.load: Callable[[bytes], Any] | None = None
        self.loads_for: HandlerSpec | None = None
        """The handler with which the loader was asked for."""
        self.simple: HandlerSpec | None = None
        """The same, if it is of the simple kind."""
        pool.workers[name] = self.token

    def kill(self) -> None:
        """See `Actor.kill`; as the mailbox is shared, every worker is roused so that the right one is."""
        super().kill()
        for _ in self.pool.workers:
            self.rouse()

    def on_start(self) -> None:
        """End the process that a predecessor may have left; find out how messages are decoded."""
        self.caller.end_process()
        self._simple()  # here, where an error is this worker's death, nobody else's

    def run(self) -> None:
        """Take deliveries one by one, or in batches, as fast as they come."""
        pool = self.pool
        inbox = pool.inbox
        take = inbox._get_nowait  # noqa: SLF001 - the hot path
        since = self.now_s()
        simple = self._simple()
        while True:
            try:
                item: Any = take()
            except Empty:
                item = None  # what was handled last does not stay for as long as nothing comes
                item = self._wait(simple)
                since = self.now_s()
                simple = self._simple()
            if self.killed:
                raise ActorKilled(self.name)
            if not self._step(item, simple):
                return
            now = self.now_s()
            if len(self.finished) >= REPORT_MAX or now - since > REPORT_AFTER_S or pool.closed:
                self._report()
                since = now
                simple = self._simple()

    def _wait(self, simple: HandlerSpec | None) -> Any:
        """Wait for something to do; first for a moment with what is finished, so that it need not be put on record by itself."""
        if self._lingers(simple):
            try:
                return self.pool.inbox.within(LINGER_S)
            except Empty:
                pass
        self._report()
        return self.pool.inbox.get()

    def _lingers(self, simple: HandlerSpec | None) -> bool:
        pool = self.pool
        worth = pool.handler is simple and 0.0 < pool.run_us < SHORT_US
        return bool(self.finished) and worth and not self.urgent and not pool.closed

    def _simple(self) -> HandlerSpec | None:
        """Give the handler as it is now, if it is of the simple kind; and look at the clock."""
        handler = self.pool.handler
        if handler is not self.loads_for:  # its messages may be of another class of that name
            self.load = self.publisher.loader(self.pool.type)
            self.loads_for = handler
            self.simple = handler if handler.is_simple and self.load is not None else None
        self.looked_us = self.clock.now_us()
        return self.simple

    def _handle_simply(self, delivery: Delivery) -> None:
        """As `_take`, for a plain message and a short handler of which nothing but its outcome is of interest.

        How long it waited and ran is known from every eighth of them, which go the long way.
        """
        load, pool, caller = self.load, self.pool, self.caller
        if type(delivery.lease) is not LeaseBatch or load is None or pool.closed:
            self._take(delivery)
            return
        if delivery.claim.setdefault(0, self.token) is not self.token or delivery.outcome is not None:
            return
        try:
            message = load(delivery.payload)
        except Exception:  # noqa: BLE001 - the long way says what is wrong with it
            self._handle(delivery)
            return
        delivery.started_us = self.looked_us
        context = Context(self.contexts, delivery, pool.handler)
        try:
            base = caller.base
            variables = caller.variables() if base is None else base.copy()
            value = variables.run(pool.handler.call, message, context)
            if value is not None:
                caller.finish(value, variables, [delivery])
        except ActorKilled:
            raise
        except BaseException as error:  # noqa: BLE001 - as in `_attempt`
            self._ended(delivery, self.failures.failure(pool, delivery, error))
        else:
            if self.killed:
                raise ActorKilled(self.name)
            if context.drafts:
                self._ended(delivery, Done(*delivery.attempt_ref, tuple(context.drafts)))
                return
            pool.processed += 1  # as `_ended` does
            delivery.outcome = DONE
            self.finished.append(delivery)

    def turn(self, items: list[Any]) -> bool:
        """Take what there is, and report unless company may come; how a world without threads runs it, instead of `run`."""
        simple = self._simple()
        going_on = all(self._step(item, simple) for item in items)
        if not (items and going_on and self._lingers(simple)):
            self._report()
        return going_on

    def patience_s(self) -> float | None:
        """See `Actor.patience_s`; for a world without threads."""
        return LINGER_S if self.finished else None

    def _step(self, item: Any, simple: HandlerSpec | None) -> bool:
        """Take one thing, the short way where it may be; False when told to retire."""
        pool = self.pool
        if pool.handler is simple and type(item) is Delivery and item.number & 7 and 0.0 < pool.run_us < SHORT_US:
            self._handle_simply(item)
            return True
        return self._take(item)

    def _take(self, item: Any) -> bool:
        """Handle one delivery, if no other worker has it; False when told to retire."""
        if type(item) is Delivery:
            if item.claimed_by(self.token) and item.outcome is None:
                if self.pool.handler.batch_size:
                    self._handle_batch(item)
                else:
                    self._handle(item)
        elif type(item) is Retire and item.claimed_by(self.token):
            self._report()
            self.caller.end_process()
            return False
        return True

    def _report(self) -> None:
        """Tell the queue what became of what was handled, and the dispatcher how fast it goes."""
        pool = self.pool
        if self.finished:
            finished, self.finished = self.finished, []
            self.urgent = False
            pool.rate.add(len(finished), self.now_s())
            self.reporter.report(pool, finished)
            if not self.told_us / 2 < pool.run_us < self.told_us * 2:
                self.told_us = pool.run_us
                self.directory.tell("dispatcher", Pace(pool.type, pool.run_us))

    def _turned_away(self, delivery: Delivery) -> bool:
        """Give a delivery back if its handler may no longer start."""
        if not self.pool.closed:
            return False
        delivery.outcome = Release(*delivery.attempt_ref, "not started when its handler was stopped")
        self.finished.append(delivery)
        return True

    # --- one message at a time -------------------------------------------------------------------------------------------

    def _handle(self, delivery: Delivery) -> None:
        if self._turned_away(delivery):
            return
        begun = self.now_s()
        if self.pool.handler.kind == "process":
            self.caller.process().warm()
        self._start(delivery)
        outcome: Done | Fail | Release
        try:
            outcome = self._attempt(delivery)
        except Interrupted:
            outcome = self.failures.failure(self.pool, delivery, TimeoutError("interrupted by its timeout"))
        if self.killed:
            raise ActorKilled(self.name)
        self._ended(delivery, outcome)
        self._took((self.now_s() - begun) * 1_000_000)

    def _start(self, delivery: Delivery) -> None:
        now_us = delivery.started_us = self.clock.now_us()
        if delivery.lease.attempt == 1 and (self.pool.run_us > SHORT_US or not delivery.number & 7):
            since_us = self.publisher.since_us(delivery.published)
            if since_us:
                self.pool.waits.add(max(0, now_us - since_us))

    def _ended(self, delivery: Delivery, outcome: Done | Fail | Release) -> None:
        self.pool.processed += 1
        self.pool.failed += type(outcome) is Fail
        delivery.outcome = outcome
        self.urgent = self.urgent or outcome is not DONE
        self.finished.append(delivery)

    def _took(self, run_us: float) -> None:
        pool = self.pool
        pool.run_us = run_us if not pool.run_us else pool.run_us + (run_us - pool.run_us) / 8
        pool.runs.add(run_us)

    def _attempt(self, delivery: Delivery) -> Done | Fail | Release:
        """Call the handler. Whatever it raises, SystemExit and the like included, fails this attempt and nothing else."""
        pool = self.pool
        plain = isinstance(delivery.lease, LeaseBatch)
        context = Context(self.contexts, delivery, pool.handler)
        try:
            publisher = self.publisher
            if plain:
                message = publisher.load_plain(pool.type, delivery.payload, delivery.id)
            else:
                message = publisher.load(delivery.published)
        except InvalidMessage as error:
            return self.failures.undecodable(delivery, error)
        result = b""
        try:
            try:
                value = self.caller.call(message, context, [delivery])
                if not plain and (extras := delivery.published.extras) is not None and extras.result_us:
                    result = self.publisher.dump(value, delivery.id)
            finally:
                self.caller.release([delivery])
        except (ActorKilled, Interrupted):
            raise
        except LoopClosed as error:
            return self._close(delivery, error)
        except BaseException as error:  # noqa: BLE001 - see above
            return self.failures.failure(pool, delivery, error)
        if plain and not context.drafts:
            return DONE  # type: ignore[no-any-return]
        return Done(*delivery.attempt_ref, tuple(context.drafts), result)

    def _close(self, delivery: Delivery, error: LoopClosed) -> Release:
        """Give a message back that has not begun, and have no more handed out: the system is about to stop."""
        self.pool.closed = True
        self.directory.tell("dispatcher", Pace(self.pool.type, self.pool.run_us))
        return Release(*delivery.attempt_ref, plain_text(error))

    # --- batches ---------------------------------------------------------------------------------------------------------

    def _handle_batch(self, first: Delivery) -> None:
        """Collect company for the first, call the handler once, and settle each message by itself."""
        deliveries = [d for d in self._collect(first) if not self._turned_away(d)]
        if not deliveries:
            return
        begun = self.now_s()
        items: list[tuple[Delivery, BatchItem[Any]]] = []
        for delivery in deliveries:
            self._start(delivery)
            try:
                message = self.publisher.load(delivery.published)
            except InvalidMessage as error:
                self._ended(delivery, self.failures.undecodable(delivery, error))
            else:
                items.append((delivery, BatchItem(self.contexts, delivery, self.pool.handler, message=message)))
        failed = self._try_batch(items) if items else None
        if self.killed:
            raise ActorKilled(self.name)
        for delivery, item in items:
            verdict = item.error or failed
            if isinstance(verdict, LoopClosed):
                self._ended(delivery, self._close(delivery, verdict))
            elif verdict is None:
                plain = isinstance(delivery.lease, LeaseBatch) and not item.drafts
                self._ended(delivery, DONE if plain else Done(*delivery.attempt_ref, tuple(item.drafts)))
            else:
                self._ended(delivery, self.failures.failure(self.pool, delivery, verdict))
        self._took((self.now_s() - begun) * 1_000_000)

    def _collect(self, first: Delivery) -> list[Delivery]:
        handler, inbox = self.pool.handler, self.pool.inbox
        batch = [first]
        until = self.now_s() + handler.batch_wait_s
        while len(batch) < handler.batch_size and not self.killed and not self.pool.closed:
            try:
                item: Any = inbox.within(max(0.0, until - self.now_s()))
            except Empty:
                break
            if type(item) is Delivery:
                # After a death near by it may lie there twice, and its second copy is this worker's own already.
                if not item.claim and item.claimed_by(self.token) and item.outcome is None:
                    batch.append(item)
            elif type(item) is Retire and not item.claim:
                inbox.put(item)  # for whoever is free next, perhaps this one
                break
        return batch

    def _try_batch(self, items: list[tuple[Delivery, BatchItem[Any]]]) -> BaseException | None:
        """Call the handler; gives what it raised."""
        deliveries = [delivery for delivery, _ in items]
        batch = Batch([item for _, item in items])
        try:
            try:
                self.caller.call(batch, batch, deliveries)
            finally:
                self.caller.release(deliveries)
        except ActorKilled:
            raise
        except Interrupted:
            return TimeoutError("interrupted by its timeout")
        except BaseException as error:  # noqa: BLE001 - see `_attempt`
            return error
        return None
