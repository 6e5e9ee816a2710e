"""A worker: one running slot of one handler. Takes a delivery, calls the handler inside a guard, reports what became of it.

When to hand out what is the queue's business; when to give up on a handler the dispatcher's.
"""

from __future__ import annotations

import ctypes
import logging
import threading
import traceback
from queue import Empty
from time import perf_counter
from typing import TYPE_CHECKING, Any

from perdure.actors.actor import Actor, ActorKilled
from perdure.actors.context import WAIT_MAX_S, Context, Interrupted, Reject, Retry, plain_text
from perdure.actors.messages import Outcomes, Pace, Wake
from perdure.actors.pool import Delivery, Pool, Retire
from perdure.events.commands import Done, Fail, GiveBack

if TYPE_CHECKING:
    from perdure.actors.stage import Stage

__all__ = ["Worker"]

logger = logging.getLogger("perdure")

REPORT_MAX = 128
"""Outcomes reported at once."""
REPORT_AFTER_S = 0.002
"""An outcome waits no longer than this (plus the handler call under way) for company."""
TRACEBACK_CHARS = 16_000
FALLBACK_DELAY_S = 1.0
"""The wait before a retry where a host's own backoff failed to name one."""


class _Confirm:
    """Reply to a report: its outcomes are on record, the pool can forget them."""

    __slots__ = ("deliveries", "pool")

    def __init__(self, pool: Pool, deliveries: list[Delivery]) -> None:
        self.pool = pool
        self.deliveries = deliveries

    def resolve(self, value: Any) -> None:  # noqa: ARG002 - the protocol's name
        """See `Reply.resolve`."""
        self.pool.confirmed(self.deliveries)

    def reject(self, error: BaseException) -> None:  # noqa: ARG002 - the protocol's name
        """See `Reply.reject`: nobody is left to take it; the next process takes the messages back."""
        self.pool.confirmed(self.deliveries)


def report(stage: Stage, pool: Pool, deliveries: list[Delivery]) -> None:
    """Send finished deliveries' outcomes to the queue, again and again until they are on record."""
    outcomes = Outcomes([delivery.outcome for delivery in deliveries])
    stage.desk.send("queue", outcomes, _Confirm(pool, deliveries), from_outside=False)


