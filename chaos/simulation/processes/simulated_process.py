"""Another process on a simulated executor: its actors take turns with all others, and end together.

The process that owns the folder is the executor itself, whose `forget_all` is called when that process dies. A process that becomes
the owner takes its place from then on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.actors.core.actor import Actor
    from perdure.actors.core.threads.answer import Answer
    from perdure.chaos.simulation.simulated_executor import SimulatedExecutor

__all__ = ["SimulatedProcess"]


class SimulatedProcess:
    """See `perdure.actors.core.executor.Executor`."""

    has_threads = False
    """See `Executor.has_threads`."""

    def __init__(self, executor: SimulatedExecutor) -> None:
        self._executor = executor
        self._owns = False

    def own(self) -> None:
        """Be the process that owns the folder from now on."""
        self._owns = True
        self._executor.adopt(self)

    def start(self, actor: Actor) -> None:
        """See `Executor.start`."""
        if self._owns:
            self._executor.start(actor)
        else:
            self._executor.start_in(self, actor)

    def join(self, actor: Actor, timeout_s: float) -> None:
        """See `Executor.join`."""
        self._executor.join(actor, timeout_s)

    def runs(self, actor: Actor) -> bool:
        """See `Executor.runs`."""
        return self._executor.runs(actor)

    def beside(self, work: Callable[[], None], name: str) -> Callable[[], bool]:
        """See `Executor.beside`."""
        return self._executor.beside(work, name)

    def answer(self) -> Answer:
        """See `Executor.answer`."""
        return self._executor.answer()

    def monotonic_s(self) -> float:
        """See `Executor.monotonic_s`."""
        return self._executor.monotonic_s()

    def sleep(self, seconds: float) -> None:
        """See `Executor.sleep`."""
        self._executor.sleep(seconds)

    def pid(self) -> int:
        """See `Executor.pid`."""
        return 2

    def traceback(self, error: BaseException) -> Any:
        """See `Executor.traceback`."""
        return self._executor.traceback(error)

    def die(self) -> None:
        """End the process: its actors take no turn any more."""
        self._executor.forget_all(self)
