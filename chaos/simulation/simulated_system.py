"""A `System` on a simulated executor and a disk in memory, for deterministic tests of handlers.

The order of turns and the virtual time are in `simulated_executor`; random scenarios are in `scenarios`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from perdure.actors.queue.orphans import REATTACH_US
from perdure.chaos.disk.memory_disk import MemoryDisk
from perdure.chaos.simulation.published import assert_published
from perdure.chaos.simulation.redelivery import is_redeliverable, redeliver
from perdure.chaos.simulation.simulated_executor import SimulatedExecutor, Stuck
from perdure.chaos.simulation.simulated_loop import SimulatedHooks, run_coroutine
from perdure.options import Options
from perdure.store import History, SegmentStore
from perdure.system import System

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from perdure.actors.workers.handler_spec import HandlerSpec
    from perdure.handling.recurring.schedules import Schedule
    from perdure.processes.member import Member
    from perdure.runtime.engine import Engine
    from perdure.runtime.process.lifecycle_steps import Start

__all__ = ["SimulatedSystem", "Stuck"]

M = TypeVar("M")


class SimulatedSystem(System):
    """A `System` in memory and in virtual time, for tests of handlers. The same seed gives the same run.

    A call that waits (`publish`, `drain`, `call`, ...) runs the actors until it is answered. Otherwise nothing happens until
    `step`, `run_until_idle` or `advance` is called.

    All handlers run in the caller's thread, batches too. A coroutine runs on a loop in virtual time: `asyncio.sleep` takes no real
    time, and other threads (`asyncio.to_thread`) must not use the system. A process handler runs as a plain function. These need a
    real `System`: a `timeout` that interrupts a thread, and the forced end, memory limit and crash of a child process.

    Args:
        seed: of everything random: the order of turns, jitter, ids.
        disk: the disk to run on; a new one unless given. Pass the disk of another system to see this one recover from it.
        options: as `System`.
        others: as `System`.
    """

    store_class: type[SegmentStore] = SegmentStore

    def __init__(self, *, seed: int = 0, disk: MemoryDisk | None = None, options: Options | None = None, **others: Any) -> None:
        self.executor: SimulatedExecutor = others.pop("executor", None) or SimulatedExecutor(seed)
        self.disk = disk or MemoryDisk()
        options = options or Options()
        store = self.store_class(
            "/simulated",
            segment_bytes=options.segment_bytes,
            snapshots_kept=options.snapshots_kept,
            history=History(options.history),
            disk=self.disk,
            new_id=lambda: self.executor.rng.randbytes(16),
            now_us=self.executor.clock.now_us,
        )
        seed = self.executor.rng.getrandbits(64)
        self.repeats = 0
        """How many of the next messages between actors are delivered twice, of those that may be."""
        self.has_members = False
        """Members of an earlier owner may live when it starts, as with any `shared=True`: they get time to report their work."""
        super().__init__(store=store, options=options, clock=self.executor.clock, seed=seed, executor=self.executor, **others)
        self._hooks = SimulatedHooks(self.executor)

    def be_member(self, member: Member) -> None:
        """Ask the owner, another process, over a member's connection."""
        self._engine = member

    def _add(self, spec: HandlerSpec, schedule: Schedule | None = None) -> None:
        super()._add(self._in_this_thread(spec), schedule)

    def _in_this_thread(self, spec: HandlerSpec) -> HandlerSpec:
        """Return a handler changed to run in this thread."""
        if spec.kind == "async":
            made = spec.call
            return attrs.evolve(spec, kind="thread", call=lambda *args: run_coroutine(self.executor, made(*args)))
        if spec.kind == "process":
            return attrs.evolve(spec, kind="thread", call=spec.function or spec.call, memory_bytes=None)
        return spec

    def _start_as(self, start: Start) -> None:
        """Start, by `start` or by a block. From then on a fault can also kill an actor between any two messages that it sends."""
        specs = self._registered.specs
        specs.update({name: self._in_this_thread(spec) for name, spec in specs.items()})
        super()._start_as(start)
        self._mark_points()

    def _mark_points(self) -> None:
        runtime, tell = self.runtime, self.runtime.directory.tell

        def tell_at_a_point(name: str, message: Any) -> None:
            self.executor.point()
            tell(name, message)
            if self.repeats and is_redeliverable(message):
                self.repeats -= 1
                redeliver(tell, name, message)

        runtime.directory.tell = runtime.pending.tell = tell_at_a_point  # type: ignore[method-assign]  # all messages pass here

    def _new_engine(self, *args: Any, **others: Any) -> Engine:
        engine = super()._new_engine(*args, **others)
        engine.runtime.pools.version_of = self.version_of
        if self.has_members:
            engine.runtime.orphans.wait_us = REATTACH_US
        return engine

    def version_of(self, type_name: str) -> int:
        """Return the newest version of a type that this process knows, as a process with `shared=True` reports it to the owner."""
        return self.drafts.names.versions.get(type_name, 1)

    def step(self) -> bool:
        """Let one actor take a turn. Return False if none has anything to do now."""
        return self.executor.step()

    def run_until_idle(self) -> None:
        """Run the actors until nothing is left to do at the present moment."""
        self.executor.run_until_idle()

    def assert_published(
        self,
        type: type[M] | str,
        match: M | Mapping[str, Any] | Callable[[M], object] | None = None,
        *,
        times: int | None = None,
    ) -> list[M]:
        """Assert that messages of a type were published, by the test or by a handler; return those, in order.

        Args:
            type: the message class, or its name.
            match: which of them: an equal message, the values of some fields (`{"order_id": "ORD-1"}`), or a function of the
                message. All of the type unless given.
            times: exactly how many, 0 for none; at least one unless given.

        Raises:
            AssertionError: other messages were published; it lists those of the type.
        """
        __tracebackhide__ = True
        return assert_published(self.audit, self.drafts, type, match, times)

    def advance(self, seconds: float) -> None:
        """Let time pass, and run everything that falls due meanwhile."""
        self.executor.run_until(lambda: False, seconds)
        self.executor.run_until_idle()
