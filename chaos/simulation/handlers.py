"""The work of a night: message types, and handlers that do what the payload says, and write down when they were called.

What is published when is in `doings`; whether the calls were as promised is looked at by `scenario` and, in the end, by `checker`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from perdure.actors.workers.context import Reject, Retry
from perdure.chaos.disk.memory_disk import Killed
from perdure.chaos.simulation.schedules import SCHEDULES
from perdure.events.errors import PerdureError
from perdure.events.handlers.backoff import Fixed
from perdure.payloads.codecs import message

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.actors.workers.context import Batch, Context
    from perdure.chaos.simulation.scenario import Scenario
    from perdure.chaos.simulation.simulated_system import SimulatedSystem
    from perdure.handling.schedules import Tick

__all__ = [
    "BACKOFF_S",
    "CROWD_MAX",
    "HOWS",
    "LEASE_S",
    "RETRIES",
    "TYPES",
    "Bulk",
    "Call",
    "Crowd",
    "MessageBlock",
    "Metered",
    "Note",
    "Plain",
    "Task",
    "register",
]

BACKOFF_S = 2.0
LEASE_S = 30.0
RETRIES = 2
RATE_PER_S = 2.0
CALL_S = 50e-6
"""What each call takes at least: so little that workers are given many messages at once, and report them together."""
CROWD_MAX = 4
CROWD_S = 5.0
DIES = "dies"

HOWS = (
    *("done",) * 3,
    *("fails:1", "fails:2", "fails:9", "retries", "rejected"),
    *("slow:5", "slow:40", "beats:40", "extends:40"),
    *("chained",) * 2,
    *("half", "refusing", "cancels", DIES),
)
"""What a task may be told to do, as often as it is drawn; a number is of attempts or of seconds."""


@message(name="night.task")
@attrs.frozen
class Task:
    """Work whose outcome its payload says."""

    number: int
    how: str = "done"


@message(name="night.plain")
@attrs.frozen
class Plain:
    """Work of a handler without any options, which takes workers' and queue's short ways."""

    number: int
    how: str = "done"


@message(name="night.note")
@attrs.frozen
class Note:
    """What a task's handler publishes; of one key one is handled at a time."""

    number: int
    how: str = "done"


@message(name="night.parcel")
@attrs.frozen
class MessageBlock:
    """Work for manual consumers."""

    number: int
    how: str = "done"


@message(name="night.bulk")
@attrs.frozen
class Bulk:
    """Work that is handled in batches."""

    number: int
    how: str = "done"


@message(name="night.metered")
@attrs.frozen
class Metered:
    """Work that is handled at a limited rate, by as many workers as there is work for."""

    number: int
    how: str = "done"


@message(name="night.crowd")
@attrs.frozen
class Crowd:
    """Work that takes a while, for as many workers as there is work for, up to a bound."""

    number: int
    how: str = "done"


TYPES: dict[str, type[Any]] = {
    "task": Task,
    "plain": Plain,
    "note": Note,
    "parcel": MessageBlock,
    "bulk": Bulk,
    "metered": Metered,
    "crowd": Crowd,
}


@attrs.define(eq=False)
class Call:
    """One call of a handler for one attempt of one message, as the handler saw it."""

    type: str
    context: Context = attrs.field(repr=False)
    key: str | None
    """Whose messages must not be handled beside each other; None where they may."""
    group: str | None
    children: list[str] = attrs.field(factory=list)
    ended: bool = False
    id: str = attrs.field(init=False)
    attempt: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Take down whose call it is."""
        self.id, self.attempt = self.context.id, self.context.attempt


def register(scenario: Scenario, system: SimulatedSystem, workers: int) -> None:
    """Register all handlers of a night with a new system."""

    def ticked(tick: Tick, ctx: Context) -> None:
        scenario.begun(tick, ctx).ended = True

    def handler(kind: type[Any], **options: Any) -> Callable[[Any, Context], Any]:
        def handle(what: Any, ctx: Context) -> Any:
            call = scenario.begun(what, ctx)
            scenario.executor.clock.advance(CALL_S)
            if isinstance(what, Crowd):
                scenario.wait(CROWD_S)
            try:
                return _behave(scenario, what, ctx, call)
            finally:
                call.ended = True

        return system.handler(kind, retries=RETRIES, backoff=Fixed(BACKOFF_S), **options)(handle)

    handler(Task, parallelism=workers, lease=LEASE_S, renew=False)
    handler(Plain, parallelism=workers)
    handler(Note, parallelism=2, dedup="append", key_parallelism=1)
    handler(Metered, parallelism=(1, 3), rate=RATE_PER_S, lease=LEASE_S)
    handler(Crowd, parallelism=(1, CROWD_MAX))
    for name, (missed, step_s) in SCHEDULES.items():
        system.every(step_s, name=name, missed=missed, retries=RETRIES, backoff=Fixed(BACKOFF_S))(ticked)

    @system.batch_handler(Bulk, size=4, wait=0.5, retries=RETRIES, backoff=Fixed(BACKOFF_S), lease=LEASE_S, renew=False)
    def bulk(batch: Batch[Any]) -> None:
        calls = [scenario.begun(item.message, item) for item in batch]
        try:
            for item in batch:
                if item.message.how == "rejected":
                    item.reject("as it says")
                elif item.message.how.startswith("fails") and item.attempt == 1:
                    item.fail("as it says", delay=1.0)
            if any(item.message.how == DIES and item.attempt == 1 for item in batch):
                raise ValueError(len(batch))
        finally:
            for call in calls:
                call.ended = True


def _behave(scenario: Scenario, what: Any, ctx: Context, call: Call) -> Any:
    how, _, number = what.how.partition(":")
    match how:
        case "fails" if ctx.attempt <= int(number):
            raise ValueError(what.number)
        case "retries" if ctx.attempt == 1:
            raise Retry(delay=1.0)
        case "rejected":
            raise Reject("as it says")
        case "slow":
            scenario.wait(float(number))
        case "beats" | "extends":
            _hold_on(scenario, ctx, how, float(number))
        case "chained":
            _child(ctx, call, Note(what.number), key=f"n{what.number % 3}")
        case "half":
            for _ in range(2):
                _child(ctx, call, Note(what.number))
            if ctx.attempt == 1:
                raise ValueError(what.number)
        case "refusing":
            _child(ctx, call, Task(what.number), key=f"k{what.number % 3}", dedup="reject")
        case "cancels":
            scenario.cancel_running(call)
        case "dies":
            scenario.executor.die(Killed())
    return what.number


def _child(ctx: Context, call: Call, child: Any, **options: Any) -> None:
    call.children.append(ctx.publish(child, id=f"{ctx.id}.{ctx.attempt}.{len(call.children)}", **options))


def _hold_on(scenario: Scenario, ctx: Context, how: str, seconds: float) -> None:
    """Work for longer than the lease, and say so in time."""
    for part in range(4):
        scenario.wait(seconds / 4)
        try:
            if how == "beats":
                ctx.heartbeat(25 * (part + 1), "so far")
            else:
                ctx.extend(LEASE_S)
        except (PerdureError, TimeoutError):
            return  # its lease is gone, so nobody will take its outcome; or nobody answers now
