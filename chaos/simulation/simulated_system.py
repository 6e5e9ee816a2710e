"""A `System` on a simulated executor and a disk in memory, for deterministic tests of handlers.

The order of turns and the virtual time are in `simulated_executor`; random scenarios are in `scenarios`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from perdure.chaos.disk.memory_disk import MemoryDisk
from perdure.chaos.simulation.redelivery import is_redeliverable, redeliver
from perdure.chaos.simulation.simulated_executor import SimulatedExecutor, Stuck
from perdure.chaos.simulation.simulated_loop import run_coroutine
from perdure.options import Options
from perdure.store import History, SegmentStore
from perdure.system import System

if TYPE_CHECKING:
    from perdure.actors.workers.handler_spec import HandlerSpec
    from perdure.handling.schedules import Schedule

__all__ = ["SimulatedSystem", "Stuck"]


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
        super().__init__(store=store, options=options, clock=self.executor.clock, seed=seed, executor=self.executor, **others)

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

    def start(self) -> None:
        """See `System.start`. From then on a fault can also kill an actor between any two messages that it sends."""
        specs = self._registered.specs
        specs.update({name: self._in_this_thread(spec) for name, spec in specs.items()})
        super().start()
        runtime, tell = self.runtime, self.runtime.directory.tell

        def tell_at_a_point(name: str, message: Any) -> None:
            self.executor.point()
            tell(name, message)
            if self.repeats and is_redeliverable(message):
                self.repeats -= 1
                redeliver(tell, name, message)

        runtime.directory.tell = runtime.pending._tell = tell_at_a_point  # type: ignore[method-assign]  # noqa: SLF001

    def step(self) -> bool:
        """Let one actor take a turn. Return False if none has anything to do now."""
        return self.executor.step()

    def run_until_idle(self) -> None:
        """Run the actors until nothing is left to do at the present moment."""
        self.executor.run_until_idle()

    def advance(self, seconds: float) -> None:
        """Let time pass, and run everything that falls due meanwhile."""
        self.executor.run_until(lambda: False, seconds)
        self.executor.run_until_idle()
