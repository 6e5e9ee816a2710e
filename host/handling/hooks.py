"""Start and stop hooks: the host's functions on the event loop of its handlers, before the first delivery and after the last.

The loop is in `perdure.actors.execution.event_loop`. `perdure.runtime.engine` decides when hooks run; what they may not call is in
`perdure.runtime.hook_mark`.
"""

from __future__ import annotations

from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from perdure.actors.execution.event_loop import EventLoop, LoopDied
from perdure.actors.execution.returned import awaited
from perdure.events.errors import PerdureError
from perdure.events.loggers import GuardedLogger
from perdure.handling.signatures import check_hook, label_of
from perdure.runtime.hook_mark import MARK, HookMark

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context

    from perdure.actors.services.runtime import HandlerRuntime

    Hook = Callable[[], Any]

__all__ = ["Hooks"]

logger = GuardedLogger("perdure")

LOOK_S = 0.1
"""Seconds between two looks of a waiting start at whether it was given up."""
LOOP_PATIENCE_S = 5.0
"""Seconds that a start waits for a host's loop that does not run yet; another thread may be about to run it."""
STOP_LEAST_S = 1.0
"""Seconds that stop hooks have at least, even if the handlers have used up the grace period."""


class Hooks:
    """The hooks of one system."""

    need_loop = True
    """They run on the event loop of the coroutine handlers; those of a simulation do not."""

    def __init__(self) -> None:
        self.start: list[Hook] = []
        self.stop: list[Hook] = []

    def __bool__(self) -> bool:
        """Return whether there are any."""
        return bool(self.start or self.stop)

    def add(self, which: list[Hook], hook: Any) -> None:
        """Add a hook to the start hooks or the stop hooks.

        Raises:
            InvalidMessage: the hook cannot be called without arguments.
        """
        check_hook(hook)
        which.append(hook)

    def run_start(self, runtime: HandlerRuntime, given_up: Callable[[], bool]) -> None:
        """Run the start hooks in the order of their registration; handlers see the context variables that they set.

        Raises:
            Whatever a hook raises; later hooks are not run.
        """
        for hook in self.start:
            runtime.host.variables = self._run(runtime, hook, None, given_up)

    def run_stop(self, runtime: HandlerRuntime, seconds: float) -> None:
        """Run the stop hooks, the last one first, within so many seconds. A hook that fails is logged, and the others still run."""
        until_s = runtime.executor.monotonic_s() + max(seconds, STOP_LEAST_S)
        for hook in reversed(self.stop):
            try:
                self._run(runtime, hook, max(0.001, until_s - runtime.executor.monotonic_s()), lambda: False)
            except BaseException:
                logger.exception("the stop hook %s failed", label_of(hook))

    def _run(self, runtime: HandlerRuntime, hook: Hook, seconds: float | None, given_up: Callable[[], bool], /) -> Context:
        """Run one hook to its end; return the context variables as it left them."""
        loop = runtime.directory.actors.get("event_loop")
        if not isinstance(loop, EventLoop):
            msg = "the event loop is not there"
            raise LoopDied(msg)
        mark = HookMark(runtime)
        call = loop.call(in_context(hook, mark), runtime.host.variables)
        begun_s = runtime.executor.monotonic_s()
        until_s = None if seconds is None else begun_s + seconds
        try:
            while True:
                try:
                    variables, error = call.wait(LOOK_S)
                except TimeoutError:
                    if given_up() or (until_s is not None and runtime.executor.monotonic_s() >= until_s):
                        call.cancel()
                        msg = f"the hook {label_of(hook)} did not end in time; it was cancelled, and is left behind"
                        raise PerdureError(msg) from None
                    if not loop.loop.is_running() and runtime.executor.monotonic_s() >= begun_s + LOOP_PATIENCE_S:
                        call.cancel()
                        msg = (
                            f"the hook {label_of(hook)} cannot run: the event loop that the system was given runs in no thread. "
                            "Use `async with system:`, or start the system once the loop runs"
                        )
                        raise PerdureError(msg) from None
                    continue
                if error is not None:
                    raise error
                after: Context = variables
                return after
        finally:
            mark.runtime = None
            runtime.host.loop_calls.discard(call)


async def in_context(hook: Hook, mark: HookMark) -> tuple[Context, BaseException | None]:
    """Call a hook and await what it returns; return the context variables as it left them, and what it raised.

    Runs on the event loop. The exception is returned, so that the loop does not take a hook's CancelledError or SystemExit for its
    own.
    """
    error: BaseException | None = None
    marked = MARK.set(mark)
    try:
        await awaited(hook())
    except BaseException as raised:  # noqa: BLE001 - raised again in the thread that waits for the hook
        error = raised
    MARK.reset(marked)
    return copy_context(), error
