"""Members of a scenario: other processes whose workers the owner feeds. They join, hang, lose their connection and die.

Their handlers do at once what a message asks for, as far as that needs no waiting. What the owner's do is in `handlers`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from perdure.actors.workers.context import Reject, Retry
from perdure.chaos.scenarios.handlers import CALL_S, publish_child
from perdure.chaos.scenarios.messages import BACKOFF_S, LEASE_S, RETRIES, Note, Plain, Task
from perdure.chaos.simulation.simulated_member import SimulatedMember
from perdure.chaos.simulation.simulated_system import SimulatedSystem
from perdure.events.handlers.backoff import Fixed
from perdure.options import Options

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable

    from perdure.actors.workers.context import Context
    from perdure.chaos.oracle.handler_log import Call, HandlerLog
    from perdure.chaos.simulation.simulated_executor import SimulatedExecutor
    from perdure.chaos.simulation.simulated_sessions import SimulatedSessions

__all__ = ["new_member"]


def new_member(
    executor: SimulatedExecutor,
    sessions: Callable[[], SimulatedSessions | None],
    log: HandlerLog,
    fault_counts: Counter[str],
    workers: int,
) -> SimulatedMember:
    """Return a member that has not begun, with so many workers for each of its busier handlers."""
    quiet: dict[str, Any] = {"log_failures": None, "log_dead_letters": None}
    system = SimulatedSystem(executor=executor, options=Options(retries=RETRIES, **quiet))
    _Handlers(system, log, fault_counts).register(workers)
    return SimulatedMember(executor, sessions, system)


@attrs.frozen
class _Handlers:
    system: SimulatedSystem
    log: HandlerLog
    fault_counts: Counter[str]

    def register(self, workers: int) -> None:
        """Register handlers with the options that the owner has them with."""
        self._add(Task, parallelism=workers, lease=LEASE_S, renew=False)
        self._add(Plain, parallelism=workers)
        self._add(Note, parallelism=2, dedup="append", key_parallelism=1)

    def _add(self, kind: type[Any], **options: Any) -> None:
        def handle(message: Any, ctx: Context) -> Any:
            call = self.log.begin(message, ctx, elsewhere=True)
            self.fault_counts["handled by a member"] += 1
            self.system.executor.clock.advance(CALL_S)
            try:
                return _behave(message, ctx, call)
            finally:
                call.ended = True

        self.system.handler(kind, retries=RETRIES, backoff=Fixed(BACKOFF_S), **options)(handle)


def _behave(message: Any, ctx: Context, call: Call) -> Any:
    how, _, number = message.how.partition(":")
    match how:
        case "fails" if ctx.attempt <= int(number):
            raise ValueError(message.number)
        case "retries" if ctx.attempt == 1:
            raise Retry(delay=1.0)
        case "rejected":
            raise Reject("as the message says")
        case "chained":
            publish_child(ctx, call, Note(message.number), key=f"n{message.number % 3}")
        case "half":
            for _ in range(2):
                publish_child(ctx, call, Note(message.number))
            if ctx.attempt == 1:
                raise ValueError(message.number)
    return message.number