class Worker(Actor):
    """Shares its mailbox with the other workers of its handler, so that none waits while another has work to spare."""

    def __init__(self, stage: Stage, name: str, generation: int, pool: Pool) -> None:
        super().__init__(stage, name, generation)
        self.pool = pool
        self.token = object()
        self.actor_inbox = pool.inbox
        self.actor_ref.actor_inbox = pool.inbox
        self.finished: list[Delivery] = []
        self.told_us = 0.0
        pool.workers[name] = self.token

    def kill(self) -> None:
        """See `Actor.kill`; as the mailbox is shared, every worker is roused so that the right one is."""
        super().kill()
        for _ in self.pool.workers:
            self.rouse()

    def run(self) -> None:
        """Take deliveries one by one, as fast as they come."""
        inbox = self.pool.inbox
        take, wait = inbox._get_nowait, inbox.get  # noqa: SLF001 - the hot path
        since = perf_counter()
        while True:
            try:
                item: Any = take()
            except Empty:
                self._report()
                item = wait()
                since = perf_counter()
            if self.killed:
                raise ActorKilled(self.name)
            if type(item) is Delivery:
                if item.claimed_by(self.token) and item.outcome is None:
                    self._handle(item)
                    now = perf_counter()
                    if len(self.finished) >= REPORT_MAX or now - since > REPORT_AFTER_S or self.pool.closed:
                        self._report()
                        since = now
            elif type(item) is Retire:
                self._report()
                return

    def _report(self) -> None:
        """Tell the queue what became of what was handled, and the dispatcher how fast it goes."""
        pool = self.pool
        if self.finished:
            finished, self.finished = self.finished, []
            report(self.stage, pool, finished)
            if not self.told_us / 2 < pool.run_us < self.told_us * 2:
                self.told_us = pool.run_us
                self.stage.tell("dispatcher", Pace(pool.type, pool.run_us))
        if pool.closed:
            self.stage.tell("dispatcher", Wake())

    def _handle(self, delivery: Delivery) -> None:
        pool = self.pool
        published, attempt = delivery.published, delivery.lease.attempt
        if pool.closed:
            delivery.outcome = GiveBack(published.number, published.id, attempt, "not started when its handler was stopped")
            self.finished.append(delivery)
            return
        begun = perf_counter()
        delivery.started_us = self.stage.clock.now_us()
        outcome: Done | Fail
        try:
            outcome = self._attempt(delivery)
        except Interrupted:
            outcome = self._failure(delivery, TimeoutError("interrupted by its timeout"), 0.0)
        if self.killed:
            raise ActorKilled(self.name)
        run_us = (perf_counter() - begun) * 1_000_000
        pool.run_us = run_us if not pool.run_us else pool.run_us + (run_us - pool.run_us) / 8
        pool.runs.add(run_us)
        pool.processed += 1
        delivery.outcome = outcome
        self.finished.append(delivery)

    def _attempt(self, delivery: Delivery) -> Done | Fail:
        """Call the handler. Whatever it raises, SystemExit and the like included, fails this attempt and nothing else."""
        published = delivery.published
        context = Context(self.stage, delivery, self.pool.handler)
        if self.pool.handler.timeout_s is not None:
            delivery.guard = threading.Lock()
            delivery.thread_id = threading.get_ident()
        try:
            message = self.stage.publisher.load(published.type, published.payload)
            self.pool.handler.call(message, context)
        except (ActorKilled, Interrupted):
            raise
        except Retry as asked:
            return self._failure(delivery, asked, asked.delay)
        except Reject as asked:
            return self._failure(delivery, asked, 0.0, plain_text(asked.reason))
        except BaseException as error:  # noqa: BLE001 - see above
            return self._failure(delivery, error, None)
        finally:
            self._unguard(delivery)
        return Done(published.number, published.id, delivery.lease.attempt, tuple(context.drafts))

    def _unguard(self, delivery: Delivery) -> None:
        """From here on nobody interrupts this thread; what was thrown and has not struck yet is called back."""
        if delivery.guard is None:
            return
        with delivery.guard:
            thread_id, delivery.thread_id = delivery.thread_id, 0
        if delivery.lost and not self.killed:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread_id), None)

    def _failure(self, delivery: Delivery, error: BaseException, delay_s: float | None, reject: str | None = None) -> Fail:
        self.pool.failed += 1
        return failure(self.stage, self.pool, delivery, error, delay_s, reject)


def failure(
    stage: Stage,
    pool: Pool,
    delivery: Delivery,
    error: BaseException,
    delay_s: float | None = None,
    reject: str | None = None,
) -> Fail:
    """Describe a failed attempt; without a delay the handler's backoff says how long to wait."""
    published, attempt = delivery.published, delivery.lease.attempt
    if delay_s is None:
        delay_s = _backoff_s(stage, pool, attempt)
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    story = plain_text("".join(traceback.format_exception(error)), TRACEBACK_CHARS)
    delay_us = round(delay_s * 1_000_000)
    return Fail(published.number, published.id, attempt, name, _text(error), story, delay_us, reject)


def _backoff_s(stage: Stage, pool: Pool, attempt: int) -> float:
    """Give what the handler's backoff says, within what a log can hold; it may be the host's own code, so it may fail."""
    try:
        return max(0.0, min(WAIT_MAX_S, float(pool.handler.backoff.delay(attempt, stage.chance.random()))))
    except Exception:
        logger.exception("the backoff of %s failed; its message is tried again in %g s", pool.type, FALLBACK_DELAY_S)
        return FALLBACK_DELAY_S


def _text(error: BaseException) -> str:
    """Give an exception's message, even where its own `__str__` fails."""
    try:
        return plain_text(error)
    except Exception as second:  # noqa: BLE001 - the handler's exception is foreign code
        return f"(no message: its __str__ raised {type(second).__name__})"


def interrupt(delivery: Delivery) -> None:
    """Throw `Interrupted` into the handler that runs this delivery, where its thread is still in it."""
    if delivery.guard is None:
        return
    with delivery.guard:
        if delivery.thread_id:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(delivery.thread_id), ctypes.py_object(Interrupted))
