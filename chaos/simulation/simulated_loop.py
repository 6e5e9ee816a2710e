"""An asyncio loop for coroutine handlers and hooks in a simulation: its waits run the other actors and take virtual time.

The loop runs one coroutine in the thread of the simulation. Real input and output still take real time.
"""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING, Any

from perdure.handling.hooks import Hooks, in_context
from perdure.runtime.hook_mark import HookMark

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from contextvars import Context

    from perdure.actors.services.runtime import HandlerRuntime
    from perdure.chaos.simulation.simulated_executor import SimulatedExecutor

__all__ = ["SimulatedHooks", "run_coroutine"]


class _Selector(selectors.DefaultSelector):
    """A selector whose waits run the other actors."""

    executor: SimulatedExecutor

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            return super().select(None)  # for real input or output: nothing in the simulation ends this wait
        running = asyncio._get_running_loop()  # noqa: SLF001 - these three are documented for authors of event loops
        asyncio._set_running_loop(None)  # noqa: SLF001 - another handler may begin meanwhile on its own loop
        try:
            self.executor.run_until(lambda: False, timeout)
        finally:
            asyncio._set_running_loop(running)  # noqa: SLF001 - as above
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, executor: SimulatedExecutor) -> None:
        selector = _Selector()
        selector.executor = executor
        self._executor = executor
        super().__init__(selector)

    def time(self) -> float:
        """Return the simulation's time."""
        return self._executor.monotonic_s()


def run_coroutine(executor: SimulatedExecutor, coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine to its end. Return what it returned, or raise what it raised."""
    loop = _Loop(executor)
    try:
        return loop.run_until_complete(coroutine)
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


class SimulatedHooks(Hooks):
    """Hooks that run in the thread of the simulation, in virtual time. They may take any."""

    need_loop = False

    def __init__(self, executor: SimulatedExecutor) -> None:
        super().__init__()
        self._executor = executor

    def _run(
        self,
        runtime: HandlerRuntime,
        hook: Callable[[], Any],
        _seconds: float | None,
        _given_up: Callable[[], bool],
        /,
    ) -> Context:
        mark = HookMark(runtime)
        try:
            variables: Context
            variables, error = runtime.host.variables.run(run_coroutine, self._executor, in_context(hook, mark))
        finally:
            mark.runtime = None
        if error is not None:
            raise error
        return variables
