"""The handlers of a scenario. Each does what its message asks for, and enters the call in the handler log.

What is published is in `steps`; whether a call was right is checked by `oracle.handler_log` and `oracle.history_checks`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from perdure.actors.workers.context import Reject, Retry
from perdure.chaos.disk.memory_disk import Killed
from perdure.chaos.scenarios.messages import (
    BACKOFF_S,
    CROWD_MAX,
    CROWD_S,
    DIES,
    LEASE_S,
    NOTE_POLICY,
    RATE_PER_S,
    RETRIES,
    SCHEDULES,
    Bulk,
    Crowd,
    Deed,
    Metered,
    Note,
    Plain,
    Task,
)
from perdure.events.errors import PerdureError
from perdure.events.handlers.backoff import Fixed

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable

    from perdure.actors.workers.context import Batch, Context
    from perdure.chaos.oracle.handler_log import Call, HandlerLog
    from perdure.chaos.simulation.simulated_system import SimulatedSystem
    from perdure.handling.recurring.schedules import Tick

__all__ = ["CALL_S", "Handlers", "behave", "outlast_lease", "settle_bulk"]

CHILDREN_EACH = 7
CHILD_OPTIONS: dict[int, dict[str, Any]] = {0: {"priority": 1, "ttl": 3_600.0, "keep_result": 30.0}, 1: {"delay": 20.0}}
"""With what a message has its handler publish, by the rest of its number over `CHILDREN_EACH`; others: with nothing."""
CALL_S = 50e-6
"""The least time a call takes: so short that workers get many messages at once and report them together."""


@attrs.frozen
class Handlers:
    """The handlers of one process."""

    system: SimulatedSystem
    log: HandlerLog
    fault_counts: Counter[str]

    def register(self, workers: int, *, with_others: bool = False) -> None:
        """Register all handlers with the system; those of `Task` and `Plain` have so many workers.

        `with_others`: members may be there, which handle more types.
        """
        self._add(Task, parallelism=workers, lease=LEASE_S, renew=False)
        self._add(Plain, parallelism=workers)
        self._add(Note, parallelism=2, **NOTE_POLICY)
        self._add(Metered, parallelism=(1, 3), rate=RATE_PER_S, lease=LEASE_S)
        limit: dict[str, Any] = {"limit": CROWD_MAX} if with_others else {}
        self._add(Crowd, parallelism=(1, CROWD_MAX), **limit)
        if with_others:
            self._add(Deed, parallelism=workers)
        retried: dict[str, Any] = {"retries": RETRIES, "backoff": Fixed(BACKOFF_S)}
        for name, (missed, step_s) in SCHEDULES.items():
            self.system.every(step_s, name=name, missed=missed, **retried)(self._tick)
        self.system.batch_handler(Bulk, size=4, wait=0.5, lease=LEASE_S, renew=False, **retried)(self._handle_bulk)

    def _add(self, kind: type[Any], **options: Any) -> None:
        def handle(message: Any, ctx: Context) -> Any:
            call = self.log.begin(message, ctx)
            self.system.executor.clock.advance(CALL_S)
            if isinstance(message, Crowd):
                self._wait(CROWD_S)
            try:
                return self._behave(message, ctx, call)
            finally:
                call.ended = True

        self.system.handler(kind, retries=RETRIES, backoff=Fixed(BACKOFF_S), **options)(handle)

    def _tick(self, tick: Tick, ctx: Context) -> None:
        self.log.begin(tick, ctx).ended = True

    def _handle_bulk(self, batch: Batch[Any]) -> None:
        settle_bulk(self.log, batch)

    def _behave(self, message: Any, ctx: Context, call: Call) -> Any:
        how, _, number = message.how.partition(":")
        match how:
            case "slow":
                self._wait(float(number))
            case "heartbeats" | "extends":
                outlast_lease(ctx, how, float(number), self._wait)
            case "refusing":
                self.log.publish(call, Task(message.number), {"key": f"k{message.number % 3}", "dedup": "reject"})
            case "cancels":
                self._cancel_running(call)
            case "dies":
                self.system.executor.die(Killed())
            case _:
                behave(self.log, message, ctx, call)
        return message.number

    def _wait(self, seconds: float) -> None:
        """Let a handler take its time while the other actors go on."""
        self.system.executor.run_until(lambda: False, seconds)

    def _cancel_running(self, by: Call) -> None:
        """From inside a handler, cancel another running message, or else its own; no outcome of the cancelled one may count."""
        log = self.log
        call = next((other for other in log.running if other is not by and log.is_in_force(other)), by)
        try:
            if not self.system.cancel(call.id):
                return  # it lost its lease and ended otherwise, or the log that remains does not have the lease
        except (PerdureError, TimeoutError):
            return
        self.fault_counts["cancelled while running"] += 1
        if log.is_in_force(call):
            log.violations.append(f"{call} is reported as cancelled, and its lease is in force")
        self._wait(1.0)
        if not call.ended and not call.context.cancelled and not call.elsewhere:
            log.violations.append(f"{call} is cancelled, and its context does not say so")


def behave(log: HandlerLog, message: Any, ctx: Context, call: Call) -> None:
    """Do what a message asks for that handlers of any process can do: fail, retry, reject, publish."""
    how, _, number = message.how.partition(":")
    match how:
        case "fails" if ctx.attempt <= int(number):
            raise ValueError(message.number)
        case "retries" if ctx.attempt == 1:
            raise Retry(delay=1.0)
        case "rejected":
            raise Reject("as the message says")
        case "chained":
            more = CHILD_OPTIONS.get(message.number % CHILDREN_EACH, {})
            log.publish(call, Note(message.number), {"key": f"n{message.number % 3}", **more})
        case "half":
            for _ in range(2):
                log.publish(call, Note(message.number), {})
            if ctx.attempt == 1:
                raise ValueError(message.number)


def settle_bulk(log: HandlerLog, batch: Batch[Any], *, home: object = None) -> None:
    """Do with each message of a batch what it asks for. If one of them asks to die, the whole batch fails."""
    calls = [log.begin(item.message, item, home=home) for item in batch]
    try:
        for item in batch:
            if item.message.how == "rejected":
                item.reject("as the message says")
            elif item.message.how.startswith("fails") and item.attempt == 1:
                item.fail("as the message says", delay=1.0)
        if any(item.message.how == DIES and item.attempt == 1 for item in batch):
            raise ValueError(len(batch))
    finally:
        for call in calls:
            call.ended = True


def outlast_lease(ctx: Context, how: str, seconds: float, wait: Callable[[float], None]) -> None:
    """Work for longer than the lease, and renew it in time."""
    for part in range(4):
        wait(seconds / 4)
        try:
            if how == "heartbeats":
                ctx.heartbeat(25 * (part + 1), "so far")
            else:
                ctx.extend(LEASE_S)
        except (PerdureError, TimeoutError):
            return  # the lease is lost, so the outcome will not count; or nothing answers at present
