"""Members of a scenario: other processes whose workers the owner feeds. They join, hang, lose their connection and die.

What their handlers do with a message beyond what the owner's do (`handlers`) is here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from perdure.chaos.oracle.recording_system import RecordingSystem
from perdure.chaos.scenarios.handlers import CALL_S, behave, outlast_lease, settle_bulk
from perdure.chaos.scenarios.messages import (
    BACKOFF_S,
    CROWD_MAX,
    CROWD_S,
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
    OldDeed,
    Plain,
    Task,
)
from perdure.chaos.simulation.processes.simulated_member import SimulatedMember
from perdure.events.handlers.backoff import Fixed

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable

    from perdure.actors.workers.context import Batch, Context
    from perdure.chaos.disk.memory_disk import MemoryDisk
    from perdure.chaos.oracle.handler_log import HandlerLog
    from perdure.chaos.simulation.processes.simulated_sessions import SimulatedSessions
    from perdure.chaos.simulation.simulated_executor import SimulatedExecutor
    from perdure.handling.recurring.schedules import Tick
    from perdure.options import Options
    from perdure.processes.to_owner.spooling import Spooling

__all__ = ["Member", "new_member"]

OLD_RETRIES = 1


@attrs.frozen
class Member:
    """What one member is like."""

    workers: int
    """How many each of its busier handlers has."""
    is_slow: bool = False
    """Its handlers take the time that messages ask for, in which the owner and the member itself may end."""
    has_more: bool = False
    """It also handles batches and the types with a limit over all processes, and it has the schedules."""
    is_old: bool = False
    """Its code is old: it knows an earlier version of a type, and has other options for another one."""
    may_own: bool = False
    """It has all handlers and schedules of an owner, and may become one."""
    spools: bool = False
    """It spools while there is no owner, where the scenario has a spool."""


def new_member(
    executor: SimulatedExecutor,
    sessions: Callable[[], SimulatedSessions | None],
    log: HandlerLog,
    fault_counts: Counter[str],
    settings: Member,
    disk: MemoryDisk,
    options: Options,
    spooling: Spooling | None,
) -> SimulatedMember:
    """Return a member that has not begun. It has this disk and these options if it becomes the owner.

    `spooling`: where it spools; None: it does not.
    """
    system = RecordingSystem(executor=executor, disk=disk, options=options)
    _Handlers(system, log, fault_counts, settings).register()
    # A member with schedules would look at them each second until its clock and the machine's agree, which here they never do.
    has_own_clock = not (settings.may_own or settings.has_more)
    return SimulatedMember(executor, sessions, system, has_own_clock=has_own_clock, spooling=spooling)


@attrs.frozen
class _Handlers:
    system: RecordingSystem
    log: HandlerLog
    fault_counts: Counter[str]
    settings: Member

    def register(self) -> None:
        """Register handlers with the options that the owner has them with."""
        workers = self.settings.workers
        retries = OLD_RETRIES if self.settings.is_old else RETRIES
        self._add(Task, parallelism=workers, lease=LEASE_S, renew=False, retries=retries)
        self._add(Plain, parallelism=workers)
        self._add(Note, parallelism=2, **NOTE_POLICY)
        if self.settings.may_own:
            self._add(Metered, parallelism=(1, 3), rate=RATE_PER_S, lease=LEASE_S)
        if self.settings.has_more or self.settings.may_own:
            self._add(Crowd, parallelism=(1, CROWD_MAX), limit=CROWD_MAX)
            self._add(OldDeed if self.settings.is_old else Deed, parallelism=workers)
            retried: dict[str, Any] = {"retries": RETRIES, "backoff": Fixed(BACKOFF_S)}
            for name, (missed, step_s) in SCHEDULES.items():
                self.system.every(step_s, name=name, missed=missed, **retried)(self._tick)
            self.system.batch_handler(Bulk, size=4, wait=0.5, lease=LEASE_S, renew=False, **retried)(self._handle_bulk)

    def _add(self, kind: type[Any], **options: Any) -> None:
        def handle(message: Any, ctx: Context) -> Any:
            call = self.log.begin(message, ctx, home=self.system)
            self.fault_counts["handled by a member"] += 1
            self.system.executor.clock.advance(CALL_S)
            try:
                if isinstance(message, Crowd):
                    self._wait(CROWD_S)
                if isinstance(message, OldDeed):
                    self.fault_counts["handled by old code"] += 1
                if self.settings.is_slow:
                    self._take_time(message, ctx)
                behave(self.log, message, ctx, call)
                return message.number
            finally:
                call.ended = True

        self.system.handler(kind, **{"retries": RETRIES, "backoff": Fixed(BACKOFF_S), **options})(handle)

    def _tick(self, tick: Tick, ctx: Context) -> None:
        self.fault_counts["a tick in a member"] += 1
        self.log.begin(tick, ctx, home=self.system).ended = True

    def _handle_bulk(self, batch: Batch[Any]) -> None:
        settle_bulk(self.log, batch, home=self.system)

    def _take_time(self, message: Any, ctx: Context) -> None:
        how, _, seconds = message.how.partition(":")
        if how == "slow":
            self.fault_counts["slow in a member"] += 1
            self._wait(float(seconds))
        elif how in ("heartbeats", "extends"):
            self.fault_counts["outlasts its lease in a member"] += 1
            outlast_lease(ctx, how, float(seconds), self._wait)

    def _wait(self, seconds: float) -> None:
        self.system.executor.run_until(lambda: False, seconds)
