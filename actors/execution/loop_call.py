"""One coroutine of a handler on an event loop, and the wait for it: `LoopCall`. The loop itself is in `event_loop`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perdure.actors.core.answer import Answer

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine

__all__ = ["LoopCall"]


class LoopCall:
    """One coroutine on the loop. `wait` belongs to the worker, `cancel` to the thread that ends its lease."""

    __slots__ = ("_answer", "_coroutine", "_loop", "_task", "cancelled", "generation")

    def __init__(self, loop: asyncio.AbstractEventLoop, generation: int, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._loop = loop
        self._coroutine = coroutine
        self._task: asyncio.Task[None] | None = None
        self._answer = Answer()
        self.generation = generation
        self.cancelled = False

    def begin(self) -> None:
        """Start the task. Runs in the loop's thread."""
        self._task = self._loop.create_task(self._run())
        if self.cancelled:
            self._task.cancel()

    async def _run(self) -> None:
        try:
            value = await self._coroutine
        except BaseException as error:  # noqa: BLE001 - asyncio would let SystemExit end the loop; it is this handler's failure
            self._answer.reject(error)
        else:
            self._answer.resolve(value)

    def cancel(self) -> None:
        """Cancel the coroutine; callable in any thread. It may go on regardless; `wait` waits for it."""
        self.cancelled = True
        try:
            self._loop.call_soon_threadsafe(self._cancel_task)
        except RuntimeError:
            return  # the loop is closed, and the coroutine gone with it

    def _cancel_task(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def give_up(self, error: BaseException) -> None:
        """End the wait with an error, and leave the coroutine to itself."""
        self._answer.reject(error)

    def fail(self, error: BaseException) -> None:
        """End the wait with an error: the loop is dead."""
        if self._task is None:
            self._coroutine.close()  # it never began
        self._answer.reject(error)

    def wait(self, timeout_s: float = -1) -> Any:
        """Return what the coroutine returned, or raise what it raised.

        Raises:
            TimeoutError: it has not ended within `timeout_s`; it can be waited for again.
        """
        return self._answer.wait(timeout_s)
