"""A `System` in a simulated world and on a disk in memory: for tests of one's own handlers that need neither time nor luck.

How its world goes round is in `simulated_world`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from perdure.chaos.disk.memory_disk import MemoryDisk
from perdure.chaos.simulation.redelivery import is_harmless_twice, tell_again
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
    """A `System` in memory, in a simulated world: for tests of one's own handlers that need neither time nor luck.

    Whatever waits (`publish`, `drain`, `call`, ...) lets the world go on until it is answered; beyond that, nothing happens by
    itself. All handlers run in the caller's thread, batches too. A coroutine runs on a loop in virtual time (`asyncio.sleep` takes
    none; what asks the system from another thread, such as `asyncio.to_thread`, has no place here). A process handler runs as a
    plain function: what only a child process gives (an end by force at the timeout, a limit of memory, a crash of its own) needs
    the real world, and so does a `timeout` that interrupts a thread.

    Args:
        seed: of all chance: who gets the next turn, jitter, ids.
        disk: where it is kept; a new one unless given. Hand the same disk to another system to see it recover.
        options, ...: as `System`.
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
        """So many of the next messages between actors are told twice, of those that may be."""
        super().__init__(store=store, options=options, clock=self.executor.clock, seed=seed, executor=self.executor, **others)

    def _add(self, spec: HandlerSpec, schedule: Schedule | None = None) -> None:
        super()._add(self._here(spec), schedule)

    def _here(self, spec: HandlerSpec) -> HandlerSpec:
        """Give a handler as it runs in this thread."""
        if spec.kind == "async":
            made = spec.call
            return attrs.evolve(spec, kind="thread", call=lambda *args: run_coroutine(self.executor, made(*args)))
        if spec.kind == "process":
            return attrs.evolve(spec, kind="thread", call=spec.function or spec.call, memory_bytes=None)
        return spec

    def start(self) -> None:
        """See `System.start`; from then on an actor can also be killed between any two messages that it tells."""
        specs = self._registered.specs
        specs.update({name: self._here(spec) for name, spec in specs.items()})
        super().start()
        runtime, tell = self.runtime, self.runtime.directory.tell

        def tell_at_a_point(name: str, message: Any) -> None:
            self.executor.point()
            tell(name, message)
            if self.repeats and is_harmless_twice(message):
                self.repeats -= 1
                tell_again(tell, name, message)

        runtime.directory.tell = runtime.pending._tell = tell_at_a_point  # type: ignore[method-assign]  # noqa: SLF001

    def step(self) -> bool:
        """Let one actor take a turn; False where none has anything to do now."""
        return self.executor.step()

    def run_until_idle(self) -> None:
        """Let everything happen that can happen now."""
        self.executor.run_until_idle()

    def advance(self, seconds: float) -> None:
        """Let time pass, and everything happen that falls due meanwhile."""
        self.executor.run_until(lambda: False, seconds)
        self.executor.run_until_idle()
